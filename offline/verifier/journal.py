"""In which order a partition's logs were read: the slices of its journal, without a hole and without an overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from offline.verifier.events import Record
from stream_app.checkpoint import decode_journal


class JournalBroken(Exception):
    """The journal is no order in which the logs can have been read; the message says where."""


@dataclass(frozen=True)
class Slice:
    """What one checkpoint took: positions of all sources before and after, the clock last, and the order between."""

    name: str
    begin: tuple[int, ...]
    end: tuple[int, ...]
    runs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Journal:
    """The slices of a partition in the order of the log, and how many records only repeat an earlier one."""

    slices: tuple[Slice, ...]
    n_repeated: int

    @classmethod
    def read(cls, records: Iterable[Record]) -> Journal:
        """Read the records of a journal partition; one that was written again counts once."""
        values: dict[bytes, bytes] = {}
        n_repeated = 0
        for record in records:
            key, value = record.key or b"", record.value or b""
            if values.setdefault(key, value) != value:
                raise JournalBroken(f"record {key.decode(errors='replace')} stands there with two contents")
            n_repeated += 1
        return cls(tuple(_slice(key, value) for key, value in values.items()), n_repeated - len(values))

    @property
    def end(self) -> tuple[int, ...]:
        """Positions behind the last slice; empty when there is none."""
        return self.slices[-1].end if self.slices else ()

    def then(self, records: Iterable[Record]) -> Journal:
        """The same with records that the log does not hold yet."""
        known = {s.name for s in self.slices}
        more = tuple(s for s in Journal.read(records).slices if s.name not in known)
        return Journal((*self.slices, *more), self.n_repeated)

    def check(self, names: tuple[str, ...]) -> None:
        """Raise `JournalBroken` unless each slice begins where the one before ended, the first at 0."""
        at = (0,) * len(names)
        for s in self.slices:
            for name, expected, found in zip(names, at, s.begin, strict=True):
                if found != expected:
                    what = "taken by no slice" if found > expected else "taken twice"
                    first, last = sorted((expected, found))
                    raise JournalBroken(f"{name} offsets {first} to {last - 1} are {what} (before checkpoint {s.name})")
            at = s.end


def _slice(key: bytes, value: bytes) -> Slice:
    try:
        head, runs = decode_journal(value)
        begin, end = (*head["from"], head["clock_from"]), (*head["to"], head["clock_to"])
    except Exception as cause:
        raise JournalBroken(f"record {key.decode(errors='replace')} cannot be read ({cause!r})") from None
    return Slice(key.decode(), begin, end, tuple((int(source), int(count)) for source, count in runs.tolist()))


class SourceLog:
    """One log, taken record by record in offset order."""

    def __init__(self, name: str, records: Iterator[Record]) -> None:
        self.name, self._records = name, records
        self._ahead: list[Record] = []

    def take(self, count: int) -> Iterator[Record]:
        """The next ``count`` records."""
        n = 0
        while self._ahead and n < count:
            n += 1
            yield self._ahead.pop()
        for record in islice(self._records, count - n):
            n += 1
            yield record
        if n < count:
            raise JournalBroken(f"{self.name} ends {count - n} records before what the journal says was read")

    def next_offset(self) -> int | None:
        """Offset of the next record; None at the end."""
        if not self._ahead:
            self._ahead = list(islice(self._records, 1))
        return self._ahead[0].offset if self._ahead else None

    def count_rest(self) -> int:
        """Number of records that no slice took."""
        return len(self._ahead) + sum(1 for _ in self._records)


def in_order(journal: Journal, logs: list[SourceLog]) -> Iterator[tuple[int, Record]]:
    """(source, record) in the order in which they were read, each exactly once.

    Raises
    ------
    JournalBroken
        When the logs do not hold what a slice says it took, or hold more.
    """
    for s in journal.slices:
        last = [-1] * len(logs)
        for source, count in s.runs:
            for record in logs[source].take(count):
                last[source] = record.offset
                yield source, record
        for log, taken, end in zip(logs, last, s.end, strict=True):
            following = log.next_offset()
            if taken >= end or (following is not None and following < end):
                place = taken if taken >= end else following
                raise JournalBroken(
                    f"checkpoint {s.name} says {log.name} was read up to {end}, its runs lead to {place}"
                )
