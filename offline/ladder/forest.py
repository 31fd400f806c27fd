"""A random forest: many deep trees, each on its own sample of rows, and their mean."""

from __future__ import annotations

from dataclasses import dataclass

from offline.ladder.family import Columns, Family, Model
from offline.ladder.scikit import fit_estimator
from offline.metrics import Floats
from offline.models import Matrix

MAX_ROWS_PER_TREE = 20_000


@dataclass(frozen=True)
class Forest:
    """Rows that a leaf must hold, and how many trees."""

    min_leaf: int
    n_trees: int = 200

    def says(self) -> str:
        """The choice in words."""
        return f"{self.n_trees} trees, leaves of {self.min_leaf} rows or more"

    def fit(self, X: Matrix, y: Floats, columns: Columns, seed: int) -> Model:
        """The square root of the columns is looked at for each split; a category is its code."""
        n = min(len(X), MAX_ROWS_PER_TREE)
        notes = (f"each tree saw {n:,} of {len(X):,} rows",) if n < len(X) else ()
        return fit_estimator(
            "forest", X, y, None, seed, notes, n_estimators=self.n_trees, min_samples_leaf=self.min_leaf, max_samples=n
        )


FAMILY = Family("forest", "random forest", (Forest(50), Forest(15), Forest(5)))
