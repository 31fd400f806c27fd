"""The whole ladder: every step climbed and judged, the recommendation, the learning curve and the segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from offline.errors import OfflineError
from offline.evaluate import number
from offline.folds import TimeFold, time_folds
from offline.ladder import challenger, curve
from offline.ladder.calibrated import KindCalibration, calibrate_kinds
from offline.ladder.climb import Climbed, Clock, climb, n_units
from offline.ladder.curve import Point, learning_curve, more_customers
from offline.ladder.judge import Judged, judge
from offline.ladder.progress import Progress, Silence
from offline.ladder.segments import training_segments
from offline.ladder.slices import slice_rows
from offline.ladder.steps import ONLINE, YARDSTICKS, chosen_steps, family_of, possible_steps
from offline.ladder.verdict import recommended, verdicts
from offline.training_set import ROW_KINDS, TrainingSet

CURVE_WITHOUT_CHOICE = "xgboost"


@dataclass(frozen=True, eq=False)
class Ladder:
    """What was found.

    Parameters
    ----------
    climbed
        The steps, the lowest first.
    judged
        Row kind -> all steps on its test rows; always one for ticks.
    curve
        Learning curve of `curve_of`; empty when not asked for.
    found
        All of it as plain values, as ``--json`` prints them.
    """

    climbed: tuple[Climbed, ...]
    judged: dict[str, Judged]
    curve: list[Point]
    found: dict[str, Any]


def climb_ladder(
    training: TrainingSet,
    names: Sequence[str] = (),
    *,
    seed: int = 0,
    clock: Clock = lambda: 0.0,
    progress: Progress | None = None,
    with_curve: bool = True,
) -> Ladder:
    """Climb these steps and judge them.

    Parameters
    ----------
    names
        Of steps; none takes all. The yardsticks are always climbed.
    clock
        Seconds from any start, for the time of a fit.

    Raises
    ------
    OfflineError
        When a name is unknown, or the training rows cannot be folded in time.
    """
    possible, left_out = possible_steps(chosen_steps(names), training.plan.columns)
    told = Silence() if progress is None else progress
    folds = time_folds(training)
    told.begin(_n_units(possible, len(folds), with_curve))
    climbed = tuple(_climb(name, training, folds, seed, clock, told) for name in possible)
    calibrations = [_calibrations(step, training) for step in climbed]
    judged = _judge(training, climbed, [kinds for kinds, _ in calibrations], seed)
    best, why = recommended(judged["tick"])
    curve_of = _curve_step(climbed, best) if with_curve else None
    points = [] if curve_of is None else learning_curve(curve_of, training, seed, clock, told)
    told.advance("segments")
    found = {
        "split": training.cutoffs.describe(),
        "n_train": int(training.fold("fit", "between", "later").sum()),
        "seed": seed,
        "rows": {kind: one.size() for kind, one in judged.items()},
        "steps": _steps(climbed, judged, [kinds[0] for kinds, _ in calibrations]),
        "notes": [note for kind, note in calibrations[0][1].items() if kind in judged],
        "left_out": left_out,
        "recommended": {"step": climbed[best].name, "title": climbed[best].title, "text": why},
        "learning_curve": None if curve_of is None else _curve_json(curve_of, points),
        "segments": _segments(training, judged["tick"], best, seed),
    }
    return Ladder(climbed, judged, points, found)


def _n_units(names: Sequence[str], n_folds: int, with_curve: bool) -> int:
    fits = sum(challenger.N_UNITS if name == ONLINE else n_units(family_of(name), n_folds) for name in names)
    return fits + (curve.n_units() if with_curve else 0) + 1


def _climb(
    name: str, training: TrainingSet, folds: list[TimeFold], seed: int, clock: Clock, progress: Progress
) -> Climbed:
    if name == ONLINE:
        return challenger.climb_online(training, folds, seed, clock, progress)
    return climb(family_of(name), training, folds, seed, clock, progress)


def _calibrations(step: Climbed, training: TrainingSet) -> tuple[tuple[KindCalibration, ...], dict[str, str]]:
    later = training.fold("later")
    return calibrate_kinds(training.y[later], training.rows.kind[later], step.answers.later, step.cut)


def _judge(
    training: TrainingSet,
    climbed: tuple[Climbed, ...],
    calibrations: list[tuple[KindCalibration, ...]],
    seed: int,
) -> dict[str, Judged]:
    test = training.fold("test")
    y, customer, kind = training.y[test], training.customer[test], training.rows.kind[test]
    judged = {}
    for code, name in enumerate(ROW_KINDS):
        mine = kind == code
        if mine.any():
            margins = [step.answers.test[mine] for step in climbed]
            judged[name] = judge(y[mine], customer[mine], climbed, margins, [one[code] for one in calibrations], seed)
    return judged


def _curve_step(climbed: tuple[Climbed, ...], best: int) -> Climbed | None:
    """The recommended step if it learns from rows in batch, else XGBoost, else the highest that does."""
    learning = [step for step in climbed if step.candidate is not None and step.name not in YARDSTICKS]
    for name in (climbed[best].name, CURVE_WITHOUT_CHOICE):
        for step in learning:
            if step.name == name:
                return step
    return learning[-1] if learning else None


def _steps(
    climbed: tuple[Climbed, ...], judged: dict[str, Judged], ticks: list[KindCalibration]
) -> list[dict[str, Any]]:
    said = verdicts(judged["tick"])
    return [
        {
            "name": step.name,
            "title": step.title,
            "chosen": step.chosen,
            "n_fit": step.answers.n_fit,
            "fit_s": number(step.answers.fit_s),
            "notes": [*step.answers.notes, *ticks[i].notes()],
            "worth_it": verdict.worth_it,
            "verdict": verdict.text,
            "rows": {kind: one.steps[i] for kind, one in judged.items()},
        }
        for i, (step, verdict) in enumerate(zip(climbed, said, strict=True))
    ]


def _curve_json(step: Climbed, points: list[Point]) -> dict[str, Any]:
    return {
        "step": step.name,
        "title": step.title,
        "chosen": step.chosen,
        "points": [point.as_json() for point in points],
        "text": more_customers(points),
    }


def _segments(training: TrainingSet, ticks: Judged, best: int, seed: int) -> dict[str, Any]:
    """The segments' table on the test ticks; why there are none is a value."""
    try:
        segments = training_segments(training, seed)
    except OfflineError as cause:
        return {"rows": [], "text": str(cause)}
    slices = segments.slices(training.rows.X[training.fold("test", row_kind=0)])
    rows = slice_rows(slices, ticks.y, ticks.customer, ticks.ranked[best], ticks.probability[best], seed)
    apart = f"{len(segments.names)} segments, silhouette {segments.silhouette:.2f}"
    return {"rows": rows, "silhouette": number(segments.silhouette), "n_segments": len(segments.names), "text": apart}
