"""Knowing nothing about a customer: everybody has the same chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offline.ladder.family import Columns, Family, log_odds
from offline.metrics import Floats
from offline.models import Matrix


@dataclass(frozen=True)
class PriorModel:
    """The log odds of the base rate for every row."""

    log_odds: float
    notes: tuple[str, ...] = ()

    def margin(self, X: Matrix) -> Floats:
        """The same number for every row, (n,)."""
        return np.full(len(X), self.log_odds)


@dataclass(frozen=True)
class Prior:
    """Nothing to choose."""

    def says(self) -> str:
        """The choice in words."""
        return ""

    def fit(self, X: Matrix, y: Floats, columns: Columns, seed: int) -> PriorModel:
        """The share of positives."""
        return PriorModel(float(log_odds(np.array([y.mean()]))[0]))


FAMILY = Family("prior", "prior", (Prior(),))
