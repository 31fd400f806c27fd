"""What there is: events by kind and day, values by field, customers, how late events became known.

Two looks: `look` takes each batch of a first reading (it learns when customers ended), `count` the columns of a second.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from offline.profile.ends import Ends, end_kinds
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.workload import Field, Workload
from stream_app import opcodes as op
from stream_app.columns import Columns

Int64s = NDArray[np.int64]

LATE_MS = DAY_MS
AROUND_END_MS = 30 * DAY_MS


@dataclass
class KindCount:
    """Events of a kind.

    Parameters
    ----------
    n_late
        Became known more than a day after they happened.
    n_before_end, n_after_end
        In the 30 days before a customer's end; after an end and before a new start.
    n_known_after_end
        Happened before a customer's end and became known after it.
    """

    topic: str
    name: str
    n: int = 0
    first_ms: int = op.DAY_MS << 40
    last_ms: int = -(op.DAY_MS << 40)
    n_late: int = 0
    longest_lag_ms: int = 0
    n_before_end: int = 0
    n_after_end: int = 0
    n_known_after_end: int = 0


@dataclass
class FieldCount:
    """Values of a field over the events of its topic; low, high and total in the field's unit."""

    topic: str
    declared: Field
    n: int = 0
    n_known: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    total: float = 0.0
    codes: Counter[int] = field(default_factory=Counter)

    def update(self, scaled: Int64s) -> None:
        """Take scaled values as the kernels hold them."""
        known = scaled[scaled != op.NONE]
        self.n += len(scaled)
        self.n_known += len(known)
        if not len(known):
            return
        if self.declared.type == "category":
            self.codes.update(dict(zip(*(x.tolist() for x in np.unique(known, return_counts=True)), strict=True)))
            return
        self.low = min(self.low, int(known.min()) / self.declared.scale)
        self.high = max(self.high, int(known.max()) / self.declared.scale)
        self.total += float(known.sum(dtype=np.float64)) / self.declared.scale


class Census:
    """Counts of a history; feed it, then read `kinds`, `fields`, `by_day` and `n_customers`."""

    def __init__(self, workload: Workload) -> None:
        self.ends = Ends(workload)
        self.has_ends = bool(end_kinds(workload) and workload.live.start)
        self.kinds = [KindCount(topic.name, kind.name) for topic in workload.topics for kind in topic.kinds]
        self.fields = [[FieldCount(topic.name, field) for field in topic.fields] for topic in workload.topics]
        self.by_day: list[Counter[int]] = [Counter() for _ in workload.topics]
        self._seen: list[Int64s] = []
        self._customers = np.zeros(0, np.int64)

    def look(self, batch: EventBatch) -> None:
        """First reading."""
        self.ends.update(batch)

    def count(self, columns: Columns) -> None:
        """Second reading; columns of one topic."""
        if not len(columns):
            return
        source = int(columns.source[0])
        days, n = np.unique(columns.event_time // DAY_MS, return_counts=True)
        self.by_day[source].update(dict(zip(days.tolist(), n.tolist(), strict=True)))
        for j, values in enumerate(self.fields[source]):
            values.update(columns.values[:, j])
        self._remember(columns.key_hash)
        self._count_kinds(columns)

    @property
    def n_customers(self) -> int:
        """Customers with at least one event."""
        self._gather()
        return len(self._customers)

    @property
    def n_events(self) -> int:
        """All events."""
        return sum(kind.n for kind in self.kinds)

    def _remember(self, key_hash: Int64s) -> None:
        self._seen.append(np.unique(key_hash))
        if sum(map(len, self._seen)) > 4 * len(self._customers) + 1_000_000:
            self._gather()

    def _gather(self) -> None:
        self._customers = np.unique(np.concatenate([self._customers, *self._seen]))
        self._seen = []

    def _count_kinds(self, columns: Columns) -> None:
        lag = columns.known_time - columns.event_time
        marks = {"n": np.ones(len(columns), bool), "n_late": lag > LATE_MS} | self._around_ends(columns)
        for name, mark in marks.items():
            for kind, n in enumerate(np.bincount(columns.kind[mark], minlength=len(self.kinds)).tolist()):
                setattr(self.kinds[kind], name, getattr(self.kinds[kind], name) + n)
        for kind in np.unique(columns.kind).tolist():
            mine, found = columns.kind == kind, self.kinds[kind]
            found.first_ms = min(found.first_ms, int(columns.event_time[mine].min()))
            found.last_ms = max(found.last_ms, int(columns.event_time[mine].max()))
            found.longest_lag_ms = max(found.longest_lag_ms, int(lag[mine].max()))

    def _around_ends(self, columns: Columns) -> dict[str, NDArray[np.bool_]]:
        if not self.has_ends:
            return {}
        next_end = self.ends.next_end(columns.key_hash, columns.event_time)
        return {
            "n_before_end": next_end <= columns.event_time + AROUND_END_MS,
            "n_after_end": self.ends.is_after_end(columns.key_hash, columns.event_time),
            "n_known_after_end": next_end < columns.known_time,
        }
