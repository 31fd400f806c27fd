"""Folds in time for choosing things before the test block: train on what is past, judge on what comes an embargo later.

The test block of a split is never in a fold. A row of a fold's training side has its label known before the first
row it is judged on: `Cutoffs.horizon_days` lie between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offline.errors import OfflineError
from offline.training_set import Bools, TrainingSet
from schemas.durations import DAY_MS


@dataclass(frozen=True, eq=False)
class TimeFold:
    """Rows to fit on and rows to judge on, (n,) each, and the cut-offs they were taken at.

    Parameters
    ----------
    fit_days, judge_days
        Days since the epoch, ascending.
    """

    fit: Bools
    judge: Bools
    fit_days: tuple[int, ...]
    judge_days: tuple[int, ...]


def time_folds(training: TrainingSet, n_folds: int = 3) -> list[TimeFold]:
    """At most ``n_folds`` folds over the training cut-offs, the judged blocks apart from each other, oldest first.

    Parameters
    ----------
    n_folds
        How many blocks of cut-offs are judged; fewer when the history is short.

    Raises
    ------
    OfflineError
        When not one fold has both classes on both sides.
    """
    days, horizon = np.array(training.cutoffs.train_days, np.int64), training.cutoffs.horizon_days
    candidates = days[days >= days[0] + horizon] if len(days) else days
    found = []
    for block in np.array_split(candidates, min(n_folds, len(candidates)) or 1):
        past = days[days <= block[0] - horizon] if len(block) else block
        fold = TimeFold(_rows(training, past), _rows(training, block), tuple(past.tolist()), tuple(block.tolist()))
        if _has_both(training, fold.fit) and _has_both(training, fold.judge):
            found.append(fold)
    if not found:
        raise OfflineError(
            f"no fold in time has leavers and stayers on both sides: {len(days)} training cut-offs, "
            f"a label horizon of {horizon} days; bring in more history"
        )
    return found


def _rows(training: TrainingSet, days: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Bools:
    """Labelled tick rows at these cut-offs, (n,)."""
    rows = training.rows
    return np.asarray((rows.kind == 0) & np.isin(rows.as_of_ms, days * DAY_MS) & np.isfinite(training.y))


def _has_both(training: TrainingSet, rows: Bools) -> bool:
    n_positive = training.y[rows].sum()
    return bool(0 < n_positive < rows.sum())
