"""Learning row by row as a stream would: a row is scored when it comes, and taught only once its horizon has passed."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from offline.metrics import Floats
from offline.models import Matrix

Int64s = NDArray[np.int64]


class Learner(Protocol):
    """What learns from one row after the other."""

    def update(self, x: Floats, outcome: float) -> None:
        """Take a row (n_features,) and whether its customer churned."""

    def margin(self, x: Floats) -> float:
        """Log odds of a row with what is known so far."""


def progressive_margins(
    X: Matrix,
    y: Floats,
    as_of_ms: Int64s,
    horizon_ms: int,
    learner: Learner,
) -> Floats:
    """Margins of the rows as they would have been at their own moments, (n,).

    Before a row is scored, every row whose label was known by then has been taught, in the order in which the labels
    became known: that of row i at ``as_of_ms[i] + horizon_ms``. Rows without an outcome (NaN) are never taught.

    Parameters
    ----------
    X, y, as_of_ms
        Feature rows (n, n_features), outcomes and moments (n,); rows of one moment are taken in their given order.
    """
    order = np.argsort(as_of_ms, kind="stable")
    to_teach = order[np.isfinite(y[order])]
    matured_ms = as_of_ms[to_teach] + horizon_ms
    margins = np.zeros(len(y))
    n_taught = 0
    for row in order.tolist():
        n_known = int(np.searchsorted(matured_ms, as_of_ms[row], side="right"))
        for known in to_teach[n_taught:n_known].tolist():
            learner.update(X[known], float(y[known]))
        n_taught = max(n_taught, n_known)
        margins[row] = learner.margin(X[row])
    return margins
