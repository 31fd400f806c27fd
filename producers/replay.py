"""Publishes recorded or simulated days: events in the order they became known, then the clock.

A day's clock record says that the day is complete, so it is written when its events are acknowledged. A replay that was
cut off goes on from what the topics hold (`producers.progress`): every event is written exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from producers.errors import ReplayError
from producers.pace import Pace
from producers.progress import Progress
from producers.recording import EventDay, day_text
from schemas.durations import DAY_MS
from schemas.events import EventBatch

MAX_SLICE_EVENTS: Final = 10_000


class Sink(Protocol):
    """What a replay writes to (`producers.kafka_sink.KafkaSink`)."""

    def publish(self, batch: EventBatch) -> None:
        """Hand over events."""

    def publish_clock(self, day: int, partitions: Sequence[int] | None = None) -> None:
        """Wait for the events, then say that all known before `day` is written."""


@dataclass(frozen=True)
class Replayed:
    """What a replay has done so far.

    Parameters
    ----------
    day
        Last day that is complete; None before the first.
    n_days
        Days with events that were published.
    n_events
        Events published.
    n_skipped
        Events that were in the topics already.
    """

    day: int | None = None
    n_days: int = 0
    n_events: int = 0
    n_skipped: int = 0


def replay(
    days: Iterable[EventDay],
    sink: Sink,
    progress: Progress,
    *,
    pace: Pace | None = None,
    hold: Callable[[], bool] = lambda: False,
    report: Callable[[Replayed], None] = lambda _: None,
) -> Replayed:
    """Publish days of events, each followed by the clock record of the next day.

    Parameters
    ----------
    days
        Ascending. Days that are complete in the topics are passed over, days without events get their clock record.
    sink
        Where to.
    progress
        What the topics hold already.
    pace
        How fast; None is as fast as possible.
    hold
        Asked before every clock record; the clock stands still as long as it answers True.
    report
        Told after every day.

    Raises
    ------
    ReplayError
        When days do not ascend, or an event is not known on its day.
    SinkError
        When the broker did not acknowledge everything.
    """
    pace = pace or Pace(None)
    done, clock_day, written = Replayed(), progress.day, progress
    for day in days:
        if clock_day is not None and day.day < clock_day:
            if done.n_days:
                detail = f"comes after {day_text(clock_day - 1)}; days must ascend"
                raise ReplayError(f"day {day_text(day.day)}", detail)
            continue
        clock_day = day.day if clock_day is None else clock_day
        pace.start(clock_day * DAY_MS)
        for silent in range(clock_day + 1, day.day + 1):
            _tick(sink, progress, silent, pace, hold)
        batches = [written.without_written(batch) for batch in day.batches]
        n_all, n_new = sum(map(len, day.batches)), sum(map(len, batches))
        for end_ms, pieces in slices(day.day, batches, pace.step_ms):
            for piece in pieces:
                sink.publish(piece)
            pace.wait_until(end_ms)
        clock_day = day.day + 1
        _tick(sink, progress, clock_day, pace, hold)
        written = Progress(progress.clock_days)  # only the first day can have been cut off
        done = Replayed(day.day, done.n_days + 1, done.n_events + n_new, done.n_skipped + n_all - n_new)
        report(done)
    return replace(done, day=done.day if clock_day is None else clock_day - 1)


def _tick(sink: Sink, progress: Progress, day: int, pace: Pace, hold: Callable[[], bool]) -> None:
    pace.wait_until(day * DAY_MS)
    pace.hold_while(hold)
    partitions = progress.lacking(day)
    if partitions:
        sink.publish_clock(day, partitions)


def slices(
    day: int, batches: Sequence[EventBatch], step_ms: int | None, max_events: int = MAX_SLICE_EVENTS
) -> Iterator[tuple[int, list[EventBatch]]]:
    """A day's events in short pieces of known time, topics side by side, so that no topic runs far ahead of another.

    Parameters
    ----------
    day
        Days since 1970.
    batches
        Each sorted by known time, all known on this day.
    step_ms
        Longest piece in event time; None is no limit.
    max_events
        Events after which a new piece begins (events of one millisecond stay together).

    Yields
    ------
    tuple[int, list[EventBatch]]
        End of the piece in event time, and its events by topic.

    Raises
    ------
    ReplayError
        When an event is known on another day, or a batch is not sorted.
    """
    batches = [batch for batch in batches if len(batch)]
    if not batches:
        return
    known = np.sort(np.concatenate([_checked(day, batch).known_time_ms for batch in batches]))
    cuts = [known[max_events::max_events]]
    if step_ms is not None:
        cuts.append(np.maximum(known // step_ms * step_ms, day * DAY_MS))
    starts = np.unique(np.concatenate([[day * DAY_MS], *cuts])).tolist()
    for start, end in zip(starts, [*starts[1:], (day + 1) * DAY_MS], strict=True):
        pieces = [_between(batch, start, end) for batch in batches]
        if any(map(len, pieces)):
            yield int(end), [piece for piece in pieces if len(piece)]


def _checked(day: int, batch: EventBatch) -> EventBatch:
    known = batch.known_time_ms
    if known[0] < day * DAY_MS or known[-1] >= (day + 1) * DAY_MS or np.any(known[1:] < known[:-1]):
        place = f"day {day_text(day)}, topic {batch.topic}"
        raise ReplayError(place, "events are not in order of known time, or not known on that day")
    return batch


def _between(batch: EventBatch, start_ms: int, end_ms: int) -> EventBatch:
    first, last = np.searchsorted(batch.known_time_ms, [start_ms, end_ms])
    return batch.take(slice(int(first), int(last)))
