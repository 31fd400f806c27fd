"""One partition of the stream, told from top to bottom: merge, update, score, alert, watch.

A mind without I/O: spans of records and clock days go in, `Checkpoint`s come out. The shell (`worker`) carries the bytes. The order in
which sources were read is kept as a journal of runs, so that every decision can be replayed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from schemas.codec import Codec
from schemas.reasons import REASONS
from stream_app import opcodes as op
from stream_app.columns import Columns
from stream_app.decode import Decoded, RecordSpan, RefusedRecord, TopicDecoder
from stream_app.duplicates import DuplicateWindow
from stream_app.merge_kernel import merge_by_known_time
from stream_app.outputs import Outputs
from stream_app.plan import Plan
from stream_app.scoring import Scorer
from stream_app.state import PartitionState
from stream_app.summary import SummaryBuilder

Int64s = npt.NDArray[np.int64]
SWEEP_SLOTS = 8192
NO_CLOCK = 2**62
MISROUTED_FEW = 1000


@dataclass
class Accounting:
    """What became of every record: in = applied + duplicate + refused (late ones are among the refused)."""

    n_in: int = 0
    applied: int = 0
    duplicate: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def late(self) -> int:
        """Refused as too late."""
        return self.refused.get("too_late", 0)

    @property
    def n_refused(self) -> int:
        """Refused for any reason."""
        return sum(self.refused.values())

    def adds_up(self) -> bool:
        """The promise."""
        return self.n_in == self.applied + self.duplicate + self.n_refused

    def update(self, status: Int64s) -> None:
        """Count a batch by its final statuses."""
        self.n_in += len(status)
        self.applied += int((status == op.APPLIED).sum())
        self.duplicate += int((status == op.DUPLICATE).sum())
        for code, n in zip(*np.unique(status[status >= op.REFUSED], return_counts=True), strict=True):
            reason = REASONS[int(code) - op.REFUSED]
            self.refused[reason] = self.refused.get(reason, 0) + int(n)


@dataclass(eq=False)
class _Batch:
    """A merged batch on its way through the heart."""

    columns: Columns
    order: Int64s
    done: int = 0


class PartitionTask:
    """State, sources and outputs of one partition.

    Parameters
    ----------
    plan, codec
        Of the workload.
    partition, n_partitions
        Which one this is.
    scorer
        Its scorer; not shared with other partitions.
    """

    def __init__(self, plan: Plan, codec: Codec, partition: int, n_partitions: int, scorer: Scorer) -> None:
        self.plan, self.codec, self.partition, self.scorer = plan, codec, partition, scorer
        self.state = PartitionState(plan, partition, n_partitions)
        self.decoders = [TopicDecoder(plan, source, codec) for source in range(plan.n_sources)]
        self.windows = [DuplicateWindow() if topic.deduplicate else None for topic in plan.workload.topics]
        self.positions = [0] * plan.n_sources  # next offset to apply
        self.clock_position = 0
        self.accounting = Accounting()
        self.summary = SummaryBuilder(plan)
        self.outputs = Outputs()
        self.runs: list[Int64s] = []
        self.is_touched = False
        self._pending: list[deque[tuple[Columns, int]]] = [deque() for _ in range(plan.n_sources)]
        self._spans: list[deque[RecordSpan]] = [deque() for _ in range(plan.n_sources)]
        self._refused: dict[tuple[int, int], RefusedRecord] = {}
        self._clocks: deque[tuple[int, int]] = deque()
        self._batch: _Batch | None = None
        self._sweep_at: int | None = None

    # ---- in ----
    def offer(self, source: int, span: RecordSpan, next_position: int) -> None:
        """Take records of a source, in offset order; ``next_position`` is where its log goes on."""
        decoded: Decoded = self.decoders[source].decode(span)
        window = self.windows[source]
        if window is not None:
            window.mark(decoded.columns)
        self._refused.update({(source, offset): record for offset, record in decoded.refused.items()})
        self._spans[source].append(span)
        self._pending[source].append((decoded.columns, next_position))

    def offer_clock(self, day: int, next_position: int) -> None:
        """Take a clock record: every event known before ``day`` has been written."""
        self._clocks.append((day, next_position))

    def n_pending(self, source: int) -> int:
        """Records of a source that wait to be merged."""
        return sum(len(columns) for columns, _ in self._pending[source])

    @property
    def is_between_batches(self) -> bool:
        """Whether a checkpoint may be taken now."""
        return self._batch is None

    # ---- through ----
    def step(self, is_caught_up: list[bool], clock_caught_up: bool) -> bool:
        """Do one bounded piece of work; False when there is none.

        Parameters
        ----------
        is_caught_up
            For each source, whether its log has nothing beyond what was offered.
        clock_caught_up
            The same for the clock.
        """
        if self._batch is not None:
            self._apply(self._batch)
            return True
        if self._sweep_at is not None:
            self._sweep(self._sweep_at)
            return True
        if not self._clocks and not clock_caught_up:
            return False
        return self._merge(is_caught_up)

    def _merge(self, is_caught_up: list[bool]) -> bool:
        limit = self._clocks[0][0] * op.DAY_MS if self._clocks else NO_CLOCK
        waiting = [Columns.concat([c for c, _ in pending]) if pending else None for pending in self._pending]
        parts = [part for part in waiting if part is not None]
        lengths = np.array([0 if part is None else len(part) for part in waiting], np.int64)
        columns = Columns.concat(parts) if parts else None
        at_clock = all(is_caught_up)
        if columns is not None:
            end = np.cumsum(lengths)
            begin = end - lengths
            first = begin.copy()
            order, runs = np.empty(len(columns), np.int64), np.empty((len(columns), 2), np.int64)
            caught_up = np.array(is_caught_up, np.uint8)
            n, n_runs, at_clock = merge_by_known_time(
                columns.known_time, columns.status, begin, end, caught_up, limit, order, runs
            )
            if n:
                self._consume(waiting, begin - first, columns)
                self.runs.append(runs[:n_runs].copy())
                self._batch = _Batch(columns, order[:n])
                self.is_touched = True
                return True
        if at_clock and self._clocks:
            self._take_clock()
            return True
        return False

    def _consume(self, waiting: list[Columns | None], taken: Int64s, columns: Columns) -> None:
        """Keep what the merge left over; move the positions behind what it took."""
        for source, n in enumerate(taken.tolist()):
            part = waiting[source]
            if part is None or not n:
                continue
            last_position = self._pending[source][-1][1]
            self._pending[source].clear()
            if n < len(part):
                self._pending[source].append((part.take(slice(n, None)), last_position))
                self.positions[source] = int(part.offset[n])
            else:
                self.positions[source] = last_position

    def _take_clock(self) -> None:
        day, position = self._clocks.popleft()
        self.clock_position = position
        self.runs.append(np.array([[self.plan.n_sources, 1]], np.int64))
        self.is_touched = True
        if day > self.state.clock_day:
            self.state.set_clock(day)
            self._sweep_at = 0

    def _apply(self, batch: _Batch) -> None:
        self.state.begin()
        batch.done = self.state.apply(batch.columns, batch.order, batch.done)
        self.scorer.run(self.state, self.state.due(), self.outputs, self.summary)
        if batch.done == len(batch.order):
            self._finish(batch)

    def _finish(self, batch: _Batch) -> None:
        status = batch.columns.status[batch.order]
        self.accounting.update(status)
        self.summary.events(batch.columns, batch.order)
        for q in np.flatnonzero(status >= op.REFUSED).tolist():
            self._dead_letter(batch.columns, int(batch.order[q]))
        for source, spans in enumerate(self._spans):
            while spans and int(spans[0].offsets[-1]) < self.positions[source]:
                spans.popleft()
        self._batch = None

    def _dead_letter(self, columns: Columns, i: int) -> None:
        source, offset = int(columns.source[i]), int(columns.offset[i])
        refused = self._refused.pop((source, offset), None) or self._misrouted(source, offset)
        topic = self.scorer.prefix + self.plan.workload.topics[source].name
        value = refused.value or b""
        record = {
            "event_id": f"{topic}/{self.partition}/{offset}", "topic": topic, "partition": self.partition,
            "offset": offset, "key": refused.key, "value": value[:4096], "n_bytes": len(value),
            "reason": refused.reason, "detail": refused.detail, "seen_ms": refused.timestamp_ms,
        }  # fmt: skip
        key = f"{topic}/{self.partition}".encode()
        self.outputs.add(self.scorer.prefix + "dead-letters", key, self.codec.encode("dead_letter", record))

    def _misrouted(self, source: int, offset: int) -> RefusedRecord:
        span = next(s for s in self._spans[source] if s.offsets[0] <= offset <= s.offsets[-1])
        i = int(np.searchsorted(span.offsets, offset))
        detail = f"the key belongs to another of {int(self.state.control[7])} partitions: use the murmur2 partitioner"
        return RefusedRecord(offset, int(span.timestamps_ms[i]), span.keys[i], span.values[i], "misrouted", detail)

    def _sweep(self, first: int) -> None:
        self.state.begin()
        done = self.state.sweep(first, first + SWEEP_SLOTS)
        self.scorer.run(self.state, self.state.due(), self.outputs, self.summary)
        if done < self.state.n_slots:
            self._sweep_at = done
            return
        self.state.end_sweep()
        self.summary.close_day(self.state.clock_day)
        self._sweep_at = None

    @property
    def is_sweeping(self) -> bool:
        """Whether the clock day's ticks are not all taken yet."""
        return self._sweep_at is not None

    def resume_sweep(self) -> None:
        """After a restore: the clock day's ticks were not all taken; rows that had theirs are passed over."""
        self._sweep_at = 0
