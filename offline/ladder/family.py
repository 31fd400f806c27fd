"""What the steps of the ladder share: a family offers a few candidates; a candidate is fitted and becomes a model.

A candidate is its hyperparameters and nothing else; it knows of no customers, no time and no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from offline.metrics import Floats
from offline.models import Matrix
from stream_app.plan import FeatureColumn

Columns = tuple[FeatureColumn, ...]

SURE = 1e-6


class Model(Protocol):
    """What a candidate becomes."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know about the fit, such as rows left out."""

    def margin(self, X: Matrix) -> Floats:
        """Log odds or another score that rises with the chance to churn, (n,)."""


class Candidate(Protocol):
    """One choice of hyperparameters."""

    def says(self) -> str:
        """The choice in words; empty when there is none."""

    def fit(self, X: Matrix, y: Floats, columns: Columns, seed: int) -> Model:
        """The model of these rows.

        Parameters
        ----------
        X, y
            Feature rows (n, n_features), NaN is missing, and outcomes 0 or 1 (n,), both classes among them.
        columns
            What the columns of X are.
        seed
            Of every random choice.
        """


@dataclass(frozen=True)
class Family:
    """A step of the ladder.

    Parameters
    ----------
    name, title
        On the command line, and in tables.
    candidates
        The simplest first; one of them is chosen on folds in time.
    cut
        Margin from which a row is flagged, when the step says so itself; None lets the calibration rows choose.
    extra
        Optional dependency that must be installed; None when it always is.
    """

    name: str
    title: str
    candidates: tuple[Candidate, ...]
    cut: float | None = None
    extra: str | None = None


def log_odds(probability: Floats) -> Floats:
    """Log odds of probabilities (n,); those of the sure are finite."""
    p = np.clip(np.asarray(probability, dtype=np.float64), SURE, 1.0 - SURE)
    return np.asarray(np.log(p) - np.log1p(-p))


def sample(n: int, n_wanted: int, seed: int) -> slice | np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Places of at most so many of n rows, ascending; all of them when they are few enough."""
    if n <= n_wanted:
        return slice(None)
    return np.sort(np.random.default_rng(seed).choice(n, n_wanted, replace=False))
