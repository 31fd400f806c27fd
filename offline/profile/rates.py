"""Churn rates of groups of rows with intervals that keep a customer's rows together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.bootstrap import LEVEL, weights_by_customer
from offline.metrics import Floats

Int64s = NDArray[np.int64]

N_REPLICATES = 200


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
    sizes = [len(ways) for ways in names]
    starts = np.cumsum([0, *sizes])
    flat = (groups + starts[:-1]).ravel()
    n, value = _counted(flat, int(starts[-1]), np.ones(len(y)), y)
    drawn = [_counted(flat, int(starts[-1]), w, y)[1] for w in weights_by_customer(customer, N_REPLICATES)]
    low, high = _bounds(np.array(drawn).reshape(len(drawn), int(starts[-1])))
    made = [
        Rate(name, int(n[at]), float(value[at]), float(low[at]), float(high[at]))
        for start, ways in zip(starts[:-1].tolist(), names, strict=True)
        for at, name in enumerate(ways, start)
    ]
    return tuple(tuple(made[a:b]) for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True))


def _counted(flat: Int64s, n_groups: int, weight: Floats, y: Floats) -> tuple[Floats, Floats]:
    """(weight, churn rate) of each group."""
    n_ways = len(flat) // max(1, len(y))
    n = np.bincount(flat, weights=np.repeat(weight, n_ways), minlength=n_groups)
    n_positive = np.bincount(flat, weights=np.repeat(weight * y, n_ways), minlength=n_groups)
    return n, np.divide(n_positive, n, out=np.full(n_groups, np.nan), where=n > 0)


def _bounds(drawn: Floats) -> tuple[Floats, Floats]:
    """Percentiles of each column that do not mind empty draws."""
    n_columns = drawn.shape[1]
    low, high = np.full(n_columns, np.nan), np.full(n_columns, np.nan)
    for j in range(n_columns):
        known = drawn[np.isfinite(drawn[:, j]), j]
        if len(known):
            low[j], high[j] = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return low, high
