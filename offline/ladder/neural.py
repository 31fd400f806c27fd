"""A small neural network: one hidden layer, trained for a fixed number of epochs."""

from __future__ import annotations

from dataclasses import dataclass

from offline.ladder.family import Columns, Family, Model
from offline.ladder.scikit import fit_estimator
from offline.metrics import Floats
from offline.models import Matrix
from offline.transforms import fit_transform_spec

N_HIDDEN = 32
N_EPOCHS = 15


@dataclass(frozen=True)
class Neural:
    """How strongly large weights are punished (L2)."""

    alpha: float

    def says(self) -> str:
        """The choice in words."""
        return f"{N_HIDDEN} hidden units, {N_EPOCHS} epochs, L2 {self.alpha:g}"

    def fit(self, X: Matrix, y: Floats, columns: Columns, seed: int) -> Model:
        """Adam on capped, imputed, one-hot, scaled columns; no row is kept back to stop early, since it would be later
        rows of the same customers that told when.
        """
        transform = fit_transform_spec(X, y, columns)
        return fit_estimator(
            "mlp", X, y, transform, seed, alpha=self.alpha, hidden_layer_sizes=(N_HIDDEN,), max_iter=N_EPOCHS
        )


FAMILY = Family("mlp", "neural network", (Neural(10.0), Neural(1.0), Neural(0.01)))
