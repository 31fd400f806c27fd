"""The test rows of one kind, all steps side by side: every metric with its interval, every gain over other steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.evaluate import as_json, number
from offline.ladder.calibrated import KindCalibration
from offline.ladder.climb import Climbed
from offline.ladder.resampling import METRICS, Gains, resample
from offline.ladder.steps import YARDSTICKS
from offline.metrics import Floats, precision_recall_f1
from offline.training_set import Bools


@dataclass(frozen=True, eq=False)
class Judged:
    """All steps on the test rows of one kind.

    Parameters
    ----------
    names
        Of the steps, the lowest first.
    y, customer
        Outcomes and dense customer codes, (n,).
    ranked, probability
        Per step: what ranks the rows, and what is calibrated, (n,).
    steps
        Per step: metrics and gains, JSON-able.
    auc_gains
        Gains in ROC-AUC of every step over every other.
    """

    names: tuple[str, ...]
    y: Floats
    customer: NDArray[np.int64]
    ranked: tuple[Floats, ...]
    probability: tuple[Floats, ...]
    steps: tuple[dict[str, Any], ...]
    auc_gains: Gains

    @property
    def n_positive(self) -> int:
        """Rows that churned."""
        return int(self.y.sum())

    @property
    def n_rarer(self) -> int:
        """Rows of the rarer class."""
        return min(self.n_positive, len(self.y) - self.n_positive)

    def size(self) -> dict[str, Any]:
        """How much there is to judge by."""
        return {
            "n": len(self.y),
            "n_positive": self.n_positive,
            "n_customers": len(np.unique(self.customer)),
            "base_rate": number(float(self.y.mean())),
        }


def judge(
    y: Floats,
    customer: NDArray[np.int64],
    climbed: Sequence[Climbed],
    margins: Sequence[Floats],
    calibrations: Sequence[KindCalibration],
    seed: int,
) -> Judged:
    """Judge every step on the same rows.

    Parameters
    ----------
    y, customer
        Outcomes and customer codes of test rows of one kind, (n,), n at least 1.
    climbed, margins, calibrations
        The steps; their margins of those rows, (n,) each; their calibration for this kind.
    seed
        Of the resampling.
    """
    customer = np.unique(customer, return_inverse=True)[1].astype(np.int64)
    probabilities = [c.platt.probability(margin) for c, margin in zip(calibrations, margins, strict=True)]
    flagged = [c.flagged(margin) for c, margin in zip(calibrations, margins, strict=True)]
    ranked = [c.ranked(margin) for c, margin in zip(calibrations, margins, strict=True)]
    measured = resample(y, customer, ranked, probabilities, flagged, seed=seed)
    auc_gains, loss_gains = Gains(measured, "roc_auc"), Gains(measured, "log_loss")
    names = tuple(step.name for step in climbed)
    steps = []
    for i, calibration in enumerate(calibrations):
        found: dict[str, Any] = {metric: as_json(measured.interval(metric, i)) for metric in METRICS}
        found["at_threshold"] = _alarm(y, flagged[i], calibration.threshold)
        for label, other in _compared_with(names, i).items():
            found[label] = {
                "step": names[other],
                "roc_auc": as_json(auc_gains.over(i, other)),
                "log_loss": as_json(loss_gains.over(i, other)),
            }
        steps.append(found)
    return Judged(names, y, customer, tuple(ranked), tuple(probabilities), tuple(steps), auc_gains)


def _compared_with(names: tuple[str, ...], step: int) -> dict[str, int]:
    """The step below, and the rule (or the prior, where there is no rule)."""
    yardstick = max(names.index(name) for name in YARDSTICKS if name in names)
    compared = {"gain_over_below": step - 1} if step else {}
    return compared | ({"gain_over_rule": yardstick} if step > yardstick else {})


def _alarm(y: Floats, flagged: Bools, threshold: float | None) -> dict[str, Any]:
    precision, recall, _ = precision_recall_f1(y, flagged)
    return {
        "threshold": threshold,
        "n_flagged": int(flagged.sum()),
        "precision": number(precision),
        "recall": number(recall),
    }
