"""One decision tree: questions that a person can read."""

from __future__ import annotations

from dataclasses import dataclass

from offline.ladder.family import Columns, Family, Model
from offline.ladder.scikit import fit_estimator
from offline.metrics import Floats
from offline.models import Matrix


@dataclass(frozen=True)
class Tree:
    """Questions in a row at most, and rows that a leaf must hold."""

    max_depth: int
    min_leaf: int

    def says(self) -> str:
        """The choice in words."""
        return f"depth {self.max_depth}, leaves of {self.min_leaf} rows or more"

    def fit(self, X: Matrix, y: Floats, columns: Columns, seed: int) -> Model:
        """Split by Gini impurity; a missing value goes to the better side, a category is its code."""
        return fit_estimator("tree", X, y, None, seed, max_depth=self.max_depth, min_samples_leaf=self.min_leaf)


FAMILY = Family("tree", "decision tree", (Tree(3, 50), Tree(5, 50), Tree(7, 20)))
