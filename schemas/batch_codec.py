"""Batches of events to bytes, compiled: the same bytes as `schemas.codec.Codec.encode`, record for record.

The kernel reads a table of ops that is made from the topic, so a user's own workload compiles nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.errors import CodecError, SchemaError
from schemas.events import NO_TIME_MS, EventBatch
from schemas.packed import PackedText, pack_text, split
from schemas.reasons import MAX_EVENT_BYTES
from schemas.registry import FileRegistry
from schemas.workload import EventTopic, Workload

MAX_EXACT: Final = float(1 << 53)  # above it a float64 does not hold every integer
_MAX_LONG_BYTES: Final = 10


class BatchEncoder:
    """Writes the event records of a workload, a batch at a time.

    Parameters
    ----------
    workload
        The topics.
    registry
        Where their ids are; None derives it from the workload.
    max_event_bytes
        Longest event, header included.
    """

    def __init__(
        self, workload: Workload, registry: FileRegistry | None = None, *, max_event_bytes: int = MAX_EVENT_BYTES
    ) -> None:
        self._registry = registry or FileRegistry.for_workload(workload)
        self._topics = {topic.name: topic for topic in workload.topics}
        self._max_event_bytes = max_event_bytes

    def encode(self, batch: EventBatch) -> list[bytes]:
        """The value bytes of every event, in batch order.

        Raises
        ------
        CodecError
            When an event cannot be written; nothing of the batch is then.
        SchemaError
            When topic or a value field is not in the workload.
        """
        topic = self._topic_of(batch)
        if not len(batch):
            return []
        header = self._registry.named(topic.name).header
        data, ends = _write(np.frombuffer(header, dtype=np.uint8), _Table.of(topic, batch))
        longest = int(np.max(np.diff(ends)))
        if longest > self._max_event_bytes:
            raise CodecError("too_large", f"{longest} bytes; allowed are {self._max_event_bytes}")
        return split(data, ends)

    def _topic_of(self, batch: EventBatch) -> EventTopic:
        topic = self._topics.get(batch.topic)
        if topic is None:
            raise SchemaError(batch.topic, f"is not an event topic; there are {', '.join(self._topics)}")
        for name in batch.values:
            if topic.field(name) is None:
                raise SchemaError(batch.topic, f"has no value field {name!r}")
        return topic


def keys_of(batch: EventBatch) -> list[bytes]:
    """The record keys of a batch: UTF-8 customer ids."""
    return pack_text(batch.customer_id).to_bytes()


class _Table:
    """What the kernel reads: one op per Avro field, and the columns by their form."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.ops: list[tuple[int, int]] = []
        self.texts: list[PackedText] = []
        self.longs: list[NDArray[np.int64]] = []
        self.doubles: list[NDArray[np.float64]] = []
        self.nulls: list[NDArray[np.bool_]] = []

    @classmethod
    def of(cls, topic: EventTopic, batch: EventBatch) -> _Table:
        from schemas import kernels as k

        table = cls(len(batch))
        nothing = np.zeros(len(batch), dtype=np.bool_)
        for name in ("event_id", "customer_id"):
            table.add(k.OP_TEXT, table.texts, _all_text(name, getattr(batch, name)), nothing)
        table.add(k.OP_LONG, table.longs, batch.event_time_ms, nothing)
        table.add(k.OP_NULL_LONG, table.longs, batch.known_time_ms, batch.known_time_ms == NO_TIME_MS)
        table.add(k.OP_LONG, table.longs, _kinds(topic, batch), nothing)
        for field in topic.fields:
            table.add_value(field.name, field.type, batch.values.get(field.name))
        return table

    def add(self, op: int, columns: list[Any], column: Any, is_null: NDArray[np.bool_]) -> None:
        """Add one field whose data is a new column of `columns`."""
        self.ops.append((op, len(columns)))
        columns.append(column)
        self.nulls.append(is_null)

    def add_value(self, name: str, field_type: str, column: NDArray[Any] | None) -> None:
        """Add one value field; None is null everywhere."""
        from schemas import kernels as k

        if column is None:
            self.ops.append((k.OP_NULL_LONG, 0))
            self.nulls.append(np.ones(self.n, dtype=np.bool_))
        elif field_type == "category":
            packed = pack_text(column)
            self.add(k.OP_NULL_TEXT, self.texts, packed, packed.is_null)
        elif field_type == "number":
            numbers = _numbers(name, column)
            self.add(k.OP_NULL_DOUBLE, self.doubles, numbers, np.isnan(numbers))
        else:
            numbers = _numbers(name, column)
            is_null = np.isnan(numbers)
            self.add(k.OP_NULL_LONG, self.longs, _integers(name, numbers, is_null), is_null)


def _write(header: NDArray[np.uint8], table: _Table) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from schemas.kernels import write_rows

    n = table.n
    text, text_offsets = _joined(table.texts, n)
    ops = np.array(table.ops, dtype=np.int64)
    doubles = np.array(table.doubles, dtype="<f8").reshape(len(table.doubles), n)
    most = len(header) + len(ops) * (1 + _MAX_LONG_BYTES)
    out = np.empty(n * most + len(text), dtype=np.uint8)
    ends = np.empty(n + 1, dtype=np.int64)
    used = write_rows(
        header,
        np.ascontiguousarray(ops[:, 0]),
        np.ascontiguousarray(ops[:, 1]),
        text,
        text_offsets,
        np.array(table.longs, dtype=np.int64).reshape(len(table.longs), n),
        doubles.view(np.uint8).reshape(len(table.doubles), n, 8),
        np.array(table.nulls, dtype=np.bool_),
        out,
        ends,
    )
    return out[:used], ends


def _joined(texts: list[PackedText], n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All text columns in one run of bytes, and offsets (columns, n + 1) into it."""
    starts = np.cumsum([0] + [len(text.data) for text in texts])
    offsets = np.empty((len(texts), n + 1), dtype=np.int64)
    for row, text in enumerate(texts):
        offsets[row] = text.offsets + starts[row]
    return np.concatenate([text.data for text in texts]), offsets


def _all_text(name: str, column: NDArray[Any]) -> PackedText:
    packed = pack_text(column)
    if packed.is_null.any():
        raise CodecError("garbage", f"{name} is null in row {int(np.argmax(packed.is_null))}")
    return packed


def _kinds(topic: EventTopic, batch: EventBatch) -> NDArray[np.int64]:
    kinds = batch.kind.astype(np.int64)
    if kinds.min() < 0 or kinds.max() >= len(topic.kinds):
        wrong = kinds[(kinds < 0) | (kinds >= len(topic.kinds))][0]
        raise CodecError("unknown_kind", f"index {wrong}; topic {topic.name} has {len(topic.kinds)} kinds")
    return kinds


def _numbers(name: str, column: NDArray[Any]) -> NDArray[np.float64]:
    try:
        numbers = np.array(
            [np.nan if c is None else c for c in column] if column.dtype == object else column, dtype="f8"
        )
    except (TypeError, ValueError) as cause:
        raise CodecError("garbage", f"{name} holds something that is not a number: {cause}") from cause
    if np.isinf(numbers).any():
        raise CodecError("not_finite", f"{name} is infinite in row {int(np.argmax(np.isinf(numbers)))}")
    return numbers


def _integers(name: str, numbers: NDArray[np.float64], is_null: NDArray[np.bool_]) -> NDArray[np.int64]:
    filled = np.where(is_null, 0.0, numbers)
    _refuse_any(name, np.abs(filled) > MAX_EXACT, numbers, "is too large to be exact")
    _refuse_any(name, filled != np.rint(filled), numbers, "is not a whole number")
    return filled.astype(np.int64)


def _refuse_any(name: str, wrong: NDArray[np.bool_], numbers: NDArray[np.float64], why: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise CodecError("out_of_range", f"{name} = {numbers[row]} in row {row} {why}")
