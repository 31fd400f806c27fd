"""Labelled rows with a model's answers: what everything in this folder looks at."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from offline.bootstrap import Resampled
from offline.metrics import Floats
from offline.models import Matrix
from offline.training_set import Bools, TrainingSet
from stream_app.model import BoosterModel
from stream_app.plan import FeatureColumn

Labels = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Scored:
    """Rows with outcomes, features and probabilities; all columns of length n.

    Parameters
    ----------
    y
        1 churned, 0 stayed.
    probability, margin
        The model's calibrated answer, and its log odds before calibration.
    threshold
        Of the row's kind.
    kind
        0 tick, 1 event, 2 urgent.
    customer_id, as_of_ms, X
        As in `stream_app.recording.Rows`.
    """

    y: Floats
    probability: Floats
    margin: Floats
    threshold: Floats
    kind: NDArray[np.uint8]
    customer_id: NDArray[np.object_]
    as_of_ms: NDArray[np.int64]
    X: Matrix
    columns: tuple[FeatureColumn, ...]

    def __len__(self) -> int:
        return len(self.y)

    @property
    def flagged(self) -> Bools:
        """Rows at or above their threshold."""
        return self.probability >= self.threshold

    @cached_property
    def customer(self) -> NDArray[np.int64]:
        """Dense customer code per row."""
        return np.asarray(np.unique(self.customer_id.astype(str), return_inverse=True)[1], dtype=np.int64)

    @cached_property
    def resampled(self) -> Resampled:
        """The draws that every interval of these rows is taken from."""
        return Resampled(self.customer)

    def take(self, rows: Bools | NDArray[np.int64]) -> Scored:
        """Some of the rows."""
        return Scored(
            self.y[rows],
            self.probability[rows],
            self.margin[rows],
            self.threshold[rows],
            self.kind[rows],
            self.customer_id[rows],
            self.as_of_ms[rows],
            self.X[rows],
            self.columns,
        )

    @cached_property
    def ticks(self) -> Scored:
        """The rows of daily ticks: one for each customer and cut-off."""
        return self.take(self.kind == 0)


def score_rows(training: TrainingSet, rows: Bools, model: BoosterModel) -> Scored:
    """Some labelled rows of a training set with a model's answers, as the stream would compute them."""
    chosen, kind = training.rows.take(rows), training.rows.kind[rows].astype(np.int64)
    margin = model.margin(chosen.X) if len(chosen) else np.zeros(0, np.float32)
    probability = model.score(chosen.X, kind) if len(chosen) else np.zeros(0, np.float32)
    return Scored(
        training.y[rows],
        probability.astype(np.float64),
        margin.astype(np.float64),
        model.thresholds[kind],
        chosen.kind,
        chosen.customer_id,
        chosen.as_of_ms,
        chosen.X,
        training.plan.columns,
    )


def hashed(customer_id: str, key: str) -> str:
    """A customer id that does not show: 12 hexadecimal digits, the same for the same key."""
    return hashlib.blake2b(customer_id.encode(), key=key.encode()[:64], digest_size=6).hexdigest()
