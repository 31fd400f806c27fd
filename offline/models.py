"""The two models that are trained: logistic regression (a yardstick) and XGBoost (what is released).

Both answer with a margin in log odds. Nothing here knows about customers, time or files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.metrics import Floats
from stream_app.plan import FeatureColumn

Matrix = NDArray[np.float32]

MAX_ROUNDS = 400
PATIENCE = 30
PARAMS: dict[str, Any] = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
    "learning_rate": 0.05,
    "max_depth": 3,
    "min_child_weight": 5.0,
    "reg_lambda": 5.0,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "max_bin": 128,
}
"""Regularised for few positives: shallow trees, at least five effective rows in a leaf, row and column sampling."""


class BoostedTrees:
    """XGBoost on float32 with NaN for missing and categories as their codes.

    Parameters
    ----------
    n_threads
        Threads of XGBoost; the model is the same bytes for the same number.
    seed
        What makes row and column sampling repeatable.
    params
        In place of, or beside, `PARAMS`.
    """

    def __init__(self, n_threads: int = 1, seed: int = 0, params: Mapping[str, Any] | None = None) -> None:
        self._params = PARAMS | dict(params or {}) | {"nthread": n_threads, "seed": seed}
        self.booster: Any = None

    def best_n_rounds(
        self, X: Matrix, y: Floats, X_later: Matrix, y_later: Floats, weight: Floats | None = None
    ) -> int:
        """Rounds after which log loss on later rows stopped falling, at least one; weights (n,) of the earlier rows."""
        import xgboost as xgb

        watched = xgb.train(
            self._params | {"base_score": _base_rate(y)},
            _matrix(X, y, weight),
            MAX_ROUNDS,
            evals=[(_matrix(X_later, y_later), "later")],
            early_stopping_rounds=PATIENCE,
            verbose_eval=False,
        )
        return int(watched.best_iteration) + 1

    def fit(self, X: Matrix, y: Floats, n_rounds: int, weight: Floats | None = None) -> BoostedTrees:
        """Train that many rounds and keep the booster, features named f0, f1, ..."""
        import xgboost as xgb

        self.booster = xgb.train(self._params | {"base_score": _base_rate(y)}, _matrix(X, y, weight), n_rounds)
        return self

    def margin(self, X: Matrix) -> Floats:
        """Log odds before calibration, (n,)."""
        if not len(X):
            return np.zeros(0)
        return np.asarray(self.booster.predict(_matrix(X, None), output_margin=True), dtype=np.float64)

    def save(self) -> bytes:
        """The booster as UBJ."""
        return bytes(self.booster.save_raw("ubj"))


def _base_rate(y: Floats) -> float:
    return float(np.clip(y.mean(), 1e-6, 1.0 - 1e-6))


def _matrix(X: Matrix, y: Floats | None, weight: Floats | None = None) -> Any:
    import xgboost as xgb

    names = [f"f{i}" for i in range(X.shape[1])]
    return xgb.DMatrix(np.asarray(X, dtype=np.float32), label=y, weight=weight, feature_names=names)


@dataclass(frozen=True)
class Logistic:
    """Logistic regression on imputed, scaled, one-hot columns, kept as plain numbers so that JSON can carry it.

    Parameters
    ----------
    n_codes
        Per feature: number of category codes, or 0 for a number.
    median, mean, scale
        Imputation per feature (n_features,), and scaling per expanded column.
    weights, intercept
        In log odds per scaled column.
    """

    n_codes: tuple[int, ...]
    median: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def margin(self, X: Matrix) -> Floats:
        """Log odds, (n,)."""
        columns = (_expand(X, self.n_codes, np.array(self.median)) - np.array(self.mean)) / np.array(self.scale)
        return np.asarray(columns @ np.array(self.weights) + self.intercept)


def fit_logistic(X: Matrix, y: Floats, features: tuple[FeatureColumn, ...]) -> Logistic:
    """Fit with an L2 penalty (C = 0.1); rows with NaN take the column's median."""
    from sklearn.linear_model import LogisticRegression

    n_codes = tuple(len(f.categories) + 1 if f.is_categorical else 0 for f in features)
    median = _medians(X)
    columns = _expand(X, n_codes, median)
    mean, scale = columns.mean(axis=0), columns.std(axis=0)
    scale[scale == 0.0] = 1.0
    model = LogisticRegression(C=0.1, max_iter=500).fit((columns - mean) / scale, y)
    return Logistic(
        n_codes=n_codes,
        median=tuple(median.tolist()),
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        weights=tuple(model.coef_[0].tolist()),
        intercept=float(model.intercept_[0]),
    )


def _medians(X: Matrix) -> Floats:
    medians = np.zeros(X.shape[1])
    for j in range(X.shape[1]):
        seen = X[np.isfinite(X[:, j]), j]
        medians[j] = float(np.median(seen)) if len(seen) else 0.0
    return medians


def _expand(X: Matrix, n_codes: tuple[int, ...], median: Floats) -> Floats:
    """Numbers imputed by the median; categories as indicators, all zero when missing."""
    columns: list[Floats] = []
    for j, n in enumerate(n_codes):
        column = X[:, j].astype(np.float64)
        if n:
            columns.extend((column == code).astype(np.float64) for code in range(n))
        else:
            columns.append(np.where(np.isfinite(column), column, median[j]))
    return np.column_stack(columns)
