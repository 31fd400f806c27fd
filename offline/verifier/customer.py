"""All that is remembered of one customer: tallies by day, newest times, last values. Dictionaries and integers."""

from __future__ import annotations

from dataclasses import dataclass, field

from offline.verifier.decisions import Decisions
from offline.verifier.events import Event
from schemas.durations import DAY_MS
from schemas.workload import Feature, Workload

KEPT_DAYS = 130  # the longest window, its tiles and the lateness of a clock that runs ahead lie within it
_MASK = (1 << 64) - 1
Counted = tuple[tuple[str, ...], str | None]  # kinds, and the field whose values are counted


@dataclass(slots=True)
class DayTally:
    """What happened on one day."""

    n_events: int = 0
    n_values: int = 0
    total: int = 0
    largest: int = 0

    def add(self, value: int | None) -> None:
        self.n_events += 1
        if value is not None:
            self.largest = value if self.n_values == 0 else max(self.largest, value)
            self.n_values += 1
            self.total += value


@dataclass(frozen=True, slots=True)
class LastValue:
    """A value, and when it was said."""

    event_time_ms: int
    event_id: bytes
    value: int

    def is_newer_than(self, other: LastValue | None) -> bool:
        """By time, then by the hash of the id, then by value: the same in any order of arrival."""
        if other is None or self.event_time_ms != other.event_time_ms:
            return other is None or self.event_time_ms > other.event_time_ms
        return (hash_text(self.event_id), self.value) > (hash_text(other.event_id), other.value)


class Definitions:
    """What must be remembered for the features and the label of a workload, by kind."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.starts = workload.live.start or tuple(k for k in workload.kind_index if k not in workload.live.end)
        self.urgent = {kind.name for topic in workload.topics for kind in topic.kinds if kind.urgent}
        self.counted: dict[str, list[Counted]] = {kind: [] for kind in workload.kind_index}
        self.last: dict[str, list[Counted]] = {kind: [] for kind in workload.kind_index}
        self.opens: dict[str, list[tuple[str, int]]] = {kind: [] for kind in workload.kind_index}
        for feature in workload.features:
            self._note(feature)

    def _note(self, feature: Feature) -> None:
        what = (feature.of, feature.field)
        for kind in feature.of:
            if feature.windows and what not in self.counted[kind]:
                self.counted[kind].append(what)
            if feature.type in ("last", "until") and what not in self.last[kind]:
                self.last[kind].append(what)
            if feature.type == "open":
                self.opens[kind].append((feature.name, 1))
        for kind in feature.closed_by:
            self.opens[kind].append((feature.name, -1))


@dataclass(slots=True)
class Customer:
    """One customer of a partition."""

    key: bytes
    tick_day: int
    stamps: list[int]
    decisions: Decisions
    step: int | None = None
    newest: dict[str, int] = field(default_factory=dict)
    first_start: int | None = None
    paid_until: int | None = None
    days: dict[Counted, dict[int, DayTally]] = field(default_factory=dict)
    last: dict[Counted, LastValue] = field(default_factory=dict)
    n_open: dict[str, int] = field(default_factory=dict)
    n_waiting: int = 0  # rows whose decisions are not taken yet

    def newest_of(self, kinds: tuple[str, ...]) -> int | None:
        """Time of the newest event of ``kinds``."""
        return max((self.newest[kind] for kind in kinds if kind in self.newest), default=None)

    def newest_event(self) -> int:
        """Time of the newest event."""
        return max(self.newest.values())

    def apply(self, definitions: Definitions, event: Event) -> None:
        """Remember an event."""
        kind, time, label = event.kind, event.event_time_ms, definitions.workload.label
        self.newest[kind] = max(time, self.newest.get(kind, time))
        if kind in definitions.starts:
            self.first_start = time if self.first_start is None else min(time, self.first_start)
        if label.type == "lapse" and kind in label.of and label.field in event.values:
            paid = event.values[label.field]
            self.paid_until = paid if self.paid_until is None else max(paid, self.paid_until)
        for what in definitions.counted[kind]:
            self._count(what, time // DAY_MS, event.values.get(what[1] or ""))
        for what in definitions.last[kind]:
            self._keep_last(what, event)
        for name, step in definitions.opens[kind]:
            self.n_open[name] = self.n_open.get(name, 0) + step

    def _count(self, what: Counted, day: int, value: int | None) -> None:
        days = self.days.setdefault(what, {})
        if day not in days:
            days[day] = DayTally()
            if len(days) > KEPT_DAYS:
                for old in [d for d in days if d < max(days) - KEPT_DAYS]:
                    del days[old]
                if day not in days:
                    return
        days[day].add(value)

    def _keep_last(self, what: Counted, event: Event) -> None:
        value = event.values.get(what[1] or "")
        if value is not None:
            said = LastValue(event.event_time_ms, event.event_id, value)
            if said.is_newer_than(self.last.get(what)):
                self.last[what] = said


def hash_text(data: bytes) -> int:
    """The 64-bit hash that breaks ties: multiply and fold, eight bytes a step, signed."""
    h = 0x9E3779B97F4A7C15 ^ (len(data) * 0xC2B2AE3D27D4EB4F & _MASK)
    for at in range(0, len(data), 8):
        h = (h ^ int.from_bytes(data[at : at + 8], "little")) * 0xFF51AFD7ED558CCD & _MASK
        h ^= h >> 29
    h = (h ^ (h >> 32)) * 0xC4CEB9FE1A85EC53 & _MASK
    h ^= h >> 29
    return h - (1 << 64) if h >> 63 else h
