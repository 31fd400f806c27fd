"""XGBoost that predicts a value. The only module of this folder that touches the library.

Two losses: squared error, and Tweedie (many zeros, a long tail, nothing below zero). Both answer with a mean.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np

from offline.metrics import Floats
from offline.models import MAX_ROUNDS, PARAMS, PATIENCE, Matrix

Loss = Literal["squared error", "Tweedie"]

LOSSES: Final[dict[Loss, dict[str, Any]]] = {
    "squared error": {"objective": "reg:squarederror"},
    "Tweedie": {"objective": "reg:tweedie", "tweedie_variance_power": 1.5},
}


class ValueTrees:
    """Boosted trees on float32 with NaN for missing, with the shape of the classifier's trees.

    Parameters
    ----------
    n_threads, seed
        As of `offline.models.BoostedTrees`.
    """

    def __init__(self, loss: Loss, n_threads: int = 1, seed: int = 0) -> None:
        self.loss = loss
        self._params = PARAMS | LOSSES[loss] | {"eval_metric": "rmse", "nthread": n_threads, "seed": seed}
        self._scale = 1.0
        self._booster: Any = None

    def best_n_rounds(self, X: Matrix, y: Floats, X_later: Matrix, y_later: Floats) -> int:
        """Rounds after which the error on later rows stopped falling, at least one."""
        booster = self._train(X, y, MAX_ROUNDS, (X_later, y_later))
        return int(booster.best_iteration) + 1

    def fit(self, X: Matrix, y: Floats, n_rounds: int) -> ValueTrees:
        """Train that many rounds."""
        self._booster = self._train(X, y, n_rounds, None)
        return self

    def predict(self, X: Matrix) -> Floats:
        """Expected value, (n,)."""
        import xgboost as xgb

        found = self._booster.predict(xgb.DMatrix(X, nthread=self._params["nthread"]))
        return np.asarray(found, dtype=np.float64) * self._scale

    def _train(self, X: Matrix, y: Floats, n_rounds: int, later: tuple[Matrix, Floats] | None) -> Any:
        import xgboost as xgb

        mean = float(y.mean())
        self._scale = scale = abs(mean) or 1.0  # so that regularisation does not depend on the currency
        n_threads = self._params["nthread"]
        watched = [] if later is None else [(xgb.DMatrix(later[0], later[1] / scale, nthread=n_threads), "later")]
        return xgb.train(
            self._params | {"base_score": mean / scale},
            xgb.DMatrix(X, y / scale, nthread=n_threads),
            n_rounds,
            evals=watched,
            early_stopping_rounds=None if later is None else PATIENCE,
            verbose_eval=False,
        )
