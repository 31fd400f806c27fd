"""Decoded events of one source as columns: what the kernels read.

Built from bytes (`decode`) or from an `EventBatch` (`columns_of`), with the same rounding and the same refusals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from schemas.events import NO_TIME_MS, EventBatch
from schemas.packed import PackedText, pack_text
from schemas.reasons import REASON_INDEX
from schemas.workload import EventTopic
from stream_app import opcodes as op
from stream_app.decode_kernel import FIELD_TYPES, check_times, hash_spans, scale_column
from stream_app.key_kernel import gather_keys
from stream_app.plan import Plan

Int64s = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(eq=False)
class Columns:
    """Events of one source, n rows in offset order.

    ``status`` is PENDING, DUPLICATE or REFUSED + reason; ``values`` is (n, widest topic) of scaled integers, NONE
    where absent; the key of row i is ``keys[key_at[i]:key_at[i] + key_len[i]]``.
    """

    source: Int64s
    status: Int64s
    event_time: Int64s
    known_time: Int64s
    kind: Int64s
    id_hash: Int64s
    key_hash: Int64s
    key_at: Int64s
    key_len: Int64s
    offset: Int64s
    values: Int64s
    keys: Bytes

    def __len__(self) -> int:
        return len(self.status)

    @classmethod
    def empty(cls, n: int, width: int, source: int, keys: Bytes) -> Columns:
        """Columns of n rows with nothing in them yet."""
        numbers = ("status", "event_time", "known_time", "kind", "id_hash", "key_hash", "key_at", "key_len", "offset")
        zeros = {name: np.zeros(n, np.int64) for name in numbers}
        values = np.full((n, width), op.NONE, np.int64)
        return cls(source=np.full(n, source, np.int64), values=values, keys=keys, **zeros)

    @classmethod
    def concat(cls, parts: Sequence[Columns]) -> Columns:
        """All rows of ``parts``, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        shifts = np.cumsum([0] + [len(part.keys) for part in parts[:-1]])
        joined = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in cls.__dataclass_fields__
            if name != "key_at"
        }
        key_at = np.concatenate([part.key_at + shift for part, shift in zip(parts, shifts, strict=True)])
        return cls(key_at=key_at, **joined)

    def take(self, chosen: slice | Int64s) -> Columns:
        """Rows at ``chosen``; views for a slice, copies for positions."""
        names = [name for name in self.__dataclass_fields__ if name != "keys"]
        taken = Columns(keys=self.keys, **{name: getattr(self, name)[chosen] for name in names})
        if isinstance(chosen, slice):
            taken._cut_keys()
        return taken

    def _cut_keys(self) -> None:
        """Let go of key bytes that no row points to."""
        used = self.key_len > 0
        if used.any():
            first = int(self.key_at[used].min())
            last = int((self.key_at + self.key_len)[used].max())
            self.keys = self.keys[first:last]
            self.key_at = np.maximum(self.key_at - first, 0)
        else:
            self.keys = self.keys[:0]

    def with_own_keys(self) -> Columns:
        """The same rows with only their own key bytes, in order."""
        ends = np.cumsum(self.key_len)
        keys = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
        gather_keys(self.keys, self.key_at, self.key_len, keys)
        return replace(self, keys=keys, key_at=ends - self.key_len)

    def customers(self) -> PackedText:
        """The key of every row, one behind the other."""
        own = self.with_own_keys()
        ends = np.concatenate([[0], np.cumsum(own.key_len)]).astype(np.int64)
        return PackedText(own.keys, ends, np.zeros(len(own), np.bool_))

    def refuse_by_key_and_time(self, plan: Plan) -> None:
        """Refuse what is still PENDING and has a key or times that the stream refuses."""
        _refuse(self, self.key_len > plan.workload.customer_id_max_bytes, "key_too_long")
        _refuse(self, self.key_len == 0, "key_mismatch")
        check_times(self.event_time, self.known_time, plan.workload.lateness_ms, self.status)

    def sorted_by_known_time(self) -> Columns:
        """The same rows by known time; ties keep their order."""
        if bool(np.all(self.known_time[1:] >= self.known_time[:-1])):
            return self
        return self.take(np.argsort(self.known_time, kind="stable").astype(np.int64))


@dataclass(frozen=True, eq=False)
class TopicTable:
    """A topic's fields as the decode kernel reads them."""

    field_kinds: Int64s
    scales: npt.NDArray[np.float64]
    categories: Int64s
    category_ptr: Int64s

    def categories_of(self, field: int) -> Int64s:
        """Hashes of a field's declared categories."""
        return self.categories[self.category_ptr[field] : self.category_ptr[field + 1]]

    @classmethod
    def of(cls, topic: EventTopic) -> TopicTable:
        """Table of a topic's value fields."""
        hashes = [hash_texts(np.array(field.categories, object)) for field in topic.fields]
        return cls(
            np.array([FIELD_TYPES.index(field.type) for field in topic.fields], np.int64),
            np.array([field.scale for field in topic.fields], np.float64),
            np.concatenate([np.zeros(0, np.int64), *hashes]),
            np.cumsum([0] + [len(h) for h in hashes]).astype(np.int64),
        )


def width_of(plan: Plan) -> int:
    """Value columns of the widest topic, at least one."""
    return max([1, *(len(topic.fields) for topic in plan.workload.topics)])


def hash_texts(column: npt.NDArray[np.object_]) -> Int64s:
    """64-bit hashes of texts, shape (n,)."""
    return hash_packed(pack_text(column)) if len(column) else np.zeros(0, np.int64)


def hash_packed(text: PackedText) -> Int64s:
    """64-bit hashes of packed texts, shape (n,)."""
    out = np.zeros(len(text), np.int64)
    hash_spans(text.data, text.offsets[1:], out)
    return out


def columns_of(plan: Plan, batch: EventBatch, offset: Int64s | None = None) -> Columns:
    """Columns of an `EventBatch`, as if its records had been read from the topic.

    Parameters
    ----------
    plan
        Of the workload that declares the batch's topic.
    batch
        Events with known times.
    offset
        Offsets (n,); row numbers when left out.
    """
    source = next(i for i, topic in enumerate(plan.workload.topics) if topic.name == batch.topic)
    topic, n = plan.workload.topics[source], len(batch)
    customers = pack_text(batch.customer_id)
    columns = Columns.empty(n, width_of(plan), source, customers.data)
    columns.event_time[:] = batch.event_time_ms
    columns.known_time[:] = np.where(batch.known_time_ms == NO_TIME_MS, batch.event_time_ms, batch.known_time_ms)
    columns.kind[:] = batch.kind.astype(np.int64) + plan.first_kind[source]
    columns.id_hash[:] = hash_texts(batch.event_id)
    columns.key_at[:] = customers.offsets[:-1]
    columns.key_len[:] = np.diff(customers.offsets)
    columns.key_hash[:] = hash_packed(customers)
    columns.offset[:] = np.arange(n) if offset is None else offset
    table = TopicTable.of(topic)
    for j, field in enumerate(topic.fields):
        column = batch.values.get(field.name)
        if column is None:
            continue
        if field.type == "category":
            columns.values[:, j] = codes_of(pack_text(column), table.categories_of(j))
        else:
            scaled = np.empty(n, np.int64)
            scale_column(np.array(column, np.float64), table.field_kinds[j], float(field.scale), scaled, columns.status)
            columns.values[:, j] = scaled
    _refuse(columns, (batch.kind < 0) | (batch.kind >= len(topic.kinds)), "unknown_kind")
    columns.refuse_by_key_and_time(plan)
    return columns


def _refuse(columns: Columns, where: npt.NDArray[np.bool_], reason: str) -> None:
    columns.status[where & (columns.status == op.PENDING)] = op.REFUSED + REASON_INDEX[reason]


def codes_of(text: PackedText, categories: Int64s) -> Int64s:
    """Index of each category among the declared ones' hashes, their number when unseen, NONE for null; (n,)."""
    hashes = hash_packed(text)
    codes = np.full(len(hashes), len(categories), np.int64)
    for code, category in enumerate(categories):
        codes[hashes == category] = code
    codes[text.is_null] = op.NONE
    return codes
