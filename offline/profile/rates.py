"""Churn rates of groups of rows with intervals that keep a customer's rows together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.bootstrap import LEVEL, Resampled
from offline.metrics import Floats

Int64s = NDArray[np.int64]

N_REPLICATES = 200
BLOCK = 20


@dataclass(frozen=True)
class Rate:
    """The share of leavers in a group, with its 95 % interval; NaN in an empty group."""

    name: str
    n: int
    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, Any]:
        """Plain values, None for what does not exist."""
        numbers = {"rate": self.value, "low": self.low, "high": self.high}
        return {"name": self.name, "n": self.n} | {k: float(v) if np.isfinite(v) else None for k, v in numbers.items()}


def rates_of(group: Int64s, names: Sequence[str], y: Floats, customer: Int64s) -> tuple[Rate, ...]:
    """Churn rate of each group, (n_groups,).

    Parameters
    ----------
    group
        Index into `names` per row, (n,).
    """
    return many_rates(group[:, None], [names], y, customer)[0]


def many_rates(
    groups: Int64s, names: Sequence[Sequence[str]], y: Floats, customer: Int64s
) -> tuple[tuple[Rate, ...], ...]:
    """The same for several ways to group the same rows, all on the same resamples.

    Parameters
    ----------
    groups
        One column for each way, (n, n_ways).
    names
        The groups of each way.
    customer
        Dense customer code per row.
    """
    counts = [_by_customer(groups[:, j], len(ways), y, customer) for j, ways in enumerate(names)]
    drawn: list[list[Floats]] = [[] for _ in names]
    for weight in _in_blocks(Resampled(np.arange(int(customer.max(initial=-1)) + 1), N_REPLICATES).weights()):
        for way, (n, n_positive) in enumerate(counts):
            drawn[way].append(_share(weight @ n_positive, weight @ n))
    return tuple(_rates(ways, *counts[j], np.vstack(drawn[j])) for j, ways in enumerate(names))


def _by_customer(group: Int64s, n_groups: int, y: Floats, customer: Int64s) -> tuple[Floats, Floats]:
    """(rows, leavers) of each customer in each group, (n_customers, n_groups) each."""
    cell, n_cells = customer * n_groups + group, (int(customer.max(initial=-1)) + 1) * n_groups
    n = np.bincount(cell, minlength=n_cells).astype(np.float64)
    n_positive = np.asarray(np.bincount(cell, weights=y, minlength=n_cells), dtype=np.float64)
    return n.reshape(-1, n_groups), n_positive.reshape(-1, n_groups)


def _in_blocks(weights: Iterator[Floats]) -> Iterator[Floats]:
    """Replicates as matrices, some at a time: one product serves them all."""
    while block := list(islice(weights, BLOCK)):
        yield np.array(block)


def _rates(names: Sequence[str], n: Floats, n_positive: Floats, drawn: Floats) -> tuple[Rate, ...]:
    rows, value = n.sum(axis=0), _share(n_positive.sum(axis=0), n.sum(axis=0))
    bounds = [_bounds(drawn[:, at]) for at in range(len(names))]
    return tuple(Rate(name, int(rows[at]), float(value[at]), *bounds[at]) for at, name in enumerate(names))


def _share(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0))


def _bounds(drawn: Floats) -> tuple[float, float]:
    """Percentiles of the replicates in which the group was there."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
