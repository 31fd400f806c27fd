"""Support vector machines, linear and with a Gaussian kernel; on a sample when there are many rows, and it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from offline.ladder.family import Columns, Family, Model, sample
from offline.ladder.scikit import fit_estimator
from offline.metrics import Floats
from offline.models import Matrix
from offline.transforms import fit_transform_spec

Kernel = Literal["linear", "rbf"]

MAX_ROWS: Final[dict[Kernel, int]] = {"linear": 20_000, "rbf": 4_000}
"""Beyond, fitting takes minutes: the Gaussian kernel's time grows with the square of the rows."""


@dataclass(frozen=True)
class Svm:
    """Kernel, and how much a row on the wrong side costs."""

    kernel: Kernel
    C: float

    def says(self) -> str:
        """The choice in words."""
        return f"C = {self.C:g}"

    def fit(self, X: Matrix, y: Floats, columns: Columns, seed: int) -> Model:
        """The widest margin between leavers and stayers, on capped, imputed, one-hot, scaled columns."""
        transform = fit_transform_spec(X, y, columns)
        rows = sample(len(X), MAX_ROWS[self.kernel], seed)
        n = len(y[rows])
        notes = (f"fitted on a sample of {n:,} of {len(X):,} rows",) if n < len(X) else ()
        if self.kernel == "linear":
            return fit_estimator("linear svm", X[rows], y[rows], transform, seed, notes, C=self.C, dual=False)
        return fit_estimator("rbf svm", X[rows], y[rows], transform, seed, notes, C=self.C, cache_size=500)


LINEAR = Family("linear-svm", "linear SVM", (Svm("linear", 0.001), Svm("linear", 0.1)))
RBF = Family("rbf-svm", "RBF SVM", (Svm("rbf", 0.1), Svm("rbf", 1.0)))
