"""Learning curve: how good the chosen model is when only a share of the customers is there to learn from.

The shares are nested: who is in a smaller one is in every larger one. Below all customers several such orders are
drawn and their metrics averaged, so that the luck of one draw does not look like a bend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from offline.bootstrap import LEVEL, Interval
from offline.evaluate import as_json
from offline.ladder.calibrated import calibrate_kinds
from offline.ladder.climb import Climbed, Clock, answers_of, some_customers
from offline.ladder.progress import Progress
from offline.ladder.resampling import FALLING, Measured, Metric, resample
from offline.metrics import Floats
from offline.training_set import Bools, TrainingSet

SHARES: Final = (0.1, 0.25, 0.5, 1.0)
N_DRAWS: Final = 3
HARDLY: Final = 0.005
SMALL: Final = 0.02
CURVED: Final[tuple[Metric, ...]] = ("roc_auc", "log_loss")


@dataclass(frozen=True, eq=False)
class Point:
    """The metrics at one share of the customers, and what all of them bring on top."""

    share: float
    n_customers: int
    n_rows: int
    metrics: Mapping[Metric, Interval]
    gain_of_all: Mapping[Metric, Interval]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "share": self.share,
            "n_customers": self.n_customers,
            "n_rows": self.n_rows,
            **{metric: as_json(found) for metric, found in self.metrics.items()},
            "gain_of_all": {metric: as_json(found) for metric, found in self.gain_of_all.items()},
        }


@dataclass(frozen=True, eq=False)
class _Draw:
    share: float
    n_fit: int
    ranked: Floats
    probability: Floats


def n_units(shares: tuple[float, ...] = SHARES, n_draws: int = N_DRAWS) -> int:
    """Units of progress of a curve."""
    return 2 * sum(1 if share >= 1.0 else n_draws for share in shares)


def learning_curve(
    step: Climbed,
    training: TrainingSet,
    seed: int,
    clock: Clock,
    progress: Progress,
    shares: tuple[float, ...] = SHARES,
    n_draws: int = N_DRAWS,
) -> list[Point]:
    """The curve of a step over shares of the customers, on tick rows of the test block.

    A share whose customers are of one class only is left out. Each share calibrates on its own later rows.

    Parameters
    ----------
    step
        Fitted in batch, with its hyperparameters as they were chosen on all customers.
    shares
        Ascending, the last one 1.
    """
    draws = []
    for share in shares:
        for draw in range(1 if share >= 1.0 else n_draws):
            allowed = some_customers(training, share, seed + draw)
            made = _draw(step, training, allowed, share, seed, clock, progress)
            draws += [made] if made is not None else []
    test = training.fold("test", row_kind=0)
    customer = np.unique(training.customer[test], return_inverse=True)[1].astype(np.int64)
    ranked, probabilities = [one.ranked for one in draws], [one.probability for one in draws]
    nobody = [np.zeros(int(test.sum()), dtype=bool)] * len(draws)
    measured = resample(training.y[test], customer, ranked, probabilities, nobody, seed=seed)
    n_customers = len(np.unique(training.customer[training.fold("fit", "between", "later")]))
    return [_point(share, draws, measured, n_customers) for share in sorted({one.share for one in draws})]


def _draw(
    step: Climbed,
    training: TrainingSet,
    allowed: Bools,
    share: float,
    seed: int,
    clock: Clock,
    progress: Progress,
) -> _Draw | None:
    assert step.candidate is not None, "the online challenger has no curve"
    later = training.fold("later")
    for rows in (training.fold("fit", row_kind=0) & allowed, later & (training.rows.kind == 0) & allowed):
        if training.y[rows].sum() in (0, rows.sum()):
            progress.advance("learning curve")
            progress.advance("learning curve")
            return None
    answers = answers_of(step.candidate, training, seed, clock, progress, f"learning curve, {share:.0%}", allowed)
    mine = allowed[later]
    kinds, _ = calibrate_kinds(training.y[later][mine], training.rows.kind[later][mine], answers.later[mine], None)
    ticks = training.rows.kind[training.fold("test")] == 0
    margin = answers.test[ticks]
    return _Draw(share, answers.n_fit, kinds[0].ranked(margin), kinds[0].platt.probability(margin))


def _point(share: float, draws: list[_Draw], measured: Measured, n_customers: int) -> Point:
    mine = [i for i, one in enumerate(draws) if one.share == share]
    last = [i for i, one in enumerate(draws) if one.share == draws[-1].share]
    n_rows = round(float(np.mean([draws[i].n_fit for i in mine])))
    return Point(
        share,
        round(share * n_customers),
        n_rows,
        {metric: _mean(measured, metric, mine) for metric in CURVED},
        {metric: _gain(measured, metric, last, mine) for metric in CURVED},
    )


def _mean(measured: Measured, metric: Metric, steps: list[int]) -> Interval:
    return _interval(float(measured.value[metric][steps].mean()), measured.drawn[metric][steps].mean(axis=0))


def _gain(measured: Measured, metric: Metric, steps: list[int], others: list[int]) -> Interval:
    sign = -1.0 if metric in FALLING else 1.0
    value, drawn = sign * measured.value[metric], sign * measured.drawn[metric]
    return _interval(
        float(value[steps].mean() - value[others].mean()), drawn[steps].mean(axis=0) - drawn[others].mean(axis=0)
    )


def _interval(value: float, drawn: Floats) -> Interval:
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(drawn) else (float("nan"), float("nan"))
    return Interval(value, float(low), float(high))


def more_customers(points: list[Point]) -> str:
    """What more customers would bring, as far as the last doubling tells."""
    half = next((point for point in points if point.share == 0.5), None)
    if half is None or points[-1].share < 1.0:
        return "too few customers to tell what more of them would bring"
    gain = half.gain_of_all["roc_auc"]
    span = f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
    brought = f"from {half.n_customers:,} to {points[-1].n_customers:,} customers the AUC moved by {span}"
    if gain.low > 0.0 and gain.high < HARDLY:
        return f"{brought}: more customers would hardly help"
    if gain.low > 0.0:
        return f"{brought}: more customers help; a doubling seldom brings more than the one before"
    if gain.high < 0.0:
        return f"{brought}: more customers did not help"
    if gain.high < SMALL:
        return f"{brought}, which may be chance: a doubling would bring little"
    return f"{brought}, which may be chance: these test rows cannot tell whether more customers would help"
