"""The online challenger on the ladder: progressive over the training rows, judged on the same test rows as the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from offline.folds import TimeFold
from offline.ladder.climb import Answers, Climbed, Clock, calibrated_loss, some_customers
from offline.ladder.online import LEARNING_RATES, OnlineLogistic
from offline.ladder.progress import Progress
from offline.ladder.progressive import progressive_margins
from offline.ladder.steps import ONLINE, ONLINE_TITLE
from offline.metrics import Floats
from offline.training_set import Bools, TrainingSet
from schemas.durations import DAY_MS

N_UNITS = len(LEARNING_RATES) + 1
MAX_CHOICE_ROWS = 30_000


def climb_online(
    training: TrainingSet, folds: Sequence[TimeFold], seed: int, clock: Clock, progress: Progress
) -> Climbed:
    """One pass over all rows, with the learning rate that had the lowest log loss on the folds' judged rows.

    The rate is chosen on customers who have about 30,000 rows together. A test row whose horizon ends before another
    test row teaches it too: so would a stream.
    """
    candidate = _choose(training, folds, seed, progress)
    progress.advance(f"{ONLINE_TITLE}: {candidate.says()}")
    began = clock()
    margins = _margins(training, candidate, _block_rows(training))
    seconds = clock() - began
    n_fit = int(training.fold("fit", "between", "later").sum())
    notes = ("each label was learnt only after its horizon had passed",)
    answers = Answers(margins[training.fold("later")], margins[training.fold("test")], n_fit, seconds, notes)
    return Climbed(ONLINE, ONLINE_TITLE, candidate.says(), None, None, answers)


def _choose(training: TrainingSet, folds: Sequence[TimeFold], seed: int, progress: Progress) -> OnlineLogistic:
    rows = _block_rows(training) & ~training.fold("test")
    rows &= some_customers(training, min(1.0, MAX_CHOICE_ROWS / max(1, int(rows.sum()))), seed)
    losses = []
    for rate in LEARNING_RATES:
        progress.advance(f"{ONLINE_TITLE}: learning rate {rate:g}")
        margins = _margins(training, OnlineLogistic(rate), rows)
        judged = [fold.judge & rows for fold in folds if (fold.judge & rows).any()]
        losses.append(sum(calibrated_loss(training.y[mine], margins[mine]) for mine in judged))
    return OnlineLogistic(LEARNING_RATES[int(np.argmin(losses))])


def _block_rows(training: TrainingSet) -> Bools:
    return training.fold("fit", "between", "later", "test")


def _margins(training: TrainingSet, candidate: OnlineLogistic, mine: Bools) -> Floats:
    """Margins of these rows at their own moments, NaN for others, (n,); no other row is taught."""
    rows = training.rows
    margins = np.full(len(rows), np.nan)
    margins[mine] = progressive_margins(
        rows.X[mine],
        training.y[mine],
        rows.as_of_ms[mine],
        training.cutoffs.horizon_days * DAY_MS,
        candidate.create_learner(training.plan.columns),
    )
    return margins
