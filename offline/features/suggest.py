"""Entries that earn their place beside those of a workload: a shortlist, then one after the other on folds in time.

The older folds choose; the newest fold, which chose nothing, must agree in the end, else nothing is kept. The test
block of a training is never looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from offline.entries import with_features
from offline.errors import OfflineError
from offline.features.candidates import Occurrences, candidates
from offline.features.earning import Gain, Judged, fitted, gain_of, judge
from offline.features.rows import take_rows
from offline.first_reading import Reading, read_first
from offline.folds import TimeFold, time_folds
from offline.metrics import Floats
from offline.training_set import TrainingSet
from schemas.workload import WINDOWED_TYPES, Feature, Workload
from schemas.workload_parse import MAX_COLUMNS

SHORTLIST = 12
MAX_WINDOWS = 2
N_FOLDS = 3
MAX_CANDIDATE_COLUMNS = 600


@dataclass(frozen=True)
class Tried:
    """An entry of the shortlist and what it earned beside all that was kept before it."""

    feature: Feature
    gain: Gain
    is_kept: bool


@dataclass(frozen=True)
class Suggestion:
    """What came of it.

    Parameters
    ----------
    n_candidates, n_columns
        Entries and columns that were looked at.
    tried
        The shortlist, in the order of the trial.
    confirmed
        What all kept entries together earn on the newest fold; None when none was kept before it.
    verdict
        One sentence.
    """

    n_candidates: int
    n_columns: int
    n_rows: int
    tried: tuple[Tried, ...]
    confirmed: Gain | None
    kept: tuple[Feature, ...]
    verdict: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "n_candidates": self.n_candidates,
            "n_columns": self.n_columns,
            "n_rows": self.n_rows,
            "tried": [
                {"columns": list(t.feature.columns()), "kept": t.is_kept, "gain": t.gain.as_json()} for t in self.tried
            ],
            "on_the_newest_fold": None if self.confirmed is None else self.confirmed.as_json(),
            "kept": [feature.name for feature in self.kept],
            "verdict": self.verdict,
        }


def suggest(
    workload: Workload,
    history: Reading,
    *,
    known_until_ms: int | None = None,
    n_threads: int = 1,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Suggestion:
    """Look for entries that the workload lacks.

    Raises
    ------
    OfflineError
        When the history is too short for two folds in time, or has no labels.
    """
    occurrences = Occurrences(workload)
    say("reading the history")
    first = read_first(workload, history, known_until_ms, occurrences.update)
    found = _fitting(workload, candidates(workload, occurrences))
    n_columns = sum(len(feature.columns()) for feature in found)
    say(f"{len(found)} candidates with {n_columns} columns; taking rows")
    training = take_rows(with_features(workload, found), history, first)
    folds = time_folds(training, N_FOLDS)
    if len(folds) < 2:
        raise OfflineError("one fold in time is not enough to choose and to confirm; bring in more history")
    search = _Search(training, folds, len(workload.columns()), n_threads, seed)
    shortlist = search.shortlist(found)
    say(f"{len(training.rows):,} rows, {len(folds)} folds; trying {len(shortlist)} entries")
    tried = search.forward(shortlist, say)
    kept = tuple(t.feature for t in tried if t.is_kept)
    confirmed = search.confirm(kept) if kept else None
    agreed = confirmed is not None and confirmed.log_loss.value > 0.0
    verdict = _verdict(kept, confirmed, len(found))
    return Suggestion(
        len(found), n_columns, len(training.rows), tuple(tried), confirmed, kept if agreed else (), verdict
    )


def _fitting(workload: Workload, found: Sequence[Feature]) -> tuple[Feature, ...]:
    """As many candidates as columns allow, in order."""
    room = min(MAX_CANDIDATE_COLUMNS, MAX_COLUMNS - len(workload.columns()))
    taken: list[Feature] = []
    for feature in found:
        room -= len(feature.columns())
        if room < 0:
            break
        taken.append(feature)
    return tuple(taken)


def _verdict(kept: Sequence[Feature], confirmed: Gain | None, n_candidates: int) -> str:
    if confirmed is None:
        return f"none of {n_candidates} candidates earns its place: the gains are what chance gives in as many tries"
    span = f"{confirmed.log_loss.value:.5f} ({confirmed.log_loss.low:.5f} to {confirmed.log_loss.high:.5f})"
    if not confirmed.log_loss.value > 0.0:
        return f"{len(kept)} entries looked good, but the newest fold does not agree ({span}): nothing is kept"
    sure = "" if confirmed.log_loss.low > 0.0 else "; the interval covers 0, so it may be chance"
    return f"{len(kept)} entries earn their place; on the newest fold log loss is lower by {span}{sure}"


class _Search:
    """Forward selection over the columns of one training set."""

    def __init__(self, training: TrainingSet, folds: Sequence[TimeFold], n_own: int, n_threads: int, seed: int) -> None:
        self._training, self._choosing, self._newest = training, folds[:-1], folds[-1:]
        self._own = list(range(n_own))
        self._place = {name: j for j, name in enumerate(training.plan.feature_names)}
        self._n_threads, self._seed = n_threads, seed

    def shortlist(self, found: Sequence[Feature]) -> list[Feature]:
        """Entries that trees with all columns use most, with their best windows."""
        power = self._power()
        entries = [_best_windows(feature, [power[self._place[c]] for c in feature.columns()]) for feature in found]
        strength = [sum(power[self._place[c]] for c in feature.columns()) for feature in entries]
        order = np.argsort(-np.array(strength), kind="stable")[:SHORTLIST]
        return [entries[i] for i in order if strength[i] > 0.0]

    def forward(self, shortlist: Sequence[Feature], say: Callable[[str], None]) -> list[Tried]:
        """Each entry beside all kept before it."""
        columns, tried = list(self._own), []
        current = self._judge(self._choosing, columns)
        for at, feature in enumerate(shortlist, 1):
            more = columns + [self._place[name] for name in feature.columns()]
            judged = self._judge(self._choosing, more)
            gain = gain_of(judged, current)
            tried.append(Tried(feature, gain, gain.is_beyond_chance(len(shortlist))))
            if tried[-1].is_kept:
                columns, current = more, judged
            say(f"{at} of {len(shortlist)}: {feature.name} {'kept' if tried[-1].is_kept else 'earns too little'}")
        return tried

    def confirm(self, kept: Sequence[Feature]) -> Gain:
        """What the kept entries earn on the newest fold."""
        more = self._own + [self._place[name] for feature in kept for name in feature.columns()]
        return gain_of(self._judge(self._newest, more), self._judge(self._newest, self._own))

    def _judge(self, folds: Sequence[TimeFold], columns: Sequence[int]) -> Judged:
        return judge(self._training, folds, columns, self._n_threads, self._seed)

    def _power(self) -> Floats:
        """Total gain of each column over the choosing folds' models."""
        power, columns = np.zeros(len(self._place)), list(range(len(self._place)))
        for fold in self._choosing:
            scores = fitted(self._training, fold, columns, self._n_threads, self._seed).booster.get_score(
                importance_type="total_gain"
            )
            for name, value in scores.items():
                power[int(name[1:])] += value
        return power


def _best_windows(feature: Feature, power: Sequence[float]) -> Feature:
    if feature.type not in WINDOWED_TYPES or len(feature.windows) <= MAX_WINDOWS:
        return feature
    best = sorted(np.argsort(-np.array(power), kind="stable")[:MAX_WINDOWS].tolist())
    return replace(feature, windows=tuple(feature.windows[i] for i in best))
