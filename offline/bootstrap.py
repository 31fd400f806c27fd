"""Confidence intervals by resampling customers: rows of one customer stay together, since they are not independent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offline.metrics import Floats

N_REPLICATES = 300
LEVEL = 0.95


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


def weights_by_customer(
    customer: NDArray[np.int64], n_replicates: int = N_REPLICATES, seed: int = 0
) -> Iterator[Floats]:
    """Row weights of each replicate: how often the row's customer was drawn.

    Parameters
    ----------
    customer
        Dense customer code per row, (n,).
    """
    rng = np.random.default_rng(seed)
    n_customers = int(customer.max()) + 1 if len(customer) else 0
    for _ in range(n_replicates if n_customers else 0):
        drawn = np.bincount(rng.integers(0, n_customers, n_customers), minlength=n_customers)
        yield drawn[customer].astype(np.float64)


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
    drawn = np.array([statistic(w) for w in weights_by_customer(customer, n_replicates, seed)])
    drawn = drawn[np.isfinite(drawn)]
    value = statistic(None)
    if not len(drawn):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


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
