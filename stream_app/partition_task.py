"""One partition of the stream, told from top to bottom: merge, update, score, alert, watch.

A mind without I/O: spans of records and clock days go in, `Checkpoint`s come out. The shell (`worker`) carries the
bytes. The order in which sources were read is kept as a journal of runs, so that every decision can be replayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.codec import Codec
from stream_app import faults
from stream_app import opcodes as op
from stream_app.accounting import Accounting
from stream_app.columns import Columns
from stream_app.decode import Decoded, RefusedRecord, TopicDecoder
from stream_app.duplicates import DuplicateWindow
from stream_app.errors import RoutingStop
from stream_app.merge_kernel import merge_by_known_time
from stream_app.outputs import Outputs
from stream_app.plan import Plan
from stream_app.scoring import Scorer
from stream_app.spans import Span
from stream_app.state import PartitionState
from stream_app.summary import SummaryBuilder

Int64s = npt.NDArray[np.int64]
SWEEP_SLOTS = 8192
LIVE_SWEEP_SLOTS, LIVE_TICKS = 256, 1024  # few enough that events of now wait neither for ticks nor for their bytes
NO_CLOCK = 2**62
NEVER = -np.inf
NO_DAY = -1  # of a clock record that cannot be read: its place is taken, nothing else
MISROUTED_FEW, MISROUTED_SHARE = 1000, 0.01
LETTER_BYTES = 4096


@dataclass(eq=False)
class _Waiting:
    """Decoded records that wait to be merged."""

    columns: Columns
    next_position: int
    written_ms: int
    arrived_ms: float


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
        self.fetched = [0] * plan.n_sources  # next offset to offer
        self.clock_fetched = 0
        self.accounting = Accounting()
        self.summary = SummaryBuilder(plan)
        self.outputs = Outputs()
        self.runs: list[Int64s] = []
        self.is_touched = False
        self.oldest: tuple[float, float] | None = None  # written and arrived (ms): of what no checkpoint has yet
        self.n_swept = 0  # slots since the last checkpoint
        self._pending: list[deque[_Waiting]] = [deque() for _ in range(plan.n_sources)]
        self._spans: list[deque[Span]] = [deque() for _ in range(plan.n_sources)]
        self._refused: dict[tuple[int, int], RefusedRecord] = {}
        self._clocks: deque[tuple[int, int, float, RefusedRecord | None]] = deque()
        self._batch: _Batch | None = None
        self._sweep_at: int | None = None

    # ---- in ----
    def offer(self, source: int, span: Span, next_position: int, arrived_ms: float = 0.0) -> None:
        """Take records of a source, in offset order; ``next_position`` is where its log goes on."""
        decoded: Decoded = self.decoders[source].decode(span)
        window = self.windows[source]
        if window is not None:
            window.mark(decoded.columns)
        self._refused.update({(source, offset): record for offset, record in decoded.refused.items()})
        self._spans[source].append(span)
        self.fetched[source] = next_position
        self._pending[source].append(_Waiting(decoded.columns, next_position, int(span.timestamps_ms[0]), arrived_ms))

    def offer_clock(
        self, day: int, next_position: int, arrived_ms: float = 0.0, refused: RefusedRecord | None = None
    ) -> None:
        """Take a clock record: every event known before ``day`` has been written; or one that cannot be read."""
        self._clocks.append((day, next_position, arrived_ms, refused))
        self.clock_fetched = next_position

    def n_pending(self, source: int) -> int:
        """Records of a source that wait to be merged."""
        return sum(len(waiting.columns) for waiting in self._pending[source])

    @property
    def is_between_batches(self) -> bool:
        """Whether a checkpoint may be taken now."""
        return self._batch is None

    # ---- through ----
    def step(self, empty_at: Sequence[float | None], clock_empty_at: float | None, is_live: bool = False) -> bool:
        """Do one bounded piece of work; False when there is none.

        Parameters
        ----------
        empty_at
            For each source, the newest moment (ms) of which it is known that nothing lay beyond what was offered; None
            without any.
        clock_empty_at
            The same for the clock.
        is_live
            Ticks are left to `sweep_some`, so that events go between them; else they come before the next event.
        """
        if self._batch is not None:
            self._apply(self._batch)
            return True
        if self._sweep_at is not None and not is_live:
            self._sweep(self._sweep_at, SWEEP_SLOTS)
            return True
        return self._merge(empty_at, clock_empty_at)

    def sweep_some(self) -> bool:
        """Take a few ticks of an open day, between batches; False when none are left, or many wait for a checkpoint."""
        if self._batch is not None or self._sweep_at is None or self.waits_for_checkpoint:
            return False
        self._sweep(self._sweep_at, LIVE_SWEEP_SLOTS)
        return True

    @property
    def has_clock_waiting(self) -> bool:
        """Whether a clock record was offered and not taken yet."""
        return bool(self._clocks)

    @property
    def waits_for_checkpoint(self) -> bool:
        """Whether `sweep_some` takes no more ticks before the next one."""
        return self._sweep_at is not None and self.n_swept >= LIVE_TICKS

    def _merge(self, empty_at: Sequence[float | None], clock_empty_at: float | None) -> bool:
        """Start a batch, or take the clock when nothing known before it is missing.

        A source that is used up here counts as caught up only for what arrived before it was last seen empty: what
        arrived later may have been written after records of that source that are still on their way.
        """
        looks = np.array([NEVER if at is None else at for at in [*empty_at, None if self._clocks else clock_empty_at]])
        if self._clocks:
            looks[-1] = np.inf
        since = looks[[not pending for pending in self._pending] + [True]].min()
        first = min((pending[0].arrived_ms for pending in self._pending if pending), default=np.inf)
        if not self._clocks and (first > since or first == np.inf):
            return False
        n, is_clock_next = self._start_batch(looks) if any(self._pending) else (0, self._clocks[0][2] <= since)
        if n:
            return True
        if is_clock_next and self._clocks and self._sweep_at is None:
            self._take_clock()
            return True
        return False

    def _start_batch(self, looks: npt.NDArray[np.float64]) -> tuple[int, bool]:
        """(records merged, whether the clock record is next)."""
        clock_ms, clock_arrived = NO_CLOCK, np.inf
        if self._clocks:
            clock_ms, clock_arrived = self._clocks[0][0] * op.DAY_MS, self._clocks[0][2]
        whole = [waiting for pending in self._pending for waiting in pending]
        columns = Columns.concat([waiting.columns for waiting in whole])
        arrived = np.repeat([waiting.arrived_ms for waiting in whole], [len(waiting.columns) for waiting in whole])
        lengths = np.array([self.n_pending(source) for source in range(self.plan.n_sources)], np.int64)
        end = np.cumsum(lengths)
        begin = end - lengths
        first = begin.copy()
        order, runs = np.empty(len(columns), np.int64), np.empty((len(columns), 2), np.int64)
        n, n_runs, is_clock_next = merge_by_known_time(
            columns.known_time, columns.status, arrived, begin, end, looks[:-1], clock_ms, clock_arrived, looks[-1],
            True, order, runs,
        )  # fmt: skip
        if n:
            for source, taken in enumerate((begin - first).tolist()):
                self._consume(source, taken)
            self.runs.append(runs[:n_runs].copy())
            self._batch = _Batch(columns, order[:n])
            self.is_touched = True
        return n, is_clock_next

    def _consume(self, source: int, taken: int) -> None:
        """Move a source's position behind the first ``taken`` records that wait."""
        pending = self._pending[source]
        while taken:
            waiting = pending[0]
            if self.oldest is None or waiting.arrived_ms < self.oldest[1]:
                self.oldest = (waiting.written_ms, waiting.arrived_ms)
            if taken < len(waiting.columns):
                waiting.columns = waiting.columns.take(slice(taken, None))
                self.positions[source] = int(waiting.columns.offset[0])
                return
            taken -= len(waiting.columns)
            self.positions[source] = waiting.next_position
            pending.popleft()

    def _take_clock(self) -> None:
        day, position, _, refused = self._clocks.popleft()
        if refused is not None:
            self._letter(f"{self.scorer.prefix}clock", refused)
        self.clock_position = position
        self.runs.append(np.array([[self.plan.n_sources, 1]], np.int64))
        self.is_touched = True
        if day > self.state.clock_day:
            self.state.set_clock(day)
            self.summary.open_day(day)
            self.summary.open_day(self.state.clock_day)
        self._sweep_at = 0

    def _apply(self, batch: _Batch) -> None:
        self.state.begin()
        batch.done = self.state.apply(batch.columns, batch.order, batch.done)
        faults.reach("after_apply")
        self.scorer.run(self.state, self.state.due(), self.outputs, self.summary)
        faults.reach("after_score")
        if batch.done == len(batch.order):
            self._finish(batch)

    def _finish(self, batch: _Batch) -> None:
        status = batch.columns.status[batch.order]
        self.accounting.update(status)
        self._check_routing()
        self.summary.events(batch.columns, batch.order)
        for q in np.flatnonzero(status >= op.REFUSED).tolist():
            self._dead_letter(batch.columns, int(batch.order[q]))
        for source, spans in enumerate(self._spans):
            while spans and int(spans[0].offsets[-1]) < self.positions[source]:
                spans.popleft()
        self._batch = None

    def _check_routing(self) -> None:
        """A few misrouted records are dead letters; more say that a producer partitions in another way."""
        n = self.accounting.refused.get("misrouted", 0)
        if n > MISROUTED_FEW and n > MISROUTED_SHARE * self.accounting.n_in:
            raise RoutingStop(self.partition, n, self.accounting.n_in)

    def _dead_letter(self, columns: Columns, i: int) -> None:
        source, offset = int(columns.source[i]), int(columns.offset[i])
        refused = self._refused.pop((source, offset), None) or self._misrouted(source, offset)
        self._letter(self.scorer.prefix + self.plan.workload.topics[source].name, refused)

    def _letter(self, topic: str, refused: RefusedRecord) -> None:
        """Send a refused record of ``topic`` to the dead letters, its bytes cut to what a reader needs."""
        offset, value, key = refused.offset, refused.value or b"", refused.key
        record = {
            "event_id": f"{topic}/{self.partition}/{offset}", "topic": topic, "partition": self.partition,
            "offset": offset, "key": None if key is None else key[:LETTER_BYTES], "value": value[:LETTER_BYTES],
            "n_bytes": len(value),
            "reason": refused.reason, "detail": refused.detail, "seen_ms": refused.timestamp_ms,
        }  # fmt: skip
        letter = self.codec.encode("dead_letter", record)
        self.outputs.add(self.scorer.prefix + "dead-letters", f"{topic}/{self.partition}".encode(), letter)

    def _misrouted(self, source: int, offset: int) -> RefusedRecord:
        span = next(s for s in self._spans[source] if s.offsets[0] <= offset <= s.offsets[-1])
        i = int(np.searchsorted(span.offsets, offset))
        detail = f"the key belongs to another of {int(self.state.control[7])} partitions: use the murmur2 partitioner"
        return RefusedRecord(offset, int(span.timestamps_ms[i]), span.key(i), span.value(i), "misrouted", detail)

    def _sweep(self, first: int, n_slots: int) -> None:
        self.is_touched = True  # a checkpoint may have come since the clock did
        self.state.begin()
        done = self.state.sweep(first, first + n_slots)
        self.n_swept += done - first
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
        self._begin_sweep()

    def _begin_sweep(self) -> None:
        self.summary.open_day(self.state.clock_day)
        self._sweep_at = 0
