"""Topics to the lake, every offset exactly once.

A slice is the offsets read of one partition. Its day files are written under temporary names, synced and renamed; the
commit file that makes them count comes last (`schemas.lake`). A crash at any point leaves either a committed slice or
nothing that is read; the next run starts at the next offset after the last commit. Records that are no events are
counted, not kept: dead letters are the worker's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from confluent_kafka import Message

from offline.errors import IngestError
from offline.topic_reader import OffsetGoneError, raw_span, read_to_end
from schemas.codec import Codec
from schemas.errors import CodecError, LakeError
from schemas.events import NO_TIME_MS, EventBatch
from schemas.lake import Lake
from schemas.lake_table import table_of
from schemas.lake_writer import MAX_TIME_MS, remove_uncommitted, write_slice
from schemas.packed import PackedText
from schemas.partition import partition_of, partitions_of
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topics import Topic, topic_for
from schemas.workload import EventTopic, Workload
from stream_app import opcodes as op
from stream_app.decode import TopicDecoder
from stream_app.plan import Plan
from stream_app.spans import RecordSpan

MAX_WAITING = 300_000
Progress = Callable[[str], None]


@dataclass
class Ingested:
    """What one run brought in.

    Parameters
    ----------
    n_events
        Events written to the lake.
    n_slices
        Commits made.
    refused
        Reason -> records left out.
    """

    n_events: int = 0
    n_slices: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def ingest(settings: Settings, workload: Workload, progress: Progress = lambda _: None) -> Ingested:
    """Bring every event topic into the lake up to its end as of now.

    Raises
    ------
    IngestError
        When the next offset is no longer, or not yet, in a topic: going on would leave a hole.
    LakeError
        When the lake holds events of files: offsets of topics must not meet theirs.
    """
    result = Ingested()
    codec = Codec(FileRegistry.for_workload(workload))
    lake = Lake(settings.lake_dir)
    if lake.origin() is not None:
        detail = "holds events of files; topics go to a lake of their own: set DRIFTLINE_TOPIC_PREFIX or DRIFTLINE_HOME"
        raise LakeError(lake.root, detail)
    for event_topic in workload.topics:
        one = _TopicIngest(lake, codec, workload, event_topic, topic_for(event_topic.name, workload, settings), result)
        one.run(settings)
        progress(f"{event_topic.name}: {result.n_events} events so far")
    return result


class _TopicIngest:
    def __init__(
        self, lake: Lake, codec: Codec, workload: Workload, event_topic: EventTopic, topic: Topic, result: Ingested
    ) -> None:
        self._lake, self._codec, self._event_topic, self._topic = lake, codec, event_topic, topic
        self._result = result
        self._waiting: dict[int, list[Message]] = {}
        plan = Plan.from_workload(workload)
        self._decoder = TopicDecoder(plan, workload.topics.index(event_topic), codec)

    def run(self, settings: Settings) -> None:
        name = self._event_topic.name
        remove_uncommitted(self._lake, name)
        starts = {p: self._lake.next_offset(name, p) for p in range(self._topic.partitions)}
        try:
            for messages in read_to_end(settings, self._topic, starts):
                for message in messages:
                    self._waiting.setdefault(int(message.partition() or 0), []).append(message)
                if sum(map(len, self._waiting.values())) >= MAX_WAITING:
                    self._write()
        except OffsetGoneError as gone:
            end = "" if gone.end is None else f", the topic ends at {gone.end}"
            raise IngestError(
                name, gone.partition, gone.offset, f"the lake goes on here but the topic does not hold it{end}"
            ) from gone
        self._write()

    def _write(self) -> None:
        for partition, messages in sorted(self._waiting.items()):
            self._write_slice(partition, messages)
        self._waiting.clear()

    def _write_slice(self, partition: int, messages: list[Message]) -> None:
        first, last = int(messages[0].offset() or 0), int(messages[-1].offset() or 0)
        batch, offsets = self._decode(partition, messages)
        table = table_of(self._event_topic, batch, partition, offsets)
        write_slice(self._lake, self._event_topic.name, table, partition, first, last)
        self._result.n_events += len(batch)
        self._result.n_slices += 1

    def _decode(self, partition: int, messages: list[Message]) -> tuple[EventBatch, np.ndarray]:
        span = raw_span(messages)
        is_plain = self._is_plain(span, partition)
        plain = [value for value, ok in zip(span.values, is_plain, strict=True) if ok and value]
        records = self._codec.decode_many(self._event_topic.name, plain)
        offsets = span.offsets[is_plain].tolist()
        known = span.timestamps_ms[is_plain].tolist()
        for i in np.flatnonzero(~is_plain).tolist():
            try:
                record = self._codec.decode(span.values[i], self._event_topic.name)
                self._check_key(partition, span.keys[i], record["customer_id"])
            except CodecError as refused:
                self._result.refused[refused.reason] += 1
                continue
            records.append(record)
            offsets.append(int(span.offsets[i]))
            known.append(int(span.timestamps_ms[i]))
        for record, timestamp_ms in zip(records, known, strict=True):
            if record["known_time_ms"] is None:
                record["known_time_ms"] = timestamp_ms
        order = np.argsort(np.array(offsets, dtype=np.int64), kind="stable")
        batch = EventBatch.from_records(self._event_topic, records).take(order)
        offset = np.array(offsets, dtype=np.int64)[order]
        writable = (np.abs(batch.event_time_ms) < MAX_TIME_MS) & (batch.known_time_ms != NO_TIME_MS)
        if not writable.all():
            self._result.refused["in_future"] += int((~writable).sum())
        return batch.take(writable), offset[writable]

    def _is_plain(self, span: RecordSpan, partition: int) -> np.ndarray:
        """Rows of the current schema that the stream's compiled decoder accepts, in the partition they belong to."""
        columns = self._decoder.decode(span).columns
        header = self._decoder.header
        current = np.array([value is not None and value[:5] == header for value in span.values], dtype=np.bool_)
        keys = columns.with_own_keys()
        ends = np.concatenate([[0], np.cumsum(keys.key_len)]).astype(np.int64)
        text = PackedText(keys.keys, ends, np.zeros(len(span), dtype=bool))
        at_home = partitions_of(text, self._topic.partitions) == partition
        return np.asarray((columns.status == op.PENDING) & current & at_home)

    def _check_key(self, partition: int, key: bytes | str | None, customer_id: str) -> None:
        if key is None:
            raise CodecError("null_key")
        raw = key.encode() if isinstance(key, str) else key
        if raw != customer_id.encode():
            raise CodecError("key_mismatch")
        if partition_of(raw, self._topic.partitions) != partition:
            raise CodecError("misrouted")
