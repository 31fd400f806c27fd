"""How far predicted values are from what came, with row weights; checked against scikit-learn.

A number that does not exist (R2 of a constant) is NaN.
"""

from __future__ import annotations

import numpy as np

from offline.metrics import Floats


def mae(y: Floats, predicted: Floats, weight: Floats | None = None) -> float:
    """Mean absolute error, in the unit of the value.

    Examples
    --------
    >>> mae(np.array([0.0, 4.0]), np.array([1.0, 1.0]))
    2.0
    """
    return _mean(np.abs(predicted - y), weight)


def rmse(y: Floats, predicted: Floats, weight: Floats | None = None) -> float:
    """Root of the mean squared error, in the unit of the value."""
    return float(np.sqrt(_mean((predicted - y) ** 2, weight)))


def r2(y: Floats, predicted: Floats, weight: Floats | None = None) -> float:
    """Share of the variance of these rows that is explained; below 0 their own mean would do better."""
    spread = _mean((y - _mean(y, weight)) ** 2, weight)
    return 1.0 - _mean((predicted - y) ** 2, weight) / spread if spread > 0.0 else float("nan")


def _mean(x: Floats, weight: Floats | None) -> float:
    return float(np.average(x, weights=weight)) if len(x) else float("nan")
