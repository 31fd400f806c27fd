"""Partition tasks fed from lake and topics instead of by a worker, as far as they go or up to a day.

A task sees the same spans and clock days as in the stream; what it would publish is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from offline.cutoffs import date_text
from offline.errors import StateBuildError
from offline.history import read_known
from offline.partition_log import span_of
from offline.topic_reader import read_to_end
from schemas.batch_codec import BatchEncoder
from schemas.codec import Codec
from schemas.durations import DAY_MS
from schemas.errors import CodecError
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.partition import partitions_of
from schemas.settings import Settings
from schemas.topics import topic_for
from schemas.workload import Workload
from stream_app import opcodes as op
from stream_app.duplicates import DuplicateWindow
from stream_app.partition_task import PartitionTask
from stream_app.spans import RecordSpan

ROOM = 20_000  # records of one topic-partition that may wait
NOW = float("inf")


class Feed:
    """Hands spans of one topic-partition to a task, as many as may wait."""

    def __init__(self, spans: Iterator[RecordSpan]) -> None:
        self._spans, self.is_done = spans, False

    def fill(self, task: PartitionTask, source: int) -> None:
        """Offer until enough wait or nothing is left."""
        while not self.is_done and task.n_pending(source) < ROOM:
            span = next(self._spans, None)
            if span is None:
                self.is_done = True
            elif len(span):
                task.offer(source, span, int(span.offsets[-1]) + 1)


def run(task: PartitionTask, feeds: Sequence[Feed], until_day: int | None = None) -> None:
    """Step a task until its feeds and clocks are used up, or the ticks of a day are taken."""
    while True:
        for source, feed in enumerate(feeds):
            feed.fill(task, source)
        if not task.step([NOW if feed.is_done else None for feed in feeds], NOW):
            return
        drop_outputs(task)
        is_settled = task.is_between_batches and not task.is_sweeping
        if until_day is not None and is_settled and task.state.clock_day >= until_day:
            return


def drop_outputs(task: PartitionTask) -> None:
    """Forget what the task would have published since the last call."""
    task.outputs.take()
    task.summary.take()
    task.runs = []


def clock_days(
    settings: Settings, workload: Workload, codec: Codec, partition: int, upto_day: int | None
) -> list[tuple[int, int]]:
    """(day, next position) of the clock records up to a day, which the last of them is.

    Raises
    ------
    StateBuildError
        When the clock has not come to that day.
    """
    topic, found = topic_for("clock", workload, settings), list[tuple[int, int]]()
    for messages in read_to_end(settings, topic, {partition: 0}):
        for message in messages:
            try:
                found.append((int(codec.decode(message.value(), "clock")["day"]), (message.offset() or 0) + 1))
            except CodecError:
                continue  # the worker has sent it to the dead letters
    if upto_day is None:
        return found
    latest = max((day for day, _ in found), default=-1)
    if latest < upto_day:
        stands = "has not begun" if latest < 0 else f"stands at {date_text(latest)}"
        raise StateBuildError(topic.name, partition, f"the clock {stands}, before {date_text(upto_day)}")
    kept = [(day, position) for day, position in found if day <= upto_day]
    return kept if kept and kept[-1][0] == upto_day else [*kept, (upto_day, kept[-1][1] if kept else 0)]


def run_history(tasks: Sequence[PartitionTask], workload: Workload, lake: Lake, upto_day: int | None) -> None:
    """Feed a lake to all partitions, day by day, with a clock record for every day."""
    encoder, today = BatchEncoder(workload), None
    until_ms = None if upto_day is None else upto_day * DAY_MS
    names = [topic.name for topic in workload.topics]
    for batch, columns in read_known(lake, workload, until_ms):
        day = int(columns.known_time[0]) // DAY_MS
        if today is not None and day > today:
            _advance(tasks, range(today + 1, day + 1))
        today = day
        _offer(tasks, names.index(batch.topic), encoder, batch)
    last = upto_day if upto_day is not None else today
    if today is not None and last is not None:
        _advance(tasks, range(today + 1, last + 1))


def _offer(tasks: Sequence[PartitionTask], source: int, encoder: BatchEncoder, batch: EventBatch) -> None:
    home = partitions_of(batch.customer_id, len(tasks))
    for task in tasks:
        mine = batch.take(home == task.partition)
        if len(mine):
            first = task.fetched[source]
            offsets = np.arange(first, first + len(mine), dtype=np.int64)
            task.offer(source, span_of(encoder, mine, offsets), first + len(mine))


def _advance(tasks: Sequence[PartitionTask], days: range) -> None:
    """Apply everything offered, and take the ticks of these days."""
    for task in tasks:
        for day in days:
            task.offer_clock(day, 0)
        while task.step([NOW] * task.plan.n_sources, NOW):
            drop_outputs(task)


def forget_offsets(task: PartitionTask, begin: Sequence[int]) -> None:
    """The events had other offsets, or none: the topics begin at ``begin``, the clock last."""
    plan, state = task.plan, task.state
    *task.positions, task.clock_position = begin
    task.windows = [None if window is None else DuplicateWindow() for window in task.windows]
    rows = state.s64.reshape(-1, state.row64)[: state.n_slots]
    taken = np.flatnonzero(rows[:, plan.event_at + op.KEY_LEN])
    rows[taken, plan.stamps_at : plan.stamps_at + plan.n_sources] = -1
