"""Principal components (Pearson 1901): a few directions that hold most of the variance. Checked against scikit-learn.

The sign of a direction is free; here its largest entry is positive, so that the same rows give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offline.metrics import Floats
from offline.transforms.step import Names, Numbers, numbers


@dataclass(frozen=True)
class Components:
    """Directions and what is taken off before.

    Parameters
    ----------
    mean
        Per input column.
    directions
        One row of weights for each component.
    shares
        Share of the variance that each component holds, falling.
    """

    columns: Names
    mean: Numbers
    directions: tuple[Numbers, ...]
    shares: Numbers

    def matrix(self, X: Floats) -> Floats:
        """Coordinates along the directions."""
        return np.asarray((X - np.array(self.mean)) @ np.array(self.directions).T)


def fit_components(X: Floats, wanted: float) -> Components:
    """So many components (1 and above) of rows (n, k), or as many as hold this share of the variance (below 1)."""
    mean = X.mean(axis=0)
    centred = X - mean
    variance, directions = np.linalg.eigh(centred.T @ centred / max(1, len(X) - 1))
    variance, directions = np.maximum(variance[::-1], 0.0), directions.T[::-1]
    shares = variance / variance.sum() if variance.sum() > 0 else variance
    n = int(wanted) if wanted >= 1 else int(np.searchsorted(np.cumsum(shares), wanted) + 1)
    n = max(1, min(n, X.shape[1]))
    largest = directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)]
    signed = directions * np.where(largest < 0, -1.0, 1.0)[:, None]
    names = tuple(f"component {i + 1}" for i in range(n))
    return Components(names, numbers(mean), tuple(numbers(row) for row in signed[:n]), numbers(shares[:n]))
