"""Rows of the customers of one partition, and the kernels that change them.

A pure value with verbs: no Kafka, no clock. Slots never move; a freed slot is zeroed and reused lowest first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.packed import PackedText
from stream_app import kernel
from stream_app import opcodes as op
from stream_app.columns import Columns
from stream_app.errors import OverflowStop
from stream_app.key_kernel import fill_index, gather_keys
from stream_app.plan import Plan

Int64s = npt.NDArray[np.int64]
ROWS_AT_ONCE = 16_384
_EVERY_DAY = np.zeros(0, np.int64)


@dataclass(eq=False)
class DueRows:
    """Feature rows that are due to be scored, in the order of the events.

    Attributes
    ----------
    rows
        (n, 3): slot, as-of in ms, row kind (`opcodes.TICK`, ...).
    stamps
        (n, n_sources): newest applied offset of each source, -1 none.
    x
        (n, n_features) float32, NaN is missing.
    outcomes
        (m, 3): day of the tick score, its score bin, 1 when the label came true.
    """

    rows: Int64s
    stamps: Int64s
    x: npt.NDArray[np.float32]
    outcomes: Int64s


class PartitionState:
    """All customers of one partition.

    Parameters
    ----------
    plan
        Of the workload.
    partition, n_partitions
        Which partition this is; a new customer's key must belong to it.
    tick_days
        Days whose tick rows are wanted, ascending; None wants all (the stream), a training set a few.
    event_share, seed
        Share of the event rows that are due, 1 in the stream; a seeded sample by customer and moment.
    capacity
        Rows to begin with, a multiple of 32.
    """

    def __init__(
        self,
        plan: Plan,
        partition: int = 0,
        n_partitions: int = 1,
        *,
        tick_days: Int64s | None = None,
        event_share: float = 1.0,
        seed: int = 0,
        capacity: int = 1024,
    ) -> None:
        self.plan = plan
        self.row_bytes = plan.row_bytes
        self.row64 = plan.row_bytes // 8
        self.control = np.zeros(16, np.int64)
        self.control[kernel.PARTITION] = partition
        self.control[kernel.N_PARTITIONS] = n_partitions
        self.control[kernel.CLOCK_DAY] = -1
        self.control[kernel.ALL_TICKS] = int(tick_days is None)
        self.control[kernel.SAMPLE] = int(event_share * kernel.ALL_EVENTS)
        self.control[kernel.SEED] = seed
        self.tick_days = _EVERY_DAY if tick_days is None else np.asarray(tick_days, np.int64)
        self.free = np.zeros(0, np.int64)
        self.dirty = np.zeros(0, np.uint8)
        self._set_rows(np.zeros(capacity * self.row_bytes, np.uint8))
        self._memory = kernel.new_memory(plan.ops, plan.rings, plan.fops)
        room = ROWS_AT_ONCE + 3
        self._rows = np.zeros((room, 3), np.int64)
        self._stamps = np.zeros((room, plan.n_sources), np.int64)
        self._x = np.zeros((room, plan.n_features), np.float32)
        self._outcomes = np.zeros((ROWS_AT_ONCE + 4 * plan.memory_days, 3), np.int64)

    def _set_rows(self, data: npt.NDArray[np.uint8]) -> None:
        self.s8 = data
        self.s64 = data.view(np.int64)
        self.s32 = data.view(np.int32)
        capacity = len(data) // self.row_bytes
        before = self.dirty
        self.dirty = np.zeros(capacity, np.uint8)
        self.dirty[: len(before)] = before
        self._reindex()

    def _reindex(self) -> None:
        places = 1 << max(10, int(len(self.dirty) * 2 - 1).bit_length())
        self.index = np.full(places, -1, np.int32)
        fill_index(self.s64, self.index, self.row64, self.n_slots, self.plan.event_at)
        taken = self.s64.reshape(-1, self.row64)[: self.n_slots, self.plan.event_at + op.KEY_LEN]
        free = np.flatnonzero(taken == 0)[::-1]
        self.free = np.ascontiguousarray(free).astype(np.int64)
        self.control[kernel.N_FREE] = len(free)

    @property
    def n_slots(self) -> int:
        """Slots handed out so far, free ones among them."""
        return int(self.control[kernel.N_SLOTS])

    @property
    def n_customers(self) -> int:
        """Customers with a row."""
        return self.n_slots - int(self.control[kernel.N_FREE])

    @property
    def clock_day(self) -> int:
        """Day of the newest clock record, -1 before the first."""
        return int(self.control[kernel.CLOCK_DAY])

    @property
    def rows(self) -> npt.NDArray[np.uint8]:
        """All rows handed out as bytes, (n_slots, row_bytes)."""
        return self.s8.reshape(-1, self.row_bytes)[: self.n_slots]

    def _grow(self) -> None:
        data = np.zeros(len(self.s8) * 2, np.uint8)
        data[: len(self.s8)] = self.s8
        self._set_rows(data)

    def begin(self) -> None:
        """Empty the due rows: call before the first `apply` or `sweep` of a batch."""
        self.control[kernel.N_OUT] = 0
        self.control[kernel.N_OUTCOMES] = 0

    def due(self) -> DueRows:
        """What `apply` and `sweep` left to be scored since `begin`; views that the next batch overwrites."""
        n, m = int(self.control[kernel.N_OUT]), int(self.control[kernel.N_OUTCOMES])
        return DueRows(self._rows[:n], self._stamps[:n], self._x[:n], self._outcomes[:m])

    def apply(self, columns: Columns, order: Int64s, start: int = 0) -> int:
        """Apply events ``order[start:]`` of ``columns``; return how far it came (due rows may be full).

        Raises
        ------
        OverflowStop
            When a sum would pass 2^63: the process must stop, nothing was skipped.
        """
        c, p = columns, self.plan
        while True:
            done = int(
                kernel.apply(
                    start,
                    order,
                    c.source,
                    c.status,
                    c.event_time,
                    c.known_time,
                    c.kind,
                    c.id_hash,
                    c.key_hash,
                    c.key_at,
                    c.key_len,
                    c.offset,
                    c.values,
                    c.keys,
                    self.s64,
                    self.s32,
                    self.s8,
                    self.row64,
                    self.dirty,
                    self.index,
                    self.free,
                    self.control,
                    p.rule,
                    p.initial,
                    p.kind_ptr,
                    p.ops,
                    p.rings,
                    p.urgent,
                    p.fops,
                    p.fscale,
                    p.zone,
                    self.tick_days,
                    self._memory,
                    self._rows,
                    self._stamps,
                    self._x,
                    self._outcomes,
                )
            )
            if self.control[kernel.FAILED]:
                i = int(order[done])
                raise OverflowStop(p.workload.topics[int(c.source[i])].name, int(c.offset[i]))
            is_full = self.n_slots == len(self.dirty) and self.control[kernel.N_FREE] == 0
            if done < len(order) and is_full and self.control[kernel.N_OUT] < ROWS_AT_ONCE:
                self._grow()
                start = done
                continue
            return done

    def set_clock(self, day: int) -> None:
        """Every event known before ``day`` has been applied: its ticks are due."""
        self.control[kernel.CLOCK_DAY] = day

    def sweep(self, first: int, last: int) -> int:
        """Tick the slots ``[first, last)`` that still lack the clock day's tick; return how far it came."""
        p = self.plan
        return int(
            kernel.sweep(
                first,
                min(last, self.n_slots),
                self.s64,
                self.s32,
                self.s8,
                self.row64,
                self.dirty,
                self.control,
                p.rule,
                p.fops,
                p.fscale,
                p.zone,
                self.tick_days,
                self._memory,
                self._rows,
                self._stamps,
                self._x,
                self._outcomes,
            )
        )

    def end_sweep(self) -> None:
        """Give freed slots back; call after the last slot was swept."""
        taken = self.s64.reshape(-1, self.row64)[: self.n_slots, self.plan.event_at + op.KEY_LEN]
        if self.n_slots - int(np.count_nonzero(taken)) != int(self.control[kernel.N_FREE]):
            self._reindex()

    def customer_ids(self, slots: Int64s) -> list[bytes]:
        """Keys of the customers in ``slots``."""
        width = self.plan.key_bytes
        keys = self.s8.reshape(-1, self.row_bytes)[slots, :width].tobytes()
        lengths = self.s64.reshape(-1, self.row64)[slots, self.plan.event_at + op.KEY_LEN].tolist()
        return [keys[i * width : i * width + length] for i, length in enumerate(lengths)]

    def customer_keys(self, slots: Int64s) -> PackedText:
        """The same as packed text, for many."""
        length = self.s64.reshape(-1, self.row64)[slots, self.plan.event_at + op.KEY_LEN]
        offsets = np.zeros(len(slots) + 1, np.int64)
        np.cumsum(length, out=offsets[1:])
        data = np.empty(int(offsets[-1]), np.uint8)
        gather_keys(self.s8, slots * self.row_bytes, length, data)
        return PackedText(data, offsets, np.zeros(len(slots), np.bool_))

    def load(self, slots: Int64s, rows: npt.NDArray[np.uint8]) -> None:
        """Put rows (n, row_bytes) into ``slots``; call `loaded` after the last."""
        if not len(slots):
            return
        top = int(slots.max()) + 1
        while top > len(self.dirty):
            data = np.zeros(len(self.s8) * 2, np.uint8)
            data[: len(self.s8)] = self.s8
            self.s8, self.dirty = data, np.zeros(len(self.dirty) * 2, np.uint8)
        self.s8.reshape(-1, self.row_bytes)[slots] = rows
        self.control[kernel.N_SLOTS] = max(self.n_slots, top)

    def loaded(self) -> None:
        """Rebuild the index after the last `load`."""
        self._set_rows(self.s8)
        self.dirty[:] = 0

    def set_slots(self, n_slots: int) -> None:
        """After a restore: the number of slots handed out; blocks may hold a few beyond."""
        self.control[kernel.N_SLOTS] = n_slots
        self._reindex()

    def event_part(self) -> dict[bytes, bytes]:
        """Customer id -> event part of the row, to compare states."""
        part = self.plan.event_part()
        slots = np.flatnonzero(self.s64.reshape(-1, self.row64)[: self.n_slots, self.plan.event_at + op.KEY_LEN])
        rows = self.rows[slots]
        return dict(zip(self.customer_ids(slots.astype(np.int64)), (row[part].tobytes() for row in rows), strict=True))
