"""The search itself: ask for a point, judge it fold by fold, give up early on what is hopeless, stop by the budget.

No files, no clock and no model: the objective, the method and the time are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from offline.tuning.criterion import Criterion
from offline.tuning.methods import Method
from offline.tuning.space import Params
from offline.tuning.trial import Trial, complete

Margins = NDArray[np.float32]
Seconds = Callable[[], float]

N_BEFORE_PRUNING = 5


@dataclass(frozen=True, eq=False)
class FoldResult:
    """What one fold says of a point.

    Parameters
    ----------
    margin
        Log odds of the judged rows, (n_judged,).
    """

    value: float
    n_rounds: int
    margin: Margins


class Objective(Protocol):
    """What judges a point."""

    @property
    def n_folds(self) -> int:
        """Folds, oldest first."""

    def judge(self, params: Params, fold: int) -> FoldResult:
        """Train on the past of a fold and judge what comes after."""


@dataclass(frozen=True)
class Budget:
    """When to stop.

    Parameters
    ----------
    n_trials
        Trials of the whole study, the defaults included; None sets no limit.
    seconds
        Of this run alone; None sets no limit.
    """

    n_trials: int | None = None
    seconds: float | None = None

    def allows(self, done: Sequence[Trial], spent_s: float) -> bool:
        """Whether another trial may begin: by number, and if one of median length would still end in time.

        The first trial of a study, the defaults, may always begin.
        """
        if self.n_trials is not None and len(done) >= self.n_trials:
            return False
        if self.seconds is None or not done:
            return True
        return spent_s + median(trial.seconds for trial in done) <= self.seconds


def search(
    objective: Objective,
    method: Method,
    criterion: Criterion,
    default: Params,
    done: Sequence[Trial],
    budget: Budget,
    *,
    prune: bool = True,
    seconds: Seconds,
) -> Iterator[tuple[Trial, Margins | None]]:
    """Each new trial as it is judged, with the margins of all judged rows; None when it was pruned.

    Parameters
    ----------
    default
        The point of trial 0.
    done
        Trials of an earlier run.
    seconds
        The time, in seconds since any moment.
    """
    trials, began = list(done), seconds()
    while budget.allows(trials, seconds() - began):
        number, start = len(trials), seconds()
        params = default if number == 0 else method.point(number, trials)
        if params is None:
            return
        results = _judged(objective, params, criterion, trials if prune else ())
        is_pruned = len(results) < objective.n_folds
        trials.append(
            Trial(
                number,
                params,
                tuple(result.value for result in results),
                tuple(result.n_rounds for result in results),
                is_pruned,
                seconds() - start,
            )
        )
        yield trials[-1], None if is_pruned else np.concatenate([result.margin for result in results])


def _judged(objective: Objective, params: Params, criterion: Criterion, others: Sequence[Trial]) -> list[FoldResult]:
    results: list[FoldResult] = []
    for fold in range(objective.n_folds):
        results.append(objective.judge(params, fold))
        values = [result.value for result in results]
        if fold + 1 < objective.n_folds and is_hopeless(values, others, criterion):
            break
    return results


def is_hopeless(values: Sequence[float], others: Sequence[Trial], criterion: Criterion) -> bool:
    """Whether the mean over the folds so far is worse than the median of complete trials over the same folds.

    False while fewer than five are complete.
    """
    judged = complete(others)
    if len(judged) < N_BEFORE_PRUNING:
        return False
    n = len(values)
    return criterion.gain(sum(values) / n, median(sum(trial.values[:n]) / n for trial in judged)) < 0
