"""Caps: numbers beyond what the fitted rows had are taken as the border, and counted.

The border is a quantile of the known values (winsorising). A cap that would leave a column without any difference is
not set: in a count that is nearly always zero the rare ones are the news. Categories have no caps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offline.metrics import Floats
from offline.transforms.step import Names


@dataclass(frozen=True)
class Caps:
    """Borders of each column.

    Parameters
    ----------
    low, high
        Smallest and largest value that passes; None: no border.
    """

    columns: Names
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]

    def matrix(self, X: Floats) -> Floats:
        """Values within the borders; missing stays missing."""
        return np.asarray(np.clip(X, *self._borders()))

    def n_hit(self, X: Floats) -> dict[str, int]:
        """How many values of each column lie beyond a border; columns without any are left out."""
        low, high = self._borders()
        hits = (np.less(X, low) | np.greater(X, high)).sum(axis=0)
        return {name: int(n) for name, n in zip(self.columns, hits, strict=True) if n}

    def _borders(self) -> tuple[Floats, Floats]:
        low = [-np.inf if border is None else border for border in self.low]
        return np.array(low), np.array([np.inf if border is None else border for border in self.high])


def fit_caps(X: Floats, columns: Names, is_categorical: Sequence[bool], share: float) -> Caps:
    """Caps at the quantiles ``share`` and ``1 - share`` of the known values.

    Parameters
    ----------
    X
        Rows to fit on, (n, k).
    """
    borders = [
        (None, None) if categorical or not share else _borders_of(X[:, j], share)
        for j, categorical in enumerate(is_categorical)
    ]
    return Caps(columns, tuple(low for low, _ in borders), tuple(high for _, high in borders))


def _borders_of(values: Floats, share: float) -> tuple[float | None, float | None]:
    known = values[np.isfinite(values)]
    if not len(known):
        return None, None
    low, high = (float(border) for border in np.quantile(known, [share, 1.0 - share]))
    return (low, high) if low < high else (None, None)
