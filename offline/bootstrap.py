"""Confidence intervals by resampling customers: rows of one customer stay together, since they are not independent.

`Resampled` draws once and answers for many statistics, so that their differences are paired; sums over rows cost one
matrix product for all replicates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from offline.metrics import Floats

N_REPLICATES = 300
LEVEL = 0.95
CHUNK = 32  # replicates in one matrix product


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; all NaN when it does not exist.

    Parameters
    ----------
    value, low, high
        Estimate on the rows as they are, and percentile bounds over the replicates.
    """

    value: float
    low: float
    high: float

    def covers(self, value: float) -> bool:
        """Whether `value` cannot be told apart; always true of an interval that does not exist."""
        return not (value < self.low or value > self.high)


class Resampled:
    """Replicates of some rows, customers drawn whole.

    Parameters
    ----------
    customer
        Dense customer code per row, (n,).
    n_replicates, seed
        Number of resamplings, and what makes them repeatable: equal ones give equal draws, whatever is asked.
    """

    def __init__(self, customer: NDArray[np.int64], n_replicates: int = N_REPLICATES, seed: int = 0) -> None:
        self.customer, self.n_replicates, self._seed = customer, n_replicates, seed

    @cached_property
    def drawn(self) -> NDArray[np.uint8]:
        """How often each customer is drawn, (n_replicates, n_customers); a count above 255 does not happen."""
        rng = np.random.default_rng(self._seed)
        n = int(self.customer.max()) + 1 if len(self.customer) else 0
        draws = [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(self.n_replicates if n else 0)]
        return np.array(draws, dtype=np.uint8).reshape(len(draws), n)

    def weights(self) -> Iterator[Floats]:
        """Row weights (n,) of each replicate: how often the row's customer was drawn."""
        for drawn in self.drawn:
            yield drawn.astype(np.float64)[self.customer]

    def replicates(self, statistic: Callable[[Floats | None], Floats | float]) -> Floats:
        """The statistic of the rows as they are, then of each replicate; (1 + n_replicates, ...).

        Parameters
        ----------
        statistic
            Takes row weights (n,), or None for the rows as they are; answers one number or an array.
        """
        return np.array([statistic(None), *(statistic(w) for w in self.weights())], dtype=np.float64)

    def sums(self, values: Floats) -> Floats:
        """Weighted sums of columns: of the rows as they are, then of each replicate; (1 + n_replicates, k).

        Parameters
        ----------
        values
            (n, k).
        """
        n = self.drawn.shape[1]
        of_customer = np.column_stack([np.bincount(self.customer, column, minlength=n) for column in values.T])
        parts = [
            self.drawn[at : at + CHUNK].astype(np.float64) @ of_customer for at in range(0, len(self.drawn), CHUNK)
        ]
        return np.concatenate([of_customer.sum(axis=0, keepdims=True), *parts])

    def interval(self, statistic: Callable[[Floats | None], float]) -> Interval:
        """The statistic of the rows with its percentile interval."""
        return interval_of(self.replicates(statistic))


def interval_of(replicates: Floats) -> Interval:
    """Estimate and percentile bounds from `Resampled.replicates` of one number; NaN among them is left out."""
    drawn = replicates[1:][np.isfinite(replicates[1:])]
    value = float(replicates[0])
    if not len(drawn):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def interval(
    customer: NDArray[np.int64],
    statistic: Callable[[Floats | None], float],
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
) -> Interval:
    """The statistic of the rows with its percentile interval.

    Parameters
    ----------
    customer
        Dense customer code per row, (n,).
    statistic
        Takes row weights (n,), or None for the rows as they are.
    n_replicates, seed
        Number of resamplings, and what makes them repeatable.
    """
    return Resampled(customer, n_replicates, seed).interval(statistic)


def difference(
    customer: NDArray[np.int64],
    metric: Callable[[Floats, Floats, Floats | None], float],
    y: Floats,
    score: Floats,
    other: Floats,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
) -> Interval:
    """How much better `score` is than `other` under `metric`, on the same resamples (paired).

    Parameters
    ----------
    metric
        Takes outcomes, scores and row weights, as `offline.metrics.roc_auc` does.
    """

    def statistic(weight: Floats | None) -> float:
        return metric(y, score, weight) - metric(y, other, weight)

    return interval(customer, statistic, n_replicates, seed)
