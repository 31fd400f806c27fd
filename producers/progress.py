"""How far a replay has come, read from the topics alone: there is no file that could disagree with them.

The clock records say which days are complete and, in a header, where every topic stood then. What stands behind that is
the part of the next day that was written before a crash; its event ids say what is not to be written again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from producers.identity import occurrence
from producers.kafka_sink import CLOCK, ENDS_HEADER, TopicReader, TopicRecord
from schemas.codec import Codec
from schemas.errors import CodecError
from schemas.events import EventBatch
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.workload import Workload


@dataclass(frozen=True)
class Progress:
    """What the topics hold already.

    Parameters
    ----------
    clock_days
        Last clock day of each partition; None where there is no clock record.
    ends
        Event topic -> end offset of each partition.
    written
        Event topic -> ids of the events behind the last complete day, with how often each is there.
    """

    clock_days: tuple[int | None, ...]
    ends: Mapping[str, Sequence[int]] = field(default_factory=dict)
    written: Mapping[str, Counter[str]] = field(default_factory=dict)

    @property
    def day(self) -> int | None:
        """The day that is next: all before it is written. None when no day is known to be complete."""
        days = [day for day in self.clock_days if day is not None]
        return min(days) if len(days) == len(self.clock_days) and days else None

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was written yet."""
        return all(day is None for day in self.clock_days) and not any(any(ends) for ends in self.ends.values())

    def lacking(self, day: int) -> list[int]:
        """Partitions in whose clock `day` is still to come."""
        return [number for number, last in enumerate(self.clock_days) if last is None or last < day]

    def without_written(self, batch: EventBatch) -> EventBatch:
        """The events that are not in the topics yet; an id that is there twice takes two away."""
        written = self.written.get(batch.topic)
        if not written or not len(batch):
            return batch
        n_written = np.array([written.get(name, 0) for name in batch.event_id.tolist()])
        return batch.take(occurrence(pa.array(batch.event_id, pa.string())) >= n_written)


def read_progress(settings: Settings, workload: Workload) -> Progress:
    """What the topics of a workload hold.

    Raises
    ------
    BrokerError
        When the broker does not answer.
    """
    codec = Codec(FileRegistry.for_workload(workload))
    with TopicReader(settings) as reader:
        last = _last_clock_records(reader)
        days = {number: int(codec.decode(record.value, CLOCK)["day"]) for number, record in last.items()}
        clock_days = tuple(days.get(number) for number in range(settings.partitions))
        starts = _ends_at(last[min(days, key=days.__getitem__)]) if len(days) == settings.partitions else {}
        ends, written = {}, {}
        for topic in workload.topics:
            ends[topic.name], written[topic.name] = _read_tail(reader, codec, topic.name, starts.get(topic.name))
    return Progress(clock_days, ends, written)


def _last_clock_records(reader: TopicReader) -> dict[int, TopicRecord]:
    """Partition -> last clock record; an end that is too early gives more to read, not less."""
    starts = [max(first, end - 1) for first, end in reader.bounds(CLOCK)]
    return {record.partition: record for record in reader.read(CLOCK, starts) if record.value is not None}


def _ends_at(record: TopicRecord) -> dict[str, list[int]]:
    """The ends in a clock record's header; none when a clock of another kind wrote it."""
    try:
        ends: Any = json.loads(record.headers.get(ENDS_HEADER, b"{}"))
    except ValueError:
        return {}
    if not isinstance(ends, dict):
        return {}
    return {name: each for name, each in ends.items() if isinstance(each, list) and all(type(e) is int for e in each)}


def _read_tail(
    reader: TopicReader, codec: Codec, topic: str, starts: Sequence[int] | None
) -> tuple[list[int], Counter[str]]:
    """Ends of a topic, and the ids of the events from `starts` on; a start that is too low only reads more."""
    bounds = reader.bounds(topic)
    if starts is None or len(starts) != len(bounds):
        starts = [0] * len(bounds)
    ends = [max(first, min(start, end)) for (first, end), start in zip(bounds, starts, strict=True)]
    written: Counter[str] = Counter()
    for record in reader.read(topic, ends):
        ends[record.partition] = record.offset + 1
        try:
            written[codec.decode(record.value, topic)["event_id"]] += 1
        except CodecError:
            continue  # somebody else's record: none of ours to repeat
    if any(end < start for end, start in zip(ends, starts, strict=True)):
        return _read_tail(reader, codec, topic, None)  # shorter than it was: not the topic that the clock knew
    return ends, written
