"""The online challenger on the ladder: progressive over the training rows, judged on the same test rows as the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from offline.folds import TimeFold
from offline.ladder.climb import Answers, Climbed, Clock, calibrated_loss
from offline.ladder.online import LEARNING_RATES, OnlineLogistic
from offline.ladder.progress import Progress
from offline.ladder.progressive import progressive_margins
from offline.ladder.steps import ONLINE, ONLINE_TITLE
from offline.metrics import Floats
from offline.training_set import TrainingSet
from schemas.durations import DAY_MS

N_UNITS = len(LEARNING_RATES)


def climb_online(training: TrainingSet, folds: Sequence[TimeFold], clock: Clock, progress: Progress) -> Climbed:
    """One pass for each learning rate; the one with the lowest log loss on the folds' judged rows is kept.

    A test row whose horizon ends before another test row teaches it too: so would a stream.
    """
    passes = []
    for rate in LEARNING_RATES:
        candidate = OnlineLogistic(rate)
        progress.advance(f"{ONLINE_TITLE}: {candidate.says()}")
        began = clock()
        margins = _margins(training, candidate)
        seconds = clock() - began
        losses = [calibrated_loss(training.y[fold.judge], margins[fold.judge]) for fold in folds]
        passes.append((float(np.mean(losses)), candidate, margins, seconds))
    _, candidate, margins, seconds = min(passes, key=lambda one: one[0])
    n_fit = int(training.fold("fit", "between", "later").sum())
    notes = ("each label was learnt only after its horizon had passed",)
    answers = Answers(margins[training.fold("later")], margins[training.fold("test")], n_fit, seconds, notes)
    return Climbed(ONLINE, ONLINE_TITLE, candidate.says(), None, None, answers)


def _margins(training: TrainingSet, candidate: OnlineLogistic) -> Floats:
    """Margins of every row of a block at its own moment, NaN for others, (n,)."""
    mine = training.fold("fit", "between", "later", "test")
    rows = training.rows
    margins = np.full(len(rows), np.nan)
    margins[mine] = progressive_margins(
        rows.X[mine],
        training.y[mine],
        rows.as_of_ms[mine],
        training.cutoffs.horizon_days * DAY_MS,
        np.ones(int(mine.sum()), dtype=bool),
        candidate.create_learner(training.plan.columns),
    )
    return margins
