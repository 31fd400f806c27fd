"""What columns earn: how much lower the log loss of XGBoost is with them, on folds in time, paired by customer.

Both sides are trained alike, so only the columns differ. A gain counts when it is beyond chance even after as many
tries as were made (Bonferroni), by a normal approximation over customers; the interval shown is the bootstrap's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.bootstrap import Interval, interval
from offline.evaluate import as_json as interval_json
from offline.folds import TimeFold
from offline.metrics import Floats, roc_auc
from offline.models import BoostedTrees
from offline.training_set import TrainingSet

N_ROUNDS = 120
N_REPLICATES = 200
LEVEL = 0.05

Int64s = NDArray[np.int64]


@dataclass(frozen=True)
class Gain:
    """What some columns add.

    Parameters
    ----------
    log_loss
        How much lower it is with them, in nats per row.
    auc
        How much higher it is with them.
    z
        Gain in log loss over its standard error, customers resampled.
    """

    log_loss: Interval
    auc: Interval
    z: float

    def is_beyond_chance(self, n_tries: int = 1) -> bool:
        """Whether chance alone would hardly give so much in that many tries."""
        return self.z > NormalDist().inv_cdf(1.0 - LEVEL / max(1, n_tries))

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"log_loss": interval_json(self.log_loss), "auc": interval_json(self.auc)}


@dataclass(frozen=True, eq=False)
class Judged:
    """The rows that folds are judged on, one after the other, and a model's margins there."""

    y: Floats
    customer: Int64s
    margin: Floats

    @property
    def loss(self) -> Floats:
        """Log loss per row, (n,)."""
        return np.asarray(np.logaddexp(0.0, self.margin) - self.y * self.margin)


def judge(
    training: TrainingSet, folds: Sequence[TimeFold], columns: Sequence[int], n_threads: int = 1, seed: int = 0
) -> Judged:
    """Margins on every judged row of a model of these columns that was fitted on the rows of its fold."""
    margins = [
        fitted(training, fold, columns, n_threads, seed).margin(training.rows.X[np.ix_(fold.judge, np.array(columns))])
        for fold in folds
    ]
    rows = [np.flatnonzero(fold.judge) for fold in folds]
    at = np.concatenate(rows)
    customer = np.unique(training.customer[at], return_inverse=True)[1].astype(np.int64)
    return Judged(training.y[at], customer, np.concatenate(margins))


def fitted(
    training: TrainingSet, fold: TimeFold, columns: Sequence[int], n_threads: int = 1, seed: int = 0
) -> BoostedTrees:
    """A model of these columns on the rows of a fold."""
    X = training.rows.X[np.ix_(fold.fit, np.array(columns))]
    return BoostedTrees(n_threads, seed).fit(X, training.y[fold.fit], N_ROUNDS)


def gain_of(more: Judged, fewer: Judged) -> Gain:
    """What the first model has over the second on the same rows."""
    return Gain(
        mean_by_customer(fewer.loss - more.loss, more.customer),
        interval(
            more.customer,
            lambda w: roc_auc(more.y, more.margin, w) - roc_auc(more.y, fewer.margin, w),
            N_REPLICATES,
        ),
        z_by_customer(fewer.loss - more.loss, more.customer),
    )


def mean_by_customer(value: Floats, customer: Int64s) -> Interval:
    """Mean per row with an interval that resamples customers."""
    return interval(customer, lambda w: float(np.average(value, weights=w)), N_REPLICATES)


def z_by_customer(value: Floats, customer: Int64s) -> float:
    """Mean over its standard error, rows of a customer taken together; 0 when nothing varies."""
    total = np.bincount(customer, weights=value - value.mean())
    error = float(np.sqrt((total**2).sum())) / len(value)
    return float(value.mean()) / error if error > 0 else 0.0
