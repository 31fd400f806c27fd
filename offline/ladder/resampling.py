"""All steps measured on the same resamples of customers, so that any two of them can be compared in pairs.

`offline.bootstrap.difference` does the same for two scores. Here a score is sorted once, and a gain's interval holds
for all pairs of steps at once: with ten steps some pair would look better by luck alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from offline.bootstrap import LEVEL, N_REPLICATES, Interval, Resampled
from offline.metrics import TINY, Floats
from offline.training_set import Bools

Metric = Literal["roc_auc", "pr_auc", "log_loss", "brier", "f1"]
METRICS: Final[tuple[Metric, ...]] = ("roc_auc", "pr_auc", "log_loss", "brier", "f1")
FALLING: Final = ("log_loss", "brier")  # less is better
CHUNK: Final = 25  # resamples measured at once


class SortedScore:
    """A score sorted once; then each resample costs sums alone.

    Parameters
    ----------
    y, score
        Outcomes 0 or 1 and scores, (n,).
    """

    def __init__(self, y: Floats, score: Floats) -> None:
        self._order = np.argsort(-score, kind="stable")
        ordered = score[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self._outcome = y[self._order]

    def areas(self, weights: Floats) -> Floats:
        """ROC-AUC and average precision under each of some row weights (r, n), NaN where they do not exist; (2, r)."""
        w = weights[:, self._order]
        positive = np.add.reduceat(w * self._outcome, self._starts, axis=1)
        total = np.add.reduceat(w, self._starts, axis=1)
        negative = total - positive
        caught, flagged = np.cumsum(positive, axis=1), np.cumsum(total, axis=1)
        n_positive, n_negative = caught[:, -1], flagged[:, -1] - caught[:, -1]
        below = n_negative[:, None] - (flagged - caught)
        precision = np.divide(caught, flagged, out=np.zeros_like(caught), where=flagged > 0)
        right = (positive * (below + 0.5 * negative)).sum(axis=1)
        exist, pairs = (n_positive > 0) & (n_negative > 0), n_positive * n_negative
        areas = np.full((2, len(w)), np.nan)
        np.divide(right, pairs, out=areas[0], where=exist)
        np.divide((precision * positive).sum(axis=1), n_positive, out=areas[1], where=exist)
        return areas


@dataclass(frozen=True, eq=False)
class Measured:
    """Metrics of k steps on the rows as they are (k,), and on every resample (k, n_replicates)."""

    value: dict[Metric, Floats]
    drawn: dict[Metric, Floats]

    def interval(self, metric: Metric, step: int) -> Interval:
        """A step's metric with its 95 % percentile interval."""
        drawn = self.drawn[metric][step]
        drawn = drawn[np.isfinite(drawn)]
        value = float(self.value[metric][step])
        if not len(drawn):
            return Interval(value, float("nan"), float("nan"))
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(value, float(low), float(high))


def resample(
    y: Floats,
    customer: NDArray[np.int64],
    margins: Sequence[Floats],
    probabilities: Sequence[Floats],
    flagged: Sequence[Bools],
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
) -> Measured:
    """Measure every step on the same resamples.

    Parameters
    ----------
    y, customer
        Outcomes and dense customer codes, (n,), n at least 1.
    margins, probabilities, flagged
        Per step (n,): what ranks the rows, what is calibrated, and which rows raise an alarm.
    """
    rankings = [SortedScore(y, margin) for margin in margins]
    losses, squares = _log_losses(y, probabilities), np.array([(p - y) ** 2 for p in probabilities])
    alarms = np.array(flagged, dtype=np.float64)

    def metrics(weights: Floats) -> Floats:
        areas = np.array([ranking.areas(weights) for ranking in rankings]).transpose(1, 0, 2)
        means = [table @ weights.T / weights.sum(axis=1) for table in (losses, squares)]
        return np.concatenate([areas, means, [_f1(y, alarms, weights)]])

    value = metrics(np.ones((1, len(y))))[:, :, 0]
    drawn = np.concatenate([metrics(weights) for weights in _weights(customer, n_replicates, seed)], axis=2)
    return Measured(
        {metric: value[i] for i, metric in enumerate(METRICS)},
        {metric: drawn[i] for i, metric in enumerate(METRICS)},
    )


def _weights(customer: NDArray[np.int64], n_replicates: int, seed: int) -> Iterator[Floats]:
    """How often each row's customer is drawn, some replicates at a time (r, n); the draws of `offline.bootstrap`."""
    drawn = Resampled(customer, n_replicates, seed).drawn
    for at in range(0, n_replicates, CHUNK):
        yield drawn[at : at + CHUNK].astype(np.float64)[:, customer]


def _f1(y: Floats, alarms: Floats, weights: Floats) -> Floats:
    """F1 of each step under each of the row weights (k, r), NaN when nothing is flagged and nobody churned."""
    both = alarms @ weights.T + weights @ y
    found = np.divide(2.0 * (alarms @ (weights * y).T), both, out=np.full(both.shape, np.nan), where=both > 0)
    return np.asarray(found)


def _log_losses(y: Floats, probabilities: Sequence[Floats]) -> Floats:
    p = np.clip(np.array(probabilities), TINY, 1.0 - TINY)
    return np.asarray(-(y * np.log(p) + (1.0 - y) * np.log1p(-p)))


class Gains:
    """How much better each step is than each other one, with intervals that hold for all pairs at once (95 %).

    Each interval is the gain and a multiple of its standard deviation over the resamples; the multiple is the one that
    the largest deviation among all pairs stays below in 95 % of the resamples (the single-step max-t method).

    Parameters
    ----------
    metric
        Where less is better, a gain is how much less.
    """

    def __init__(self, measured: Measured, metric: Metric) -> None:
        sign = -1.0 if metric in FALLING else 1.0
        self._value = sign * measured.value[metric]
        drawn = sign * measured.drawn[metric]
        self._drawn = drawn[:, np.isfinite(drawn).all(axis=0)]
        self._multiple = self._largest_deviation()

    def over(self, step: int, other: int) -> Interval:
        """How much better `step` is than `other`; NaN bounds when it cannot be said."""
        value = float(self._value[step] - self._value[other])
        if not self._drawn.shape[1]:
            return Interval(value, float("nan"), float("nan"))
        reach = self._multiple * self._deviation(step, other)
        return Interval(value, value - reach, value + reach)

    def _deviation(self, step: int, other: int) -> float:
        return float((self._drawn[step] - self._drawn[other]).std())

    def _largest_deviation(self) -> float:
        if not self._drawn.shape[1]:
            return float("nan")
        largest = np.zeros(self._drawn.shape[1])
        for step in range(len(self._value)):
            for other in range(step):
                deviation = self._deviation(step, other)
                if deviation > TINY:
                    gain = self._drawn[step] - self._drawn[other] - (self._value[step] - self._value[other])
                    largest = np.maximum(largest, np.abs(gain) / deviation)
        return float(np.quantile(largest, LEVEL))
