"""Fetched bytes to `PackedSpan`s: what aiokafka fetched is not taken apart record by record.

aiokafka makes an object of each record, which costs a fifth of a worker's time. Here its fetcher keeps the raw bytes
beside its own reader, which goes on checking batches and transactions, and a compiled pass finds the records.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from aiokafka import TopicPartition
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.consumer import consumer, fetcher, group_coordinator
from aiokafka.errors import CorruptRecordException, GroupLoadInProgressError, KafkaError
from aiokafka.record.memory_records import MemoryRecords
from faust.types import TP

from stream_app.ends import Ends
from stream_app.record_kernel import find_records
from stream_app.spans import PackedSpan, RecordSpan

HEADER: Final = 61  # bytes of a batch before its records
READ_COMMITTED: Final = fetcher.READ_COMMITTED
_DECODE: Final[dict[int, Callable[[bytes], bytes]]] = {
    0: bytes, 1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode,
}  # fmt: skip


class RawRecords:
    """aiokafka's reader of batches, and the bytes that it reads."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._reader = MemoryRecords(data)
        self.has_next, self.size_in_bytes = self._reader.has_next, self._reader.size_in_bytes
        self.next_batch = self._reader.next_batch


class BatchResult(fetcher.FetchResult):  # type: ignore[misc]
    """What was fetched of one topic-partition, handed over as spans."""

    _partition_records: Any
    _left: PackedSpan | None = None
    _behind = 0

    def getall(self, max_records: int | None = None) -> PackedSpan | list[Any]:
        """The next records, at most ``max_records``; empty when the assignment has changed."""
        records: Any = self._partition_records
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        if self._left is None:
            self._left, self._behind = unpack(records)
        found = self._left.take(slice(0, max_records))
        self._left = self._left.take(slice(len(found), None))
        records.next_fetch_offset = int(self._left.offsets[0]) if len(self._left) else self._behind
        self._update_position()
        if not len(self._left):
            self._partition_records = None
        return found


class TimedFetcher(fetcher.Fetcher):  # type: ignore[misc]
    """Knows when each topic-partition was last answered (ms), and where it ended when it was asked for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.ends, self.answered_ms = Ends(), dict[TP, float]()
        super().__init__(*args, **kwargs)

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        asked_ms = time.time() * 1000
        tps = [TopicPartition(topic, part[0]) for topic, partitions in request.topics for part in partitions]
        for tp in tps:
            assignment.state_value(tp).timestamp = None  # whoever has one below was answered, without an error
        needs_wakeup: bool = await super()._proc_fetch_request(assignment, node_id, request)
        now_ms = time.time() * 1000
        for tp in tps if assignment.active else []:
            state = assignment.state_value(tp)
            if state.timestamp is not None:
                stable = -1 if state.lso is None else state.lso
                self.ends.note(TP(*tp), stable if stable >= 0 else state.highwater, asked_ms)
                self.answered_ms[TP(*tp)] = now_ms
        return needs_wakeup


class PatientCoordinator(group_coordinator.GroupCoordinator):  # type: ignore[misc]
    """Goes on when the group's coordinator says that it is still loading: aiokafka's own ends the consumer."""

    async def _do_heartbeat(self) -> bool:
        try:
            heard: bool = await super()._do_heartbeat()
        except KafkaError as error:
            if GroupLoadInProgressError.__name__ not in str(error):
                raise
            return False
        return heard


def install() -> None:
    """Let aiokafka keep raw bytes, hand over spans and note times; for consumers that are started afterwards."""
    fetcher.MemoryRecords, fetcher.FetchResult = RawRecords, BatchResult
    consumer.Fetcher, consumer.GroupCoordinator = TimedFetcher, PatientCoordinator


def warm() -> None:
    """Load the compiled pass before the first fetch needs it."""
    find_records(np.frombuffer(bytearray(1), np.uint8), 0, 0, 0, -1, 0, *np.empty((6, 1), np.int64))


def unpack(records: Any) -> tuple[PackedSpan, int]:
    """Records of all whole batches that a reader may see, and the position behind them.

    Raises
    ------
    CorruptRecordException
        When a checksum is wrong or a batch is broken; nothing of the fetch counts then.
    """
    raw, at = records._records, 0
    behind: int = records.next_fetch_offset
    parts: list[PackedSpan] = []
    while raw.has_next():
        batch = raw.next_batch()
        begin, at = at, at + 12 + int.from_bytes(raw.data[at + 8 : at + 12], "big")
        if batch.magic < 2:
            raise CorruptRecordException(f"{records._tp}: message format {batch.magic} is older than Kafka 0.11")
        if records._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"{records._tp}: wrong checksum at offset {batch.base_offset}")
        if _is_visible(records, batch):
            parts.append(_records_of(batch, raw.data, begin, at, behind))
        behind = max(behind, batch.next_offset)
    return PackedSpan.concat(parts) if parts else RecordSpan(*_NOTHING, [], []).packed(), behind


def _is_visible(records: Any, batch: Any) -> bool:
    """Whether a batch holds records of a reader's own: not a mark of a transaction, nothing aborted."""
    if records._isolation_level == READ_COMMITTED and batch.producer_id is not None:
        records._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and records._contains_abort_marker(batch):
            records._aborted_producers.discard(batch.producer_id)
        if batch.is_transactional and batch.producer_id in records._aborted_producers:
            return False
    return not batch.is_control_batch


def _records_of(batch: Any, data: bytes, begin: int, end: int, since: int) -> PackedSpan:
    n = int.from_bytes(data[begin + HEADER - 4 : begin + HEADER], "big")
    section = np.frombuffer(bytearray(_DECODE[batch.compression_type](data[begin + HEADER : end])), np.uint8)
    columns = np.empty((6, n), np.int64)
    append_ms = batch.max_timestamp if batch.timestamp_type == 1 else -1
    kept = find_records(section, n, batch.base_offset, batch.first_timestamp, append_ms, since, *columns)
    if kept < 0:
        raise CorruptRecordException(f"a record of the batch at offset {batch.base_offset} is broken")
    offset, stamp, key_at, key_len, value_at, value_len = columns[:, :kept]
    return PackedSpan(offset, stamp, section, key_at, key_len, value_at, value_len)


_NOTHING: Final = (np.zeros(0, np.int64), np.zeros(0, np.int64))
