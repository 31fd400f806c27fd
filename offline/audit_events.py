"""The events of some customers in one partition: from the lake where it holds them, from the topics for the rest.

Refused and repeated events keep their place and say so, decided as the stream decides it: by the log alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from offline.partition_log import read_column, read_table, topic_spans
from offline.topic_reader import OffsetGoneError
from schemas.codec import Codec
from schemas.lake import Lake
from schemas.lake_table import batch_of
from schemas.settings import Settings
from schemas.topics import topic_for
from schemas.workload import EventTopic
from stream_app.columns import Columns, columns_of, hash_texts, width_of
from stream_app.decode import TopicDecoder
from stream_app.duplicates import DuplicateWindow
from stream_app.plan import Plan

Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SourceEvents:
    """One customer's events of one topic, in offset order, with their final statuses.

    Parameters
    ----------
    covered
        Ranges of offsets (first, last) that lake and topic hold, ascending.
    """

    columns: Columns
    covered: tuple[tuple[int, int], ...]

    def is_whole(self, until: int) -> bool:
        """Whether every offset up to and with ``until`` is held."""
        at = 0
        for first, last in self.covered:
            if first > at:
                break
            at = max(at, last + 1)
        return at > until


class PartitionEvents:
    """Reads one partition once, for some customers.

    Parameters
    ----------
    plan, codec
        Of the workload that the scores belong to.
    customers
        Their keys.
    """

    def __init__(
        self, settings: Settings, plan: Plan, codec: Codec, partition: int, customers: Collection[bytes]
    ) -> None:
        self.plan = plan
        self._sources = [
            _Reader(settings, plan, codec, source, partition, customers).read() for source in range(plan.n_sources)
        ]
        self._rows = [_rows_by_key(source.columns) for source in self._sources]

    def of(self, customer: bytes) -> list[SourceEvents]:
        """A customer's events, one entry for each topic."""
        none = np.zeros(0, np.int64)
        return [
            SourceEvents(source.columns.take(rows.get(customer, none)), source.covered)
            for source, rows in zip(self._sources, self._rows, strict=True)
        ]


def _rows_by_key(columns: Columns) -> dict[bytes, Int64s]:
    """Key -> positions, ascending."""
    data, places = columns.keys.tobytes(), dict[bytes, list[int]]()
    for i, (at, length) in enumerate(zip(columns.key_at.tolist(), columns.key_len.tolist(), strict=True)):
        places.setdefault(data[at : at + length], []).append(i)
    return {key: np.array(rows, np.int64) for key, rows in places.items()}


@dataclass(frozen=True, eq=False)
class _Ids:
    """What tells a duplicate: event ids, offsets and statuses of records, (n,) each."""

    id_hash: Int64s
    offset: Int64s
    status: Int64s

    @classmethod
    def of(cls, columns: Columns) -> _Ids:
        return cls(columns.id_hash, columns.offset, columns.status)

    def sharing(self, ids: Int64s) -> _Ids:
        """Those whose id is one of ``ids``."""
        rows = np.isin(self.id_hash, ids)
        return _Ids(self.id_hash[rows], self.offset[rows], self.status[rows])


class _Reader:
    """Reads one topic-partition: wanted rows, and the ids of whatever may make one of them a duplicate."""

    def __init__(
        self, settings: Settings, plan: Plan, codec: Codec, source: int, partition: int, customers: Collection[bytes]
    ) -> None:
        self.settings, self.plan, self.source, self.partition = settings, plan, source, partition
        self.topic: EventTopic = plan.workload.topics[source]
        self.lake = Lake(settings.lake_dir)
        self.is_of_topics = self.lake.origin() is None  # offsets in a lake of files are not those of scores
        self.decoder = TopicDecoder(plan, source, codec)
        self.customers = frozenset(customers)
        self.covered: list[tuple[int, int]] = []

    def read(self) -> SourceEvents:
        """The rows of the customers, by offset."""
        files = self._lake_files()
        names = pa.array([key.decode() for key in sorted(self.customers)], pa.string())
        parts = [self._from_lake(file, pc.is_in(read_column(file, "customer_id"), value_set=names)) for file in files]
        tail = list[_Ids]()
        for columns in self._tail():
            tail.append(_Ids.of(columns))
            parts.append(columns.take(self._is_wanted(columns)).with_own_keys())
        wanted = self._by_offset(parts)
        if self.topic.deduplicate and len(wanted):
            self._mark_duplicates(wanted, files, tail)
        return SourceEvents(wanted, tuple(self.covered))

    def _lake_files(self) -> list[Path]:
        folder = self.lake.topic_dir(self.topic.name)
        slices = self.lake.slices(self.topic.name, self.partition) if self.is_of_topics else ()
        self.covered = [(one.first, one.last) for one in slices]
        return [folder / file for one in slices for file in one.files]

    def _from_lake(self, file: Path, chosen: pa.Array | pa.ChunkedArray) -> Columns:
        if not pc.any(chosen).as_py():
            return self._nothing()
        table = read_table(file, self.topic, chosen)
        return columns_of(self.plan, batch_of(self.topic, table), table["offset"].to_numpy())

    def _tail(self) -> Iterator[Columns]:
        """What the topic holds behind the lake, decoded."""
        first = self.lake.next_offset(self.topic.name, self.partition) if self.is_of_topics else 0
        topic = topic_for(self.topic.name, self.plan.workload, self.settings)
        begin = first or None
        try:
            for span in topic_spans(self.settings, topic, self.partition, first):
                begin = int(span.offsets[0]) if begin is None else begin
                self.covered.append((begin, int(span.offsets[-1])))
                begin = int(span.offsets[-1]) + 1
                yield self.decoder.decode(span).columns
        except OffsetGoneError:
            return  # then the lake is all there is

    def _is_wanted(self, columns: Columns) -> Int64s:
        data = columns.keys.tobytes()
        spans = zip(columns.key_at.tolist(), columns.key_len.tolist(), strict=True)
        mine = [data[at : at + length] in self.customers for at, length in spans]
        return np.flatnonzero(mine).astype(np.int64)

    def _mark_duplicates(self, wanted: Columns, files: Sequence[Path], tail: Sequence[_Ids]) -> None:
        """Give the wanted rows the statuses that the whole log gives them."""
        ids = np.unique(wanted.id_hash)
        found = [self._sharing(file, ids) for file in files] + [part.sharing(ids) for part in tail]
        log = self._nothing(sum(len(part.offset) for part in found))
        order = np.argsort(np.concatenate([part.offset for part in found]), kind="stable")
        for name in ("id_hash", "offset", "status"):
            getattr(log, name)[:] = np.concatenate([getattr(part, name) for part in found])[order]
        DuplicateWindow().mark(log)
        wanted.status[:] = log.status[np.searchsorted(log.offset, wanted.offset)]

    def _sharing(self, file: Path, ids: Int64s) -> _Ids:
        """Rows of a lake file whose event id is one of ``ids``, whoever's they are."""
        hashes = hash_texts(read_column(file, "event_id").to_numpy(zero_copy_only=False))
        return _Ids.of(self._from_lake(file, pa.array(np.isin(hashes, ids))))

    def _nothing(self, n: int = 0) -> Columns:
        return Columns.empty(n, width_of(self.plan), self.source, np.zeros(0, np.uint8))

    def _by_offset(self, parts: Sequence[Columns]) -> Columns:
        """All rows in offset order, in arrays of their own."""
        whole = Columns.concat([self._nothing(), *parts])
        return whole.take(np.argsort(whole.offset, kind="stable").astype(np.int64))
