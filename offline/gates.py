"""What a version must show before it is released by itself: one value for each gate, with its figure and why.

A gate that cannot be tried (a library is missing) says so and keeps nobody out. Which rows a version is judged on is
the business of `offline.held_out`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from offline.bootstrap import Interval, interval
from offline.evaluate import FEW_POSITIVES, Judged, auc_gain
from offline.extras import has_extra
from offline.feature_parity import compare_features
from offline.held_out import HeldOut
from offline.history import BatchHistory
from offline.metrics import Floats
from offline.promotion import compare
from schemas.bundle import Bundle
from schemas.workload import Workload
from stream_app.model import BoosterModel

MUCH_WORSE = 0.02
"""Of AUC, inside a slice."""
CALIBRATED = (0.8, 1.25)
"""Churners that came for each that was expected."""
TOP_SHARE = 0.1
LATENCY_ROWS = 20_000
N_TIMINGS = 7
Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Gate:
    """One gate.

    Parameters
    ----------
    is_open
        None when it could not be tried.
    figure
        What was measured, in words.
    """

    name: str
    is_open: bool | None
    figure: str

    @property
    def keeps_out(self) -> bool:
        """Whether the version fails here."""
        return self.is_open is False

    def line(self) -> str:
        """``pass  calibrated  ...``."""
        word = {True: "pass", False: "FAIL", None: "skip"}[self.is_open]
        return f"{word}  {self.name:<12} {self.figure}"

    def as_json(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        return asdict(self)


def workload_gate(bundle: Bundle, workload: Workload) -> Gate:
    """Was it trained for the workload that is scored now?"""
    same = bundle.manifest.workload_hash == workload.hash
    figure = f"trained for {bundle.manifest.workload_hash[:16]}, the current one is {workload.hash[:16]}"
    return Gate("workload", same, figure)


def skill_gate(bundle: Bundle) -> Gate:
    """Did its own evaluation show that it knows something?"""
    skill = bundle.json("evaluation.json").get("skill", {})
    return Gate("skill", bool(skill.get("claimed", False)), str(skill.get("text", "no evaluation")))


def better_gate(held_out: HeldOut, champion: str) -> Gate:
    """Is it better than the champion on matured labels out of time?"""
    verdict = compare(held_out.judged, held_out.first, held_out.second, champion)
    return Gate("better", verdict.is_better, verdict.reason)


def calibration_gate(held_out: HeldOut) -> Gate:
    """Do as many leave as it said, over all and among those most at risk? Closed when that is ruled out."""
    p = held_out.first
    top = p >= np.quantile(p, 1.0 - TOP_SHARE)
    found = [_came_for_expected(held_out.judged, p, rows) for rows in (np.ones(len(p), bool), top)]
    low, high = CALIBRATED
    is_open = all(found_one.low <= high and found_one.high >= low for found_one in found)
    said = [f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})" for one in found]
    return Gate("calibrated", is_open, f"left for each expected: {said[0]}, in the highest tenth {said[1]}")


def _came_for_expected(judged: Judged, p: Floats, rows: Bools) -> Interval:
    y, expected = judged.y[rows], p[rows]

    def ratio(weight: Floats | None) -> float:
        w = np.ones(len(y)) if weight is None else weight
        total = float((w * expected).sum())
        return float((w * y).sum()) / total if total > 0 else float("nan")

    customer = np.unique(judged.customer[rows], return_inverse=True)[1].astype(np.int64)
    return interval(customer, ratio)


def slices_gate(held_out: HeldOut, champion: str) -> Gate:
    """Is it much worse than the champion for any group of customers? Closed when that is beyond doubt."""
    gains: list[tuple[Interval, str]] = []
    for name, rows in slices(held_out):
        y = held_out.judged.y[rows]
        if min(y.sum(), len(y) - y.sum()) < FEW_POSITIVES:
            continue
        judged = Judged(y, held_out.judged.customer[rows], held_out.judged.prior)
        gains.append((auc_gain(judged, held_out.first[rows], held_out.second[rows]), name))
    if not gains:
        return Gate("slices", True, f"none has {FEW_POSITIVES} customers who left and as many who stayed")
    worst, name = min(gains, key=lambda found: found[0].high)
    figure = f"{len(gains)} slices; weakest against {champion} is {name}: AUC {worst.value:+.3f}"
    return Gate("slices", worst.high >= -MUCH_WORSE, f"{figure} ({worst.low:+.3f} to {worst.high:+.3f})")


def slices(held_out: HeldOut) -> Iterator[tuple[str, Bools]]:
    """(name, rows) by each known category, and by thirds of tenure."""
    x = held_out.testing.rows.X[held_out.rows]
    for j, column in enumerate(held_out.testing.plan.columns):
        if column.is_categorical:
            for code, category in enumerate(column.categories):
                yield f"{column.name} {category}", x[:, j] == code
        elif column.type == "tenure" and np.isfinite(x[:, j]).any():
            low, high = np.nanquantile(x[:, j], [1 / 3, 2 / 3])
            yield f"{column.name} up to {low:.0f} days", x[:, j] <= low
            yield f"{column.name} {low:.0f} to {high:.0f} days", (x[:, j] > low) & (x[:, j] <= high)
            yield f"{column.name} above {high:.0f} days", x[:, j] > high


def onnx_gate(bundle: Bundle) -> Gate:
    """Would it answer the same as ONNX?"""
    from offline.export import onnx_with_parity

    if not has_extra("onnx"):
        return Gate("onnx", None, "not tried: the extra onnx is not installed")
    _, parity = onnx_with_parity(bundle)
    return Gate("onnx", parity.is_equal, parity.line())


def features_gate(held_out: HeldOut, history: BatchHistory) -> Gate:
    """Are its features those that other code computes?"""
    rows = held_out.testing.rows.take(held_out.rows)
    found = compare_features(held_out.testing.plan.workload, history(), rows)
    return Gate("features", found.first is None, found.line())


def latency_gate(held_out: HeldOut, model: BoosterModel, budget_us: float, clock_s: Callable[[], float]) -> Gate:
    """Does it score a row within the budget? The median of some batches.

    Parameters
    ----------
    budget_us
        Microseconds for a row.
    clock_s
        Reads a clock in seconds.
    """
    x = held_out.testing.rows.X[held_out.rows]
    x = np.resize(x, (LATENCY_ROWS, x.shape[1])).astype(np.float32)
    kinds = np.zeros(len(x), np.int64)
    model.score(x, kinds)
    took = []
    for _ in range(N_TIMINGS):
        begin = clock_s()
        model.score(x, kinds)
        took.append((clock_s() - begin) * 1e6 / len(x))
    us = float(np.median(took))
    return Gate("latency", us <= budget_us, f"{us:.2f} us a row in batches of {LATENCY_ROWS} (budget {budget_us:g} us)")
