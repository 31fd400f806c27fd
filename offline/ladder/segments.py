"""Segments of customers by K-means: slices in which churn and score can be looked at by themselves.

A segment is found from features alone, without outcomes, on one row per customer; every row then belongs to the
nearest centre. Counts and money are taken by their logarithm, so that a few heavy users are no segment of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from offline.errors import OfflineError
from offline.ladder.family import Columns, sample
from offline.ladder.scikit import clusters, silhouette
from offline.metrics import Floats
from offline.models import Matrix
from offline.training_set import Bools, TrainingSet
from offline.transforms import Transform, TransformOptions, fit_transform_spec

MOST: Final = 6
MIN_CUSTOMERS: Final = 100
MAX_CUSTOMERS: Final = 20_000
SILHOUETTE_ROWS: Final = 2_000
FARTHEST: Final = 3.0  # standard deviations
NAMED_FROM: Final = 0.3  # standard deviations from the mean of all
N_NAMED: Final = 2


@dataclass(frozen=True, eq=False)
class Segments:
    """Centres and their names, the largest segment first.

    Parameters
    ----------
    columns
        Feature columns of the rows it takes.
    used
        Which of them it looks at, (n_features,).
    centres
        (k, number of transformed columns).
    silhouette
        How well apart they are: 1 well, 0 not at all.
    """

    columns: Columns
    used: Bools
    transform: Transform
    centres: Floats
    names: tuple[str, ...]
    silhouette: float

    def assign(self, X: Matrix) -> NDArray[np.int64]:
        """Segment of each row, (n,)."""
        rows = _scaled(X, self.columns, self.used, self.transform)
        distances = ((self.centres**2).sum(axis=1) - 2.0 * rows @ self.centres.T).argmin(axis=1)
        return np.asarray(distances, dtype=np.int64)

    def labels(self, X: Matrix) -> NDArray[np.object_]:
        """Name of each row's segment (n,), as an evaluation takes them."""
        return np.array(self.names, dtype=object)[self.assign(X)]

    def slices(self, X: Matrix) -> Mapping[str, Bools]:
        """Name -> rows of the segment, (n,)."""
        segment = self.assign(X)
        return {name: segment == code for code, name in enumerate(self.names)}


def training_segments(training: TrainingSet, seed: int) -> Segments:
    """Segments of the customers on their last cut-off before the test block."""
    return find_segments(_last_rows(training), training.plan.columns, seed)


def find_segments(X: Matrix, columns: Columns, seed: int) -> Segments:
    """Segments of customers, one row each, (n, n_features).

    Of 2 to 6 segments the number with the largest mean silhouette is taken, measured on at most 2,000 customers.

    Raises
    ------
    OfflineError
        With fewer than 100 customers, or when no feature tells them apart.
    """
    if len(X) < MIN_CUSTOMERS:
        raise OfflineError(f"{len(X)} customers are too few to look for segments; {MIN_CUSTOMERS} are needed")
    X = X[sample(len(X), MAX_CUSTOMERS, seed)]
    used = np.array([not column.is_calendar and _differs(X[:, j]) for j, column in enumerate(columns)], dtype=bool)
    if not used.any():
        raise OfflineError("no feature tells customers apart: no segments")
    transform = fit_transform_spec(
        _flattened(X, columns)[:, used],
        np.zeros(len(X)),
        tuple(column for column, wanted in zip(columns, used, strict=True) if wanted),
        TransformOptions(indicators=False),
    )
    rows = _scaled(X, columns, used, transform)
    centres, label, score = _best(rows, seed)
    by_size = np.argsort(-np.bincount(label, minlength=len(centres)), kind="stable")
    names = _names(centres[by_size], transform.columns())
    return Segments(columns, used, transform, centres[by_size], names, score)


def _best(rows: Floats, seed: int) -> tuple[Floats, NDArray[np.int64], float]:
    """(centres, segment of each row, silhouette) of the best number of segments."""
    looked_at = sample(len(rows), SILHOUETTE_ROWS, seed)
    found = []
    for k in range(2, MOST + 1):
        centres, label = clusters(rows, k, seed)
        if len(np.unique(label[looked_at])) > 1:
            found.append((silhouette(rows[looked_at], label[looked_at]), centres, label))
    if not found:
        raise OfflineError("no feature tells customers apart: no segments")
    score, centres, label = max(found, key=lambda one: one[0])
    return centres, label, score


def _last_rows(training: TrainingSet) -> Matrix:
    """The last tick row of each customer before the test block."""
    places = np.flatnonzero(training.fold("fit", "between", "later", row_kind=0))
    order = places[np.lexsort((training.rows.as_of_ms[places], training.customer[places]))]
    customer = training.customer[order]
    return training.rows.X[order[np.r_[customer[1:] != customer[:-1], True]]] if len(order) else training.rows.X[:0]


def _differs(values: Matrix) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 0 and float(known.min()) < float(known.max())


def _flattened(X: Matrix, columns: Columns) -> Matrix:
    """Numbers by the logarithm of their size, sign kept; categories as they are."""
    is_category = np.array([column.is_categorical for column in columns], dtype=bool)
    return np.where(is_category, X, np.sign(X) * np.log1p(np.abs(X))).astype(np.float32)


def _scaled(X: Matrix, columns: Columns, used: Bools, transform: Transform) -> Floats:
    return np.clip(transform.matrix(_flattened(X, columns)[:, used]), -FARTHEST, FARTHEST)


def _names(centres: Floats, columns: tuple[str, ...]) -> tuple[str, ...]:
    """A letter, and what lies farthest from the mean of all customers, one column of each feature."""
    return tuple(f"{chr(ord('A') + i)}: {_said(centre, columns)}" for i, centre in enumerate(centres))


def _said(centre: Floats, columns: tuple[str, ...]) -> str:
    said: dict[str, str] = {}
    for j in np.argsort(-np.abs(centre), kind="stable").tolist():
        feature = re.sub(r"_\d+d$", "", columns[j].split(" = ")[0])
        if abs(centre[j]) >= NAMED_FROM and feature not in said and len(said) < N_NAMED:
            said[feature] = _word(columns[j], centre[j] > 0.0)
    return ", ".join(said.values()) or "ordinary"


def _word(column: str, is_high: bool) -> str:
    if " = " in column:
        return column if is_high else column.replace(" = ", " is not ")
    return f"{'high' if is_high else 'low'} {column}"
