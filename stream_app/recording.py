"""The heart run over a recording: point-in-time feature rows for training, backtests and reports.

Same kernels as the stream; a cut-off is a tick. No labels, no models here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from schemas.events import EventBatch
from schemas.packed import codes_of_texts
from stream_app import opcodes as op
from stream_app.columns import Columns, columns_of
from stream_app.merge_kernel import merge_by_known_time
from stream_app.plan import Plan
from stream_app.state import ROWS_AT_ONCE, DueRows, PartitionState

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Feature rows at moments.

    Attributes
    ----------
    customer_id
        (n,) text.
    as_of_ms
        (n,) int64; the row knows what was known before.
    kind
        (n,) uint8: 0 tick, 1 event, 2 urgent.
    X
        (n, n_features) float32, NaN is missing.
    """

    customer_id: npt.NDArray[np.object_]
    as_of_ms: Int64s
    kind: npt.NDArray[np.uint8]
    X: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.as_of_ms)

    def take(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Rows:
        """Rows at ``chosen`` positions."""
        return Rows(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def order(self) -> Int64s:
        """Positions of the rows by moment, customer and kind, whatever order they were taken in; (n,).

        Rows of one customer at one moment stay in the order of their events, which no sharing of customers changes.
        """
        if not len(self):
            return np.zeros(0, np.int64)
        return np.lexsort((self.kind, codes_of_texts(self.customer_id), self.as_of_ms)).astype(np.int64)

    @classmethod
    def concat(cls, parts: Sequence[Rows]) -> Rows:
        """All rows of ``parts``."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


@dataclass(frozen=True, eq=False)
class Stretch:
    """What became known of all topics in some days, and in which order to take it.

    Attributes
    ----------
    columns
        Events of all topics, in any order, some of them refused or repeated.
    order
        Positions of the accepted ones by known time; ties by topic, partition and offset.
    end_ms
        Everything known before has been handed out.
    """

    columns: Columns
    order: Int64s
    end_ms: int

    def __len__(self) -> int:
        return len(self.order)

    @property
    def known_time_ms(self) -> Int64s:
        """When each of them became known, ascending; (n,)."""
        return self.columns.known_time[self.order]


def tick_rows(
    plan: Plan,
    batches: Iterable[EventBatch | Columns | Stretch],
    cutoff_days: Sequence[int],
    *,
    event_sample: float = 0.0,
    seed: int = 0,
) -> Rows:
    """Feature rows at the 00:00 of each cut-off day, and a seeded sample of event rows.

    Parameters
    ----------
    plan
        Of the workload.
    batches
        Events of all topics; any order within what is known on one day, days ascending in known time. Or stretches.
    cutoff_days
        Days since the epoch.
    event_sample
        Share of event and urgent rows to keep, 0 to 1.
    seed
        Of the sample.
    """
    recorder = Recorder(plan, cutoff_days, event_sample, seed)
    for batch in batches:
        recorder.update(batch)
    return recorder.finish()


def state_before(plan: Plan, stretches: Iterable[Stretch], day: int) -> PartitionState:
    """All customers once everything known before ``day`` has been applied; that day's ticks are left to take."""
    recorder = Recorder(plan, [day])
    recorder.cutoffs = []
    for stretch in stretches:
        recorder.apply_stretch(stretch)
    return recorder.state


class Recorder:
    """Feeds events to a heart in known order and collects its rows."""

    def __init__(self, plan: Plan, cutoff_days: Sequence[int], event_sample: float = 0.0, seed: int = 0) -> None:
        self.plan = plan
        self.cutoffs = sorted({int(day) for day in cutoff_days})
        days = np.array(self.cutoffs, np.int64)
        self.state = PartitionState(plan, tick_days=days, event_share=event_sample, seed=seed)
        self._waiting: list[list[Columns]] = [[] for _ in range(plan.n_sources)]
        self._parts: list[Rows] = []
        self._known = -(2**62)

    def update(self, batch: EventBatch | Columns | Stretch) -> None:
        """Take a batch of one topic; what was known before the batch's first day is applied. Or a stretch, at once."""
        if isinstance(batch, Stretch):
            self.apply_stretch(batch)
            return
        if not len(batch):
            return
        columns = batch if isinstance(batch, Columns) else columns_of(self.plan, batch)
        day_begin = int(columns.known_time.min()) // op.DAY_MS * op.DAY_MS
        if day_begin > self._known:
            self._apply_before(day_begin)
            self._known = day_begin
        self._waiting[int(columns.source[0])].append(columns)

    def apply_stretch(self, stretch: Stretch) -> None:
        """Apply a stretch, with the cut-offs that fall in it; the stretch itself stays as it is."""
        columns = replace(stretch.columns, status=stretch.columns.status.copy())
        known, at = stretch.known_time_ms, 0
        for day in self._cutoffs_until(stretch.end_ms):
            upto = int(np.searchsorted(known, day * op.DAY_MS))
            self._apply(columns, stretch.order[at:upto])
            self._tick(day)
            at = upto
        self._apply(columns, stretch.order[at:])

    def finish(self) -> Rows:
        """Apply the rest, take the ticks of all cut-offs left, and return every row."""
        self._apply_before(2**62)
        self._parts.append(Rows(np.zeros(0, object), np.zeros(0, np.int64), np.zeros(0, np.uint8), self._no_x()))
        return Rows.concat(self._parts)

    def _no_x(self) -> npt.NDArray[np.float32]:
        return np.zeros((0, self.plan.n_features), np.float32)

    def _apply_before(self, end_ms: int) -> None:
        """Apply what is known before ``end_ms``, with the cut-offs that fall in between."""
        for day in self._cutoffs_until(end_ms):
            self._apply_merged(day * op.DAY_MS)
            self._tick(day)
        self._apply_merged(end_ms)

    def _cutoffs_until(self, end_ms: int) -> list[int]:
        return [day for day in self.cutoffs if self.state.clock_day < day and day * op.DAY_MS <= end_ms]

    def _apply_merged(self, end_ms: int) -> None:
        parts = [Columns.concat(waiting).sorted_by_known_time() for waiting in self._waiting if waiting]
        if not parts:
            return
        ends = np.cumsum([len(part) for part in parts]).astype(np.int64)
        begins = ends - [len(part) for part in parts]
        columns = Columns.concat(parts)
        order, runs = np.empty(len(columns), np.int64), np.empty((len(columns), 2), np.int64)
        n, _, _ = merge_by_known_time(
            columns.known_time, columns.status, np.zeros(len(columns)), begins, ends, np.full(len(parts), np.inf),
            end_ms, 0.0, np.inf, False, order, runs,
        )  # fmt: skip
        for part, begin, end in zip(parts, begins.tolist(), ends.tolist(), strict=True):
            self._waiting[int(part.source[0])] = (
                [part.take(slice(len(part) - (end - begin), None))] if begin < end else []
            )
        self._apply(columns, order[:n])

    def _apply(self, columns: Columns, order: Int64s) -> None:
        done = 0
        while done < len(order):
            self.state.begin()
            done = self.state.apply(columns, order, done)
            self._collect(self.state.due())

    def _tick(self, day: int) -> None:
        self.state.set_clock(day)
        at = 0
        while at < self.state.n_slots:
            self.state.begin()
            at = self.state.sweep(at, at + ROWS_AT_ONCE)
            self._collect(self.state.due())
        self.state.end_sweep()

    def _collect(self, due: DueRows) -> None:
        chosen = np.flatnonzero(due.rows[:, 2] != op.ENDED)
        if len(chosen):
            rows = due.rows[chosen]
            ids = self.state.customer_keys(rows[:, 0]).to_objects()
            self._parts.append(Rows(ids, rows[:, 1].copy(), rows[:, 2].astype(np.uint8), due.x[chosen].copy()))
