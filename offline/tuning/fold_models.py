"""Points of the search space judged on folds in time by XGBoost; bins are made once for each fold and bin count.

A fold trains on tick rows up to its past cut-offs and on event rows between them, as a training does; it is judged on
tick rows an embargo later. The only module of this folder that touches XGBoost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.folds import TimeFold
from offline.metrics import Floats
from offline.models import MAX_ROUNDS, PARAMS, PATIENCE, Matrix
from offline.train import recipe_of
from offline.training_set import Bools, TrainingSet
from offline.tuning.criterion import Criterion, Statistic
from offline.tuning.search import FoldResult
from offline.tuning.space import Params, training_params
from schemas.durations import DAY_MS


@dataclass(frozen=True, eq=False)
class JudgedRows:
    """Outcomes of all judged rows, one fold after the other.

    Parameters
    ----------
    y
        1 churned, 0 stayed; (n,).
    customer
        Dense customer code, the same in every fold; (n,).
    ends
        Where each fold ends, (n_folds,).
    """

    y: Floats
    customer: NDArray[np.int64]
    ends: tuple[int, ...]

    def statistic(self, criterion: Criterion, margin: Floats) -> Statistic:
        """Mean over folds of the criterion, as a function of row weights (n,) or None."""
        parts = [slice(begin, end) for begin, end in zip((0, *self.ends), self.ends, strict=False)]
        prepared = [(part, criterion.prepare(self.y[part], margin[part])) for part in parts]

        def mean(weight: Floats | None) -> float:
            values = [of(None if weight is None else weight[part]) for part, of in prepared]
            return sum(values) / len(values)

        return mean


class FoldModels:
    """The objective of a search.

    Parameters
    ----------
    seed
        Of row and column sampling, the same for every point, so that luck does not tell them apart.
    """

    def __init__(
        self,
        training: TrainingSet,
        folds: Sequence[TimeFold],
        criterion: Criterion,
        *,
        n_threads: int = 1,
        seed: int = 0,
    ) -> None:
        self._training, self._folds, self._criterion = training, folds, criterion
        self._fit = [_fit_rows(training, fold) for fold in folds]
        self._options = PARAMS | {"nthread": n_threads, "seed": seed}
        self._binned = lru_cache(maxsize=None)(self._bins)
        self._watched = lru_cache(maxsize=None)(self._judge_matrix)

    @property
    def n_folds(self) -> int:
        """Folds, oldest first."""
        return len(self._folds)

    def fit_rows(self, fold: int) -> Bools:
        """The rows that a fold trains on, (n,)."""
        return self._fit[fold]

    @property
    def judged(self) -> JudgedRows:
        """What the margins of a complete trial belong to."""
        training, rows = self._training, [np.flatnonzero(fold.judge) for fold in self._folds]
        customer = np.unique(training.customer[np.concatenate(rows)], return_inverse=True)[1]
        y = training.y[np.concatenate(rows)]
        return JudgedRows(y, customer.astype(np.int64), tuple(np.cumsum([len(part) for part in rows]).tolist()))

    def judge(self, params: Params, fold: int) -> FoldResult:
        """Train on the past of a fold with early stopping by log loss, and judge what comes after."""
        import xgboost as xgb

        told = training_params(params, self._training.cutoffs.horizon_days)
        options = self._options | dict(told.booster)
        rows, judge = self._fit[fold], self._folds[fold].judge
        matrix, watched = self._binned(fold, int(options["max_bin"])), self._watched(fold)
        weight = recipe_of(told).weights(self._training, rows)
        matrix.set_weight(np.ones(int(rows.sum())) if weight is None else weight)
        booster = xgb.train(
            options | {"base_score": float(np.clip(self._training.y[rows].mean(), 1e-6, 1.0 - 1e-6))},
            matrix,
            MAX_ROUNDS,
            evals=[(watched, "later")],
            early_stopping_rounds=PATIENCE,
            verbose_eval=False,
        )
        n_rounds = int(booster.best_iteration) + 1
        margin = booster.predict(watched, output_margin=True, iteration_range=(0, n_rounds)).astype(np.float32)
        value = self._criterion.prepare(self._training.y[judge], margin.astype(np.float64))(None)
        return FoldResult(value, n_rounds, margin)

    def _bins(self, fold: int, max_bin: int) -> Any:
        """The rows to fit on, cut into bins without weights: the same whatever is judged first."""
        import xgboost as xgb

        X, y = self._rows(self._fit[fold])
        return xgb.QuantileDMatrix(X, y, max_bin=max_bin, nthread=int(self._options["nthread"]))

    def _judge_matrix(self, fold: int) -> Any:
        import xgboost as xgb

        X, y = self._rows(self._folds[fold].judge)
        return xgb.DMatrix(X, y, nthread=int(self._options["nthread"]))

    def _rows(self, rows: Bools) -> tuple[Matrix, Floats]:
        return self._training.rows.X[rows], self._training.y[rows]


def _fit_rows(training: TrainingSet, fold: TimeFold) -> Bools:
    """Tick rows of a fold's past, and event rows of the training blocks up to its last cut-off; (n,)."""
    events = training.fold("fit", "between", "later") & (training.rows.kind != 0)
    return np.asarray(fold.fit | (events & (training.rows.as_of_ms <= fold.fit_days[-1] * DAY_MS)))
