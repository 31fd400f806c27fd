"""Columns with mean 0 and standard deviation 1 on the fitted rows; a column that never changes becomes 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offline.metrics import Floats
from offline.transforms.step import Names, Numbers, numbers


@dataclass(frozen=True)
class Scaling:
    """What is taken off each column, and what it is divided by."""

    columns: Names
    mean: Numbers
    deviation: Numbers

    def matrix(self, X: Floats) -> Floats:
        """The scaled columns."""
        return np.asarray((X - np.array(self.mean)) / np.array(self.deviation))


def fit_scaling(X: Floats, columns: Names) -> Scaling:
    """Mean and standard deviation of the fitted rows (n, k)."""
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    deviation[deviation <= 1e-12 * np.maximum(1.0, np.abs(mean))] = 1.0
    return Scaling(columns, numbers(mean), numbers(deviation))
