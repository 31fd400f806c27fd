"""The bins that everything is counted in: features by up to nine edges, scores by twenty equal steps.

The worker's kernel counts in the same bins; the rule is one line: the bin is the number of edges at or below the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream_app.drift import Counts
from stream_app.performance import N_SCORE_BINS

N_EDGES: Final = 9
N_BINS: Final = 11
MISSING_BIN: Final = 10

Floats32 = NDArray[np.float32]


def padded_edges(edges: Sequence[Sequence[float]]) -> Floats32:
    """Edges of all features as one table, shape ``(n_features, 9)``, unused places +inf (beyond every value)."""
    table = np.full((len(edges), N_EDGES), np.inf, dtype=np.float32)
    for row, values in zip(table, edges, strict=True):
        row[: len(values)] = values
    return table


def histograms(edges: Floats32, X: Floats32) -> Counts:
    """Count rows by bin: the number of edges at or below the value; NaN goes to bin 10. Shape ``(n_features, 11)``."""
    counts = np.zeros((edges.shape[0], N_BINS), dtype=np.int64)
    for i, row in enumerate(edges):
        values = X[:, i]
        bins = np.where(np.isnan(values), MISSING_BIN, np.searchsorted(row, values, side="right"))
        counts[i] = np.bincount(bins, minlength=N_BINS)
    return counts


def score_bins(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Bin of each score: 20 equal steps of its square root, 1.0 in the last.

    Finer where most scores of a rare event lie: equal steps of the score itself would put nearly all of them into one
    bin.
    """
    roots = np.sqrt(np.clip(np.asarray(scores, dtype=np.float64), 0.0, 1.0))
    return np.minimum((roots * N_SCORE_BINS).astype(np.int64), N_SCORE_BINS - 1)


def equal_mass_edges(values: Floats32) -> tuple[float, ...]:
    """Up to nine float32 edges that split the finite values into bins of about equal mass.

    An edge is a value that occurs. A value heavier than its share takes a bin alone and the rest is shared out anew,
    so a count feature that is mostly 0 still has bins for its tail. Up to ten distinct values get a bin each.

    Examples
    --------
    >>> equal_mass_edges(np.array([0, 0, 0, 0, 1, 2, np.nan], dtype=np.float32))
    (1.0, 2.0)
    """
    unique, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    if unique.size <= N_EDGES + 1:
        return tuple(float(value) for value in unique[1:])
    mass, edges, done = np.cumsum(counts), [], 0
    for bins_left in range(N_EDGES + 1, 1, -1):
        target = done + (mass[-1] - done) / bins_left
        last = int(np.searchsorted(mass, target))
        if last + 1 >= unique.size:
            break
        edges.append(float(unique[last + 1]))
        done = int(mass[last])
    return tuple(edges)
