"""What a user may say about a training run."""

from __future__ import annotations

from dataclasses import dataclass

from offline.cutoffs import LONGEST_BLOCK_DAYS
from offline.threshold import BEST_F1, ThresholdRule
from offline.training_params import TrainingParams
from offline.training_set import N_EVENT_ROWS
from schemas.durations import DAY_MS


@dataclass(frozen=True)
class TrainingOptions:
    """What a user may say about a training run; every default is chosen from the history.

    Parameters
    ----------
    train_days, test_days
        Cut-offs of the user's own, days since the epoch; empty lets the run choose.
    until_day
        Use only what was known before this day.
    warm_up_days
        Days of history before the first chosen cut-off.
    longest_block_days
        Chosen later and test blocks are at most this long.
    onset_day
        First day of a drift that the training answers; None without one.
    params
        In place of the default parameters.
    rule
        What the threshold is chosen for.
    """

    train_days: tuple[int, ...] = ()
    test_days: tuple[int, ...] = ()
    until_day: int | None = None
    warm_up_days: int = 28
    longest_block_days: int = LONGEST_BLOCK_DAYS
    onset_day: int | None = None
    n_event_rows: int = N_EVENT_ROWS
    n_threads: int = 1
    seed: int = 0
    params: TrainingParams | None = None
    rule: ThresholdRule = BEST_F1


def until_ms_of(options: TrainingOptions) -> int | None:
    """The moment before which everything must have been known; None for the whole lake."""
    return None if options.until_day is None else options.until_day * DAY_MS
