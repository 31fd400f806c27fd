"""Products of pairs of columns, for models that cannot find "both at once" on their own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from offline.errors import OfflineError
from offline.metrics import Floats
from offline.transforms.step import Names


@dataclass(frozen=True)
class Interactions:
    """The input columns, then the products of these pairs of them."""

    columns: Names
    pairs: tuple[tuple[int, int], ...]

    def matrix(self, X: Floats) -> Floats:
        """Columns and products."""
        first, second = [i for i, _ in self.pairs], [j for _, j in self.pairs]
        return np.hstack([X, X[:, first] * X[:, second]])


def fit_interactions(X: Floats, y: Floats, columns: Names, n: int, important: Names = ()) -> Interactions:
    """All pairs of the `n` most important columns.

    Parameters
    ----------
    X, y
        Rows to fit on (n_rows, k) and their outcomes; rows without outcome are not looked at.
    important
        The most important first; empty takes the largest absolute correlation with y.

    Raises
    ------
    OfflineError
        When an important column is not there.
    """
    if missing := [name for name in important if name not in columns]:
        raise OfflineError(f"important column {missing[0]!r} is not there; columns are {', '.join(columns)}")
    chosen = [columns.index(name) for name in important] or _by_correlation(X, y)
    pairs = tuple(combinations(sorted(chosen[:n]), 2))
    return Interactions(columns + tuple(f"{columns[i]} x {columns[j]}" for i, j in pairs), pairs)


def _by_correlation(X: Floats, y: Floats) -> list[int]:
    known = np.isfinite(y)
    centred, outcome = X[known] - X[known].mean(axis=0), y[known] - y[known].mean()
    size = np.sqrt((centred**2).sum(axis=0) * (outcome**2).sum())
    strength = np.divide(np.abs(outcome @ centred), size, out=np.zeros(X.shape[1]), where=size > 0)
    return [int(j) for j in np.argsort(-strength, kind="stable")]
