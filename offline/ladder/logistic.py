"""Logistic regression on capped, imputed, one-hot, scaled columns."""

from __future__ import annotations

from dataclasses import dataclass

from offline.ladder.family import Columns, Family, Model
from offline.ladder.scikit import fit_estimator
from offline.metrics import Floats
from offline.models import Matrix
from offline.transforms import fit_transform_spec


@dataclass(frozen=True)
class Logistic:
    """How freely the weights may grow: `C` is the inverse of the L2 penalty."""

    C: float

    def says(self) -> str:
        """The choice in words."""
        return f"C = {self.C:g}"

    def fit(self, X: Matrix, y: Floats, columns: Columns, seed: int) -> Model:
        """Weights that maximise the penalised likelihood."""
        return fit_estimator("logistic", X, y, fit_transform_spec(X, y, columns), seed, C=self.C)


FAMILY = Family("logistic", "logistic regression", (Logistic(0.01), Logistic(0.1), Logistic(1.0)))
