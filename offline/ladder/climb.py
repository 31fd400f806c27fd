"""Every step fitted on the same rows: its hyperparameters chosen on folds in time, its answers for later and test rows.

The later rows are answered by a model that has seen the fit block alone, so that they can calibrate it; the test rows
by one that was fitted once more on everything before them, as `offline.train` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from offline.calibrate import fit_platt
from offline.folds import TimeFold
from offline.ladder.family import Candidate, Family, Model, sample
from offline.ladder.progress import Progress
from offline.metrics import Floats, log_loss
from offline.training_set import Bools, TrainingSet

Clock = Callable[[], float]

MAX_FOLD_ROWS = 10_000


@dataclass(frozen=True, eq=False)
class Answers:
    """What a fitted candidate says of the later and the test rows.

    Parameters
    ----------
    later, test
        Margins, in the order of those blocks' rows.
    n_fit, fit_s
        Rows of the last fit, and its seconds.
    """

    later: Floats
    test: Floats
    n_fit: int
    fit_s: float
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Climbed:
    """A step and its answers.

    Parameters
    ----------
    chosen
        Its hyperparameters in words.
    cut
        Margin from which it flags, when it says so itself.
    candidate
        What was chosen; None for the online challenger, which is not fitted.
    """

    name: str
    title: str
    chosen: str
    cut: float | None
    candidate: Candidate | None
    answers: Answers


def climb(
    family: Family, training: TrainingSet, folds: Sequence[TimeFold], seed: int, clock: Clock, progress: Progress
) -> Climbed:
    """Choose, fit and answer for one family."""
    candidate = choose(family, training, folds, seed, progress)
    answers = answers_of(candidate, training, seed, clock, progress, family.title)
    return Climbed(family.name, family.title, candidate.says(), family.cut, candidate, answers)


def n_units(family: Family, n_folds: int) -> int:
    """Units of progress that climbing this family takes."""
    return (n_folds * len(family.candidates) if len(family.candidates) > 1 else 0) + 2


def choose(
    family: Family, training: TrainingSet, folds: Sequence[TimeFold], seed: int, progress: Progress
) -> Candidate:
    """The candidate with the lowest mean log loss over the folds; the first of equals.

    Each fold fits on at most 10,000 rows. Scores are calibrated on the judged rows themselves, two numbers each, so
    that those without a probability compete as well.
    """
    if len(family.candidates) == 1:
        return family.candidates[0]
    losses = []
    for candidate in family.candidates:
        mine = []
        for fold in folds:
            progress.advance(f"{family.title}: {candidate.says()}")
            mine.append(_fold_loss(candidate, training, fold, seed))
        losses.append(float(np.mean(mine)))
    return family.candidates[int(np.argmin(losses))]


def _fold_loss(candidate: Candidate, training: TrainingSet, fold: TimeFold, seed: int) -> float:
    places = np.flatnonzero(fold.fit)
    places = places[sample(len(places), MAX_FOLD_ROWS, seed)]
    model = candidate.fit(training.rows.X[places], training.y[places], training.plan.columns, seed)
    return calibrated_loss(training.y[fold.judge], model.margin(training.rows.X[fold.judge]))


def calibrated_loss(y: Floats, margin: Floats) -> float:
    """Log loss after a calibration on the same rows."""
    return log_loss(y, fit_platt(y, margin).probability(margin))


def some_customers(training: TrainingSet, share: float, seed: int) -> Bools:
    """Rows of a share of the customers before the test block, drawn by the seed; smaller shares lie in larger, (n,)."""
    known = np.unique(training.customer[training.fold("fit", "between", "later")])
    order = np.random.default_rng(seed).permutation(known)
    return np.isin(training.customer, order[: round(share * len(order))])


def answers_of(
    candidate: Candidate,
    training: TrainingSet,
    seed: int,
    clock: Clock,
    progress: Progress,
    title: str,
    allowed: Bools | None = None,
) -> Answers:
    """Fit twice and answer.

    Parameters
    ----------
    title
        Of the family, for the progress.
    allowed
        Rows that may be fitted on, (n,); None allows all.
    """
    progress.advance(f"{title}: fit")
    early, _ = _fit(candidate, training, training.fold("fit"), seed, allowed)
    later = early.margin(training.rows.X[training.fold("later")])
    progress.advance(f"{title}: fit")
    began = clock()
    model, n_fit = _fit(candidate, training, training.fold("fit", "between", "later"), seed, allowed)
    fit_s = clock() - began
    return Answers(later, model.margin(training.rows.X[training.fold("test")]), n_fit, fit_s, model.notes)


def _fit(
    candidate: Candidate, training: TrainingSet, rows: Bools, seed: int, allowed: Bools | None
) -> tuple[Model, int]:
    mine = rows if allowed is None else rows & allowed
    return candidate.fit(training.rows.X[mine], training.y[mine], training.plan.columns, seed), int(mine.sum())
