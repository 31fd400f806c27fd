"""The journal of a partition, read as a subscriber reads it, and every decision taken again from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

import stream_app.partition_task as partition_task
from stream_app.checkpoint import decode_journal
from stream_app.opcodes import DAY_MS
from stream_app.outputs import OutputBlock
from stream_app.partition_task import PartitionTask
from stream_app.spans import RecordSpan
from tests.simulation.fake_log import Entry

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass
class Part:
    """One checkpoint's: positions before and after, runs (n, 2) of source and count."""

    begin: list[int]
    end: list[int]
    runs: npt.NDArray[np.int64]


def read_journal(world: World, partition: int, committed: dict[int, int]) -> list[Part]:
    """Of the checkpoints that count, each once, in order.

    Where two workers may write at once, what the replaced one wrote behind its successor's back does not count.
    """
    found: dict[bytes, bytes] = {}
    for entry in world.broker.log(world.topic("journal"), partition).read(0):
        incarnation, _, number = (entry.key or b"").partition(b"/")
        is_counted = world.is_exactly_once or not world.may_have_two_owners
        if is_counted or int(number) <= committed.get(int(incarnation), 0):
            found.setdefault(entry.key or b"", entry.value or b"")
            if world.is_exactly_once and found[entry.key or b""] is not entry.value:
                raise AssertionError("a journal record came twice")
    return [_part(value) for value in found.values()]


def _part(value: bytes) -> Part:
    head, runs = decode_journal(value)
    return Part([*head["from"], head["clock_from"]], [*head["to"], head["clock_to"]], runs)


class Replay:
    """Takes the decisions of one partition again: all that lies between two clock records in one batch.

    ``outputs`` are (topic, key, value) in order; ``n_outputs_at`` says how many there were after a part.
    """

    def __init__(self, world: World, partition: int) -> None:
        self.world, self.partition = world, partition
        self.task: PartitionTask = world.events.new_task(partition)
        names = [*(topic.name for topic in world.events.workload.topics), "clock"]
        self.records: list[list[Entry]] = [world.broker.log(name, partition).read(0) for name in names]
        self.at = [0] * len(names)  # records taken of each source
        self.outputs: list[OutputBlock] = []
        self.early: list[str] = []  # clock records that passed events known before their day
        self._runs: list[tuple[int, int]] = []

    @property
    def n_sources(self) -> int:
        return len(self.records) - 1

    def take(self, part: Part) -> None:
        """Follow a part's runs."""
        for source, count in part.runs.tolist():
            if source == self.n_sources:
                self.flush()
                self._take_clock()
            else:
                self._runs.append((source, count))

    def flush(self) -> None:
        """Apply what was taken since the last clock record."""
        script, self._runs = self._runs, []
        for source in sorted({source for source, _ in script}):
            n = sum(count for s, count in script if s == source)
            entries = self.records[source][self.at[source] : self.at[source] + n]
            if len(entries) < n:
                raise AssertionError(f"the journal names {n} records of source {source} where {len(entries)} are")
            self.at[source] += n
            self.task.offer(source, _span(entries), entries[-1].offset + 1)
        if script:
            with patch.object(partition_task, "merge_by_known_time", _Scripted(script)):
                self._settle()
        self.outputs += self.task.outputs.take()

    def _take_clock(self) -> None:
        entry = self.records[-1][self.at[-1]]
        day = int(self.world.events.codec.decode(entry.value or b"", "clock")["day"])
        for source, records in enumerate(self.records[:-1]):
            if self.at[source] < len(records) and records[self.at[source]].timestamp < day * DAY_MS:
                self.early.append(f"day {day} passed offset {records[self.at[source]].offset} of source {source}")
        self.at[-1] += 1
        self.task.offer_clock(day, entry.offset + 1)
        self._settle()

    def _settle(self) -> None:
        while self.task.step([0.0] * self.n_sources, 0.0):
            pass

    def records_of(self, topic: str) -> list[tuple[bytes, bytes]]:
        return [record for block in self.outputs if block.topic == topic for record in block]


class _Scripted:
    """`merge_by_known_time` that takes the runs it was given."""

    def __init__(self, script: list[tuple[int, int]]) -> None:
        self.script = script

    def __call__(
        self, known: Any, status: Any, arrived: Any, begin: Any, end: Any, empty_at: Any, clock_ms: Any,
        clock_arrived: Any, clock_empty_at: Any, one_day: Any, order: Any, runs: Any,
    ) -> tuple[int, int, bool]:  # fmt: skip
        n = 0
        for source, count in self.script:
            order[n : n + count] = np.arange(begin[source], begin[source] + count)
            begin[source] += count
            n += count
        self.script = []
        return n, 0, True


def _span(entries: list[Entry]) -> RecordSpan:
    return RecordSpan(
        np.array([e.offset for e in entries], np.int64),
        np.array([e.timestamp for e in entries], np.int64),
        [e.key for e in entries],
        [e.value for e in entries],
    )
