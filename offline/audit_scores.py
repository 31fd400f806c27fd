"""Past scores as they were published: by id, by customer, or a random choice."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import numpy as np

from offline.errors import OfflineError
from offline.topic_reader import read_to_end
from schemas.codec import Codec
from schemas.partition import partition_of
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topics import topic_for
from schemas.workload import Workload
from stream_app import opcodes as op

TOPICS = ("scores", "latest-scores")


@dataclass(frozen=True)
class PastScore:
    """A score record.

    Parameters
    ----------
    row_kind
        `opcodes.TICK`, `EVENT` or `URGENT`.
    stamps
        Newest applied offset of each event topic, -1 none.
    """

    event_id: str
    customer_id: str
    as_of_ms: int
    row_kind: int
    score: np.float32
    band: str
    model_version: str
    workload_hash: str
    feature_hash: int
    stamps: tuple[int, ...]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> PastScore:
        """From the decoded record."""
        return cls(
            event_id=record["event_id"],
            customer_id=record["customer_id"],
            as_of_ms=record["as_of_ms"],
            row_kind=op.ROW_KINDS.index(record["row_kind"]),
            score=np.float32(record["score"]),
            band=record["band"],
            model_version=record["model_version"],
            workload_hash=record["workload_hash"],
            feature_hash=record["feature_hash"],
            stamps=tuple(record["stamps"]),
        )

    @property
    def id_that_follows(self) -> str:
        """The id that the other fields make."""
        extra = "" if self.row_kind == op.TICK else f".{sum(self.stamps) + len(self.stamps)}"
        return f"{self.customer_id}@{self.as_of_ms}/{self.row_kind}{extra}"


class PastScores:
    """The topics of scores: ``scores`` as long as it is kept, then the newest of each customer.

    Parameters
    ----------
    settings, workload
        Where the topics are.
    """

    def __init__(self, settings: Settings, workload: Workload) -> None:
        self._settings, self._workload = settings, workload
        self._codec = Codec(FileRegistry.fixed())

    def named(self, score_id: str) -> list[PastScore]:
        """The different records of one id, oldest first; empty when none is retained.

        Raises
        ------
        OfflineError
            When it is no id of a score.
        """
        customer, at, _ = score_id.rpartition("@")
        if not (customer and at):
            raise OfflineError(f"{score_id!r} is no id of a score, such as C000123@1770249600000/0")
        return [score for score in self.of_customer(customer) if score.event_id == score_id]

    def of_customer(self, customer_id: str) -> list[PastScore]:
        """All different scores of a customer that are retained, as published."""
        partition = partition_of(customer_id.encode(), self._settings.partitions)
        found: dict[bytes, PastScore] = {}
        for role in TOPICS:
            for key, value in self._records(role, partition):
                if key == customer_id.encode() and value not in found:
                    found[value] = self._score(value)
        return list(found.values())

    def random(self, n: int, seed: int) -> list[PastScore]:
        """``n`` different retained scores, each as likely as any other; all when there are fewer."""
        chosen: list[tuple[int, bytes]] = []  # the n smallest hashes, largest first
        held: set[bytes] = set()
        salt = seed.to_bytes(8, "little", signed=True)
        for partition in range(self._settings.partitions):
            for _, value in self._records("scores", partition):
                place = -int.from_bytes(blake2b(value, digest_size=8, key=salt).digest(), "big")
                if value in held or (len(chosen) == n and place <= chosen[0][0]):
                    continue
                held.add(value)
                if len(chosen) < n:
                    heapq.heappush(chosen, (place, value))
                else:
                    held.discard(heapq.heappushpop(chosen, (place, value))[1])
        return [self._score(value) for _, value in sorted(chosen, reverse=True)]

    def _score(self, value: bytes) -> PastScore:
        return PastScore.from_record(self._codec.decode(value, "score"))

    def _records(self, role: str, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of every record of a partition."""
        topic = topic_for(role, self._workload, self._settings)
        for messages in read_to_end(self._settings, topic, {partition: 0}):
            for message in messages:
                key, value = message.key(), message.value()
                if value is not None and key is not None:
                    yield key, value


def nearest(scores: list[PastScore], at_ms: int | None, n: int) -> list[PastScore]:
    """The ``n`` scores whose as-of lies nearest to a moment, or the newest ones, by as-of."""
    by_time = sorted(scores, key=lambda score: (score.as_of_ms, sum(score.stamps)))
    if at_ms is None:
        return by_time[-n:]
    chosen = sorted(range(len(by_time)), key=lambda i: abs(by_time[i].as_of_ms - at_ms))[:n]
    return [by_time[i] for i in sorted(chosen)]


def moment_text(ms: int) -> str:
    """``YYYY-MM-DD HH:MM:SS.mmm`` in UTC.

    Examples
    --------
    >>> moment_text(1_770_283_800_001)
    '2026-02-05 09:30:00.001'
    """
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.") + f"{ms % 1000:03d}"
