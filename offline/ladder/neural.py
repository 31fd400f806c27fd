"""A small neural network: one hidden layer, trained for a number of epochs that only the number of rows decides."""

from __future__ import annotations

from dataclasses import dataclass

from offline.ladder.family import Columns, Family, Model
from offline.ladder.scikit import fit_estimator
from offline.metrics import Floats
from offline.models import Matrix
from offline.transforms import fit_transform_spec

N_HIDDEN = 32
N_ROWS_SEEN = 300_000  # rows times epochs, about
FEWEST_EPOCHS, MOST_EPOCHS = 8, 150


@dataclass(frozen=True)
class Neural:
    """How strongly large weights are punished (L2)."""

    alpha: float

    def says(self) -> str:
        """The choice in words."""
        return f"{N_HIDDEN} hidden units, L2 {self.alpha:g}"

    def fit(self, X: Matrix, y: Floats, columns: Columns, seed: int) -> Model:
        """Adam on capped, imputed, one-hot, scaled columns.

        No rows are kept back to stop early: a random part of them would hold the same customers as the rest.
        """
        transform = fit_transform_spec(X, y, columns)
        n_epochs = min(max(N_ROWS_SEEN // len(X), FEWEST_EPOCHS), MOST_EPOCHS)
        return fit_estimator(
            "mlp", X, y, transform, seed, alpha=self.alpha, hidden_layer_sizes=(N_HIDDEN,), max_iter=n_epochs
        )


FAMILY = Family("mlp", "neural network", (Neural(10.0), Neural(1.0), Neural(0.1)))
