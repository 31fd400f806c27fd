"""Spearman correlation of every pair of numeric features: which of them say the same. Checked against SciPy.

A missing value takes the middle rank of its column, so that it neither makes nor breaks a correlation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offline.metrics import Floats
from offline.profile.snapshots import Snapshots

SAME = 0.95


@dataclass(frozen=True, eq=False)
class Correlations:
    """Names and their matrix (k, k), NaN for a feature that never changes."""

    names: tuple[str, ...]
    matrix: Floats

    def pairs(self, at_least: float = SAME) -> list[tuple[str, str, float]]:
        """Pairs whose correlation is that strong in either direction, strongest first."""
        rows, columns = np.nonzero(np.triu(np.abs(np.nan_to_num(self.matrix)) >= at_least, k=1))
        found = [(self.names[i], self.names[j], float(self.matrix[i, j])) for i, j in zip(rows, columns, strict=True)]
        return sorted(found, key=lambda pair: -abs(pair[2]))


def correlations_of(rows: Snapshots) -> Correlations:
    """Of all features that are not categories."""
    chosen = [j for j, column in enumerate(rows.columns) if not column.is_categorical]
    ranks = [ranks_of(rows.X[:, j].astype(np.float64)) for j in chosen]
    centred = np.array([rank - rank.mean() for rank in ranks]).reshape(len(chosen), len(rows))
    size = np.sqrt((centred**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = (centred @ centred.T) / np.outer(size, size)
    return Correlations(tuple(rows.columns[j].name for j in chosen), np.clip(matrix, -1.0, 1.0))


def ranks_of(values: Floats) -> Floats:
    """Mean rank of equal values from 1; a missing one has the middle rank, (n,)."""
    known = np.isfinite(values)
    ranks = np.full(len(values), (known.sum() + 1) / 2.0)
    _, place, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks[known] = (last - (counts - 1) / 2.0)[place]
    return ranks
