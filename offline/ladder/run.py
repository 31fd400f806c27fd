"""The ladder on a lake: what the command does, without its flags."""

from __future__ import annotations

from collections.abc import Sequence

from offline.cutoffs import Cutoffs, choose_cutoffs, given_cutoffs
from offline.history import History
from offline.ladder.climb import Clock
from offline.ladder.ladder import Ladder, climb_ladder
from offline.ladder.progress import Progress
from offline.ladder.steps import chosen_steps
from offline.retraining import horizon_days
from offline.training_options import TrainingOptions
from offline.training_set import Span, build_training_set
from schemas.durations import DAY_MS
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload


def run_ladder(
    settings: Settings,
    workload: Workload,
    options: TrainingOptions,
    names: Sequence[str] = (),
    *,
    clock: Clock,
    progress: Progress,
    with_curve: bool = True,
) -> Ladder:
    """Read the lake and climb the steps that are named; the same cut-offs as in a training.

    Raises
    ------
    OfflineError
        When a name is unknown, or the lake cannot teach or judge anything.
    """
    wanted = chosen_steps(names)  # a wrong name is told before the lake is read

    def split(span: Span) -> Cutoffs:
        horizon = horizon_days(workload)
        if options.train_days or options.test_days:
            return given_cutoffs(list(options.train_days), list(options.test_days), horizon)
        return choose_cutoffs(span.first_day, span.known_until_day, horizon, options.warm_up_days)

    until_ms = None if options.until_day is None else options.until_day * DAY_MS
    training = build_training_set(
        workload,
        History(Lake(settings.lake_dir), workload, until_ms),
        split,
        known_until_ms=until_ms,
        n_event_rows=options.n_event_rows,
        seed=options.seed,
    )
    ladder = climb_ladder(training, wanted, seed=options.seed, clock=clock, progress=progress, with_curve=with_curve)
    ladder.found["workload"] = workload.name
    return ladder
