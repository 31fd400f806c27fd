"""LightGBM, an optional dependency: boosted trees that grow leaf by leaf. The only module that imports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from offline.ladder.family import Columns, Family
from offline.metrics import Floats
from offline.models import Matrix

PARAMS: Final[dict[str, Any]] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_data_in_leaf": 20,
    "lambda_l2": 5.0,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.6,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
"""As shallow and as careful as the XGBoost step, so that the library is what differs."""


@dataclass(frozen=True, eq=False)
class LeafwiseModel:
    """A booster."""

    booster: Any
    notes: tuple[str, ...] = ()

    def margin(self, X: Matrix) -> Floats:
        """What its trees add up to, in log odds, (n,)."""
        if not len(X):
            return np.zeros(0)
        return np.asarray(self.booster.predict(X, raw_score=True), dtype=np.float64)


@dataclass(frozen=True)
class Leafwise:
    """How many trees are added up."""

    n_rounds: int

    def says(self) -> str:
        """The choice in words."""
        return f"{self.n_rounds} trees"

    def fit(self, X: Matrix, y: Floats, columns: Columns, seed: int) -> LeafwiseModel:
        """Boost for so many rounds, with one thread; a category is its code."""
        import lightgbm

        rows = lightgbm.Dataset(X, label=y, params={"verbosity": -1})
        return LeafwiseModel(lightgbm.train(PARAMS | {"seed": seed}, rows, self.n_rounds))


FAMILY = Family("lightgbm", "LightGBM", tuple(Leafwise(n) for n in (30, 60, 120, 240)), extra="lightgbm")
