"""Entries of a workload that earn nothing: what the log loss of later rows suffers when their columns are shuffled.

All columns of an entry are shuffled together, among the customers of a cut-off. Entries that say the same share what
they earn, so in the end a model without all the idle ones is compared with the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from offline.bootstrap import Interval
from offline.evaluate import as_json as interval_json
from offline.features.earning import Gain, Judged, fitted, gain_of, judge, mean_by_customer
from offline.features.rows import take_rows
from offline.first_reading import Reading, read_first
from offline.folds import TimeFold, time_folds
from offline.metrics import Floats
from offline.models import BoostedTrees
from offline.training_set import TrainingSet
from schemas.workload import Workload

N_FOLDS = 4
N_SHUFFLES = 3


@dataclass(frozen=True)
class Earned:
    """What an entry earns.

    Parameters
    ----------
    log_loss
        How much worse it gets when the entry is shuffled, in nats per row, over all folds.
    n_folds, n_folds_helped
        Folds, and those in which it got worse.
    """

    name: str
    columns: tuple[str, ...]
    log_loss: Interval
    n_folds: int
    n_folds_helped: int

    @property
    def is_idle(self) -> bool:
        """Whether it cannot be told from an entry that does nothing."""
        return not self.log_loss.low > 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "columns": list(self.columns),
            "log_loss": interval_json(self.log_loss),
            "n_folds": self.n_folds,
            "n_folds_helped": self.n_folds_helped,
            "is_idle": self.is_idle,
        }


@dataclass(frozen=True)
class Selection:
    """Entries by what they earn, most first, and what all idle ones earn together (None: there are none, or only)."""

    n_rows: int
    earned: tuple[Earned, ...]
    idle_together: Gain | None
    verdict: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "n_rows": self.n_rows,
            "entries": [entry.as_json() for entry in self.earned],
            "idle_together": None if self.idle_together is None else self.idle_together.as_json(),
            "verdict": self.verdict,
        }


def select(
    workload: Workload,
    history: Reading,
    *,
    known_until_ms: int | None = None,
    n_threads: int = 1,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Selection:
    """Measure every entry of a workload.

    Raises
    ------
    OfflineError
        When the history is too short for a fold in time, or has no labels.
    """
    say("reading the history")
    training = take_rows(workload, history, read_first(workload, history, known_until_ms))
    folds = time_folds(training, N_FOLDS)
    say(f"{len(training.rows):,} rows, {len(folds)} folds, {len(workload.features)} entries")
    place = {name: j for j, name in enumerate(training.plan.feature_names)}
    models = [fitted(training, fold, list(place.values()), n_threads, seed) for fold in folds]
    found = []
    for at, feature in enumerate(workload.features, 1):
        columns = [place[name] for name in feature.columns()]
        found.append(_earned(training, folds, models, feature.name, feature.columns(), columns, seed))
        if at % 10 == 0:
            say(f"{at} of {len(workload.features)} entries")
    found.sort(key=lambda entry: -entry.log_loss.value)
    idle = {name for entry in found if entry.is_idle for name in entry.columns}
    together = None
    if idle and len(idle) < len(place):
        busy = [j for name, j in place.items() if name not in idle]
        whole = judge(training, folds, list(place.values()), n_threads, seed)
        together = gain_of(whole, judge(training, folds, busy, n_threads, seed))
    return Selection(len(training.rows), tuple(found), together, _verdict(found, together))


def _earned(
    training: TrainingSet,
    folds: Sequence[TimeFold],
    models: Sequence[BoostedTrees],
    name: str,
    names: tuple[str, ...],
    columns: list[int],
    seed: int,
) -> Earned:
    suffered = [_suffered(training, fold, model, columns, seed) for fold, model in zip(folds, models, strict=True)]
    rows = np.concatenate([np.flatnonzero(fold.judge) for fold in folds])
    customer = np.unique(training.customer[rows], return_inverse=True)[1].astype(np.int64)
    helped = sum(bool(loss.mean() > 0.0) for loss in suffered)
    return Earned(name, names, mean_by_customer(np.concatenate(suffered), customer), len(folds), helped)


def _suffered(training: TrainingSet, fold: TimeFold, model: BoostedTrees, columns: list[int], seed: int) -> Floats:
    """Log loss of each judged row with the columns shuffled, minus that without, (n,)."""
    X, y, day = training.rows.X[fold.judge], training.y[fold.judge], training.rows.as_of_ms[fold.judge]
    plain = Judged(y, np.zeros(len(y), np.int64), model.margin(X)).loss
    rng, worse = np.random.default_rng(seed), np.zeros(len(y))
    for _ in range(N_SHUFFLES):
        order = np.lexsort((rng.random(len(y)), day))
        mixed = X.copy()
        mixed[np.ix_(np.argsort(day, kind="stable"), np.array(columns))] = X[np.ix_(order, np.array(columns))]
        worse += Judged(y, np.zeros(len(y), np.int64), model.margin(mixed)).loss - plain
    return worse / N_SHUFFLES


def _verdict(found: Sequence[Earned], together: Gain | None) -> str:
    idle = [entry.name for entry in found if entry.is_idle]
    if not idle:
        return "every entry earns its place"
    if together is None:
        return "no entry earns anything: the features do not tell who leaves"
    change = f"{together.log_loss.value:.5f} ({together.log_loss.low:.5f} to {together.log_loss.high:.5f})"
    if together.log_loss.low > 0.0:
        return f"{len(idle)} entries earn nothing alone but {change} together: they stand in for each other; drop some"
    return f"{len(idle)} entries can go; without all of them log loss changes by {change}: {', '.join(idle)}"
