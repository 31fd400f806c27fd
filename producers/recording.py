"""A stream of days: what sources and the simulator give, and replay and file sinks take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Protocol

import numpy as np

from producers.errors import ReplayError
from producers.refusals import Refusals
from schemas.durations import DAY_MS
from schemas.events import EventBatch


class EventDay(Protocol):
    """What became known on one day, ``[day, day + 1)`` in days since 1970, UTC."""

    @property
    def day(self) -> int: ...

    @property
    def batches(self) -> Sequence[EventBatch]: ...


@dataclass(frozen=True)
class RecordedDay:
    """The events that became known on one day, at most one batch for each topic."""

    day: int
    batches: tuple[EventBatch, ...]


@dataclass(frozen=True)
class SourceCount:
    """What became of the rows of one source; `imbalance` is always 0.

    Parameters
    ----------
    name
        Name of the source.
    n_files, n_rows
        Files (of a database: chunks) and rows read, with those that are no rows at all.
    n_filtered
        Rows that the source's ``where`` leaves out.
    n_events
        Events made; one row may give several or none.
    refusals
        Rows or events that could not be read, by reason.
    n_kinds
        How many events a row may give: its ``[[source.event]]`` entries.
    n_none
        Times that a row gave none of such an event: another kind, no time, or known after ``until``.
    n_duplicates
        Events left out because their id was there already.
    """

    name: str
    n_files: int
    n_rows: int
    n_filtered: int
    n_events: int
    refusals: Refusals
    n_kinds: int = 1
    n_none: int = 0
    n_duplicates: int = 0

    @property
    def imbalance(self) -> int:
        """Rows read, times the events of each, less what is accounted for: events, none, refused, duplicates."""
        n_read = self.n_rows - self.n_filtered - self.refusals.n_rows
        n_refused = self.refusals.n - self.refusals.n_rows
        return n_read * self.n_kinds - self.n_events - self.n_none - n_refused - self.n_duplicates

    def as_json(self) -> dict[str, object]:
        """The counts."""
        names = ("name", "n_files", "n_rows", "n_filtered", "n_events", "n_kinds", "n_none", "n_duplicates")
        counts = {name: getattr(self, name) for name in names}
        return counts | {"n_refused_rows": self.refusals.n_rows, "refused": dict(sorted(self.refusals.counts.items()))}

    def __str__(self) -> str:
        text = f"{self.name}: {self.n_rows:,} rows of {self.n_files} file(s), {self.n_events:,} events"
        text += f", {self.n_filtered:,} rows filtered" if self.n_filtered else ""
        text += f", {self.n_none:,} rows without an event" if self.n_none and self.n_kinds == 1 else ""
        text += f", {self.n_duplicates:,} duplicates" if self.n_duplicates else ""
        return text + (f", {self.refusals.n:,} refused: {self.refusals}" if self.refusals.n else "")


@dataclass(frozen=True)
class Recording:
    """All events of a workload's sources by the day they became known.

    Parameters
    ----------
    days
        Days with events, ascending; silent days are left out.
    sources
        What each source gave.
    """

    days: tuple[RecordedDay, ...]
    sources: tuple[SourceCount, ...]

    def __iter__(self) -> Iterator[RecordedDay]:
        return iter(self.days)

    @property
    def n_events(self) -> int:
        """Events of all days."""
        return sum(len(batch) for day in self.days for batch in day.batches)

    def between(self, first_day: int | None, until_day: int | None) -> Recording:
        """The days of ``[first_day, until_day)``; None is no bound."""
        days = [
            day
            for day in self.days
            if (first_day is None or day.day >= first_day) and (until_day is None or day.day < until_day)
        ]
        return Recording(tuple(days), self.sources)


def split_days(batches: Iterable[EventBatch]) -> tuple[RecordedDay, ...]:
    """Batches, each sorted by known time, cut at midnight UTC and gathered by day."""
    days: dict[int, list[EventBatch]] = {}
    for batch in batches:
        known_day = batch.known_time_ms // DAY_MS
        cuts = np.flatnonzero(np.diff(known_day)) + 1
        for start, end in zip([0, *cuts], [*cuts, len(batch)], strict=True):
            if end > start:
                days.setdefault(int(known_day[start]), []).append(batch.take(slice(int(start), int(end))))
    return tuple(RecordedDay(day, tuple(days[day])) for day in sorted(days))


def day_of(text: str) -> int:
    """Days since 1970 of an ISO date.

    Examples
    --------
    >>> day_of("1970-01-11")
    10
    """
    try:
        return date.fromisoformat(text).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        raise ReplayError(f"day {text!r}", "is not a date; write it like 2025-04-01") from None


def day_text(day: int) -> str:
    """ISO date of a day since 1970."""
    return datetime.fromtimestamp(day * DAY_MS / 1000, tz=UTC).date().isoformat()
