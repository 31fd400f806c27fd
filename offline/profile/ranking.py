"""How well one feature alone tells who leaves, among customers of the same cut-off.

Comparing within a cut-off keeps seasons and slow changes of the whole company out of it. Missing values are looked at
in three ways: among the known values, as a value of their own (`binned_score`), and alone (who calls, passes
``isnan``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offline.metrics import Floats

Int64s = NDArray[np.int64]

N_BINS = 20
SMOOTHING = 20.0


class Ranking:
    """Rows sorted by score within their group, so that many weightings cost little.

    Parameters
    ----------
    y
        1 or 0, (n,).
    score
        NaN leaves the row out, (n,).
    group
        Rows are compared with rows of the same group only, (n,).
    """

    def __init__(self, y: Floats, score: Floats, group: Int64s) -> None:
        known = np.flatnonzero(np.isfinite(score) & np.isfinite(y))
        self._rows = known[np.lexsort((-score[known], group[known]))]
        self._y = y[self._rows]
        ordered_group, ordered = group[self._rows], score[self._rows]
        new_group = np.r_[True, ordered_group[1:] != ordered_group[:-1]][: len(ordered)]
        self._blocks = np.flatnonzero(new_group | np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)])
        self._group_of_block = np.cumsum(new_group[self._blocks]) - 1
        self.n, self.n_positive = len(self._rows), int(self._y.sum())

    def auc(self, weight: Floats | None = None) -> float:
        """Chance that a leaver scores above a stayer of the same group, ties half; NaN without a pair."""
        if not len(self._blocks):
            return float("nan")
        w = np.ones(self.n) if weight is None else weight[self._rows]
        positive = np.add.reduceat(w * self._y, self._blocks)
        negative = np.add.reduceat(w * (1.0 - self._y), self._blocks)
        last = np.r_[self._group_of_block[1:] != self._group_of_block[:-1], True]
        above = np.cumsum(negative)
        whole = above[last][self._group_of_block]
        n_positive = np.bincount(self._group_of_block, weights=positive)
        n_negative = np.bincount(self._group_of_block, weights=negative)
        pairs = float(n_positive @ n_negative)
        return float(positive @ (whole - above + 0.5 * negative)) / pairs if pairs > 0 else float("nan")


def binned_score(values: Floats, y: Floats, customer: Int64s, *, is_categorical: bool = False) -> Floats:
    """Churn rate of the row's bin among the other half of the customers, (n,): any shape of dependence, and missing.

    Parameters
    ----------
    values
        NaN is a bin of its own.
    customer
        Dense codes; a customer's rows are in one half.
    """
    code = bins_of(values, N_BINS, is_categorical=is_categorical)
    half = np.random.default_rng(0).permutation(int(customer.max(initial=-1)) + 1)[customer] % 2
    score, n_codes = np.zeros(len(y)), int(code.max(initial=0)) + 1
    for mine in (0, 1):
        other = half != mine
        base = float(y[other].mean()) if other.any() else 0.0
        n = np.bincount(code[other], minlength=n_codes)
        n_positive = np.bincount(code[other], weights=y[other], minlength=n_codes)
        rate = (n_positive + SMOOTHING * base) / (n + SMOOTHING)
        score[half == mine] = rate[code[half == mine]]
    return score


def bins_of(values: Floats, n_bins: int, *, is_categorical: bool = False) -> Int64s:
    """Bin of each value, about equally full; missing values get the bin after the last, (n,)."""
    missing = ~np.isfinite(values)
    if is_categorical:
        top = int(values[~missing].max(initial=-1.0)) + 1
        return np.where(missing, top, np.nan_to_num(values)).astype(np.int64)
    edges = edges_of(values, n_bins)
    return np.where(missing, len(edges) + 1, np.searchsorted(edges, values, side="right")).astype(np.int64)


def edges_of(values: Floats, n_bins: int) -> Floats:
    """Inner borders of bins that are about equally full, ascending; a value at a border belongs to the upper bin.

    When most values are the least one (a count that is nearly always zero), the others are cut into quarters.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return np.zeros(0)
    edges, others = _quantiles(known, n_bins), known[known > known.min()]
    if len(edges) < n_bins // 2 and len(others):
        edges = np.unique(np.r_[edges, others.min(), _quantiles(others, 4)])
    return np.asarray(edges[edges > known.min()])


def _quantiles(known: Floats, n_bins: int) -> Floats:
    inner = np.quantile(known, np.linspace(0.0, 1.0, n_bins + 1)[1:-1], method="higher")
    return np.asarray(np.unique(inner), dtype=np.float64)
