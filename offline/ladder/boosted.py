"""XGBoost with the parameters of `offline.models`, as it is trained for release; only the rounds are chosen here."""

from __future__ import annotations

from dataclasses import dataclass

from offline.ladder.family import Columns, Family
from offline.metrics import Floats
from offline.models import BoostedTrees, Matrix


@dataclass(frozen=True, eq=False)
class BoostedModel:
    """A booster."""

    trees: BoostedTrees
    notes: tuple[str, ...] = ()

    def margin(self, X: Matrix) -> Floats:
        """What its trees add up to, in log odds, (n,)."""
        return self.trees.margin(X)


@dataclass(frozen=True)
class Boosted:
    """How many trees are added up."""

    n_rounds: int

    def says(self) -> str:
        """The choice in words."""
        return f"{self.n_rounds} trees"

    def fit(self, X: Matrix, y: Floats, columns: Columns, seed: int) -> BoostedModel:
        """Boost for so many rounds, with one thread."""
        return BoostedModel(BoostedTrees(1, seed).fit(X, y, self.n_rounds))


FAMILY = Family("xgboost", "XGBoost", tuple(Boosted(n) for n in (30, 60, 120, 240, 400)))
