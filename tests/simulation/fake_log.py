"""Topic-partitions as a broker keeps them: records, transactions, their marks, the last stable offset, fencing."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["open", "committed", "aborted"]


@dataclass(eq=False)
class Transaction:
    """What one producer writes until it commits; ``logs`` still lack its mark."""

    status: Status = "open"
    logs: list[TopicLog] = field(default_factory=list)


class Entry:
    """A record at its offset."""

    __slots__ = ("key", "offset", "timestamp", "transaction", "value")

    def __init__(
        self, offset: int, timestamp: int, key: bytes | None, value: bytes | None, transaction: Transaction | None
    ) -> None:
        self.offset, self.timestamp, self.key, self.value, self.transaction = offset, timestamp, key, value, transaction

    @property
    def is_committed(self) -> bool:
        return self.transaction is None or self.transaction.status == "committed"


@dataclass(eq=False)
class TopicLog:
    """One topic-partition; None is a place without a record: a mark, or what the cleaner took."""

    entries: list[Entry | None] = field(default_factory=list)
    pending: dict[Transaction, int] = field(default_factory=dict)  # unmarked transactions and where they begin

    @property
    def end(self) -> int:
        return len(self.entries)

    @property
    def stable(self) -> int:
        """Where a ``read_committed`` reader stops."""
        return min(self.pending.values()) if self.pending else self.end

    def append(
        self, key: bytes | None, value: bytes | None, timestamp: int = 0, transaction: Transaction | None = None
    ) -> int:
        if transaction is not None and transaction not in self.pending:
            self.pending[transaction] = self.end
            transaction.logs.append(self)
        self.entries.append(Entry(self.end, timestamp, key, value, transaction))
        return self.end - 1

    def mark(self, transaction: Transaction) -> None:
        """Write a transaction's mark: it takes an offset."""
        del self.pending[transaction]
        transaction.logs.remove(self)
        self.entries.append(None)

    def skip(self, n: int) -> None:
        """Places that readers never see: of an aborted transaction of a producer, and marks."""
        self.entries += [None] * n

    def read(self, begin: int, most: int | None = None) -> list[Entry]:
        """Committed records from ``begin`` on."""
        found = []
        for entry in self.entries[begin : self.stable]:
            if entry is not None and entry.is_committed:
                found.append(entry)
                if len(found) == most:
                    break
        return found

    def clean(self, upto: int) -> None:
        """Keep of ``[0, upto)`` the newest committed record of each key."""
        newest = {entry.key: entry for entry in self.entries[:upto] if entry is not None and entry.is_committed}
        for i, entry in enumerate(self.entries[:upto]):
            if entry is not None and newest.get(entry.key) is not entry:
                self.entries[i] = None


class FakeBroker:
    """Topics and the coordinator of transactions.

    Parameters
    ----------
    draw
        How late a commit's marks come.
    later
        Calls something after so many seconds.
    """

    def __init__(self, draw: random.Random, later: Callable[[float, Callable[[], None]], object]) -> None:
        self.draw, self.later = draw, later
        self.logs: dict[tuple[str, int], TopicLog] = {}
        self.epochs: dict[str, int] = {}
        self._transactions: dict[str, Transaction] = {}

    def log(self, topic: str, partition: int) -> TopicLog:
        return self.logs.setdefault((topic, partition), TopicLog())

    def fence(self, name: str) -> int:
        """A new producer of this transactional id: finish what is decided, abort what is open."""
        self.end(name, "aborted")
        self.finish(name)
        self.epochs[name] = self.epochs.get(name, 0) + 1
        return self.epochs[name]

    def transaction(self, name: str) -> Transaction:
        """The open one; the one before must have its marks first."""
        found = self._transactions.get(name)
        if found is None or found.status != "open":
            self.finish(name)
            found = self._transactions[name] = Transaction()
        return found

    def end(self, name: str, status: Status) -> None:
        """Decide the open transaction; its marks follow, each in its own time."""
        found = self._transactions.get(name)
        if found is None or found.status != "open":
            return
        found.status = status
        for log in list(found.logs):
            if self.draw.random() < 0.5:
                log.mark(found)
        if found.logs:
            self.later(self.draw.random() * 0.004, lambda: self._mark(found))

    def finish(self, name: str) -> None:
        found = self._transactions.get(name)
        if found is not None and found.status != "open":
            self._mark(found)

    def finish_all(self) -> None:
        for name in self._transactions:
            self.finish(name)

    def _mark(self, transaction: Transaction) -> None:
        for log in list(transaction.logs):
            log.mark(transaction)
