"""What a missing number becomes, and a column that says so.

Categories pass through: being missing is a category of its own, which the encoder sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offline.metrics import Floats
from offline.transforms.options import Impute
from offline.transforms.step import Names


@dataclass(frozen=True)
class Imputation:
    """Values for missing numbers.

    Parameters
    ----------
    columns
        Names with those of the indicators at the end.
    fill
        Per input column; None leaves missing what is missing.
    indicated
        Input columns that have an indicator (1 missing, 0 known).
    """

    columns: Names
    fill: tuple[float | None, ...]
    indicated: tuple[int, ...]

    def matrix(self, X: Floats) -> Floats:
        """Columns without missing numbers, then indicators."""
        fill = np.array([np.nan if value is None else value for value in self.fill])
        missing = np.isnan(X)
        return np.hstack([np.where(missing, fill, X), missing[:, list(self.indicated)].astype(np.float64)])


def fit_imputation(
    X: Floats, columns: Names, is_categorical: Sequence[bool], impute: Impute, constant: float, indicators: bool
) -> Imputation:
    """Fill values of the fitted rows (n, k); a column that is always missing becomes `constant`."""
    fill = tuple(
        None if categorical else _fill_of(X[:, j], impute, constant) for j, categorical in enumerate(is_categorical)
    )
    share = np.isnan(X).mean(axis=0)
    indicated = tuple(j for j, value in enumerate(fill) if value is not None and indicators and 0.0 < share[j] < 1.0)
    return Imputation(columns + tuple(f"{columns[j]} is missing" for j in indicated), fill, indicated)


def _fill_of(values: Floats, impute: Impute, constant: float) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if impute == "median" and len(known) else constant
