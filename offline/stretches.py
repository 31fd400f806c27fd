"""Reads a lake in stretches: some days of event time at once, handed out by the days on which events became known.

An accepted event is known at most ten minutes before it happens, so all that is known on day D lies in files of event
days up to D + 1. A repeated event is one whose id came before in the same partition of its topic. Files become
columns in `lake_columns`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from offline.customer_shares import EVERYONE, Share, check_at_home
from offline.errors import EmptyLakeError
from offline.lake_columns import ColumnsWriter, read_table, table_schema
from schemas.durations import DAY_MS
from schemas.lake import Lake, day_of
from schemas.workload import Workload
from stream_app import opcodes as op
from stream_app.columns import Columns
from stream_app.order_kernel import keep_first, move_seen, ties_ascend
from stream_app.plan import Plan
from stream_app.recording import Stretch

Refused = Counter[str]
Offsets = Mapping[str, Mapping[str, int]]
"""Topic -> partition (as text, as JSON has it) -> last offset."""
Int64s = NDArray[np.int64]
STRETCH_EVENTS = 250_000  # about 30 MB
FOR_EVER_MS = 2**62


@dataclass(frozen=True)
class _File:
    """A file of the lake; files sort as their rows should lie."""

    source: int
    partition: int
    first: int
    day: int
    path: Path
    n_rows: float  # by its commit, shared evenly among the commit's files

    def place(self) -> tuple[int, int, int, int]:
        return self.source, self.partition, self.first, self.day


class StretchReader:
    """Hands out the events of all topics, stretch by stretch.

    Parameters
    ----------
    until_known_ms
        Leave out what became known at or after this moment; None takes everything.
    refused
        Counts what was left out, as ``"refused"`` and ``"duplicate"`` per topic.
    share
        Of the customers whose events are handed out.
    with_tables
        Keep the texts of a stretch for `table`.
    upto
        The last offsets to hand out; None takes all.

    Raises
    ------
    EmptyLakeError
        When nothing of the workload is in the lake, or in the partitions of the share.
    """

    def __init__(
        self,
        lake: Lake,
        workload: Workload,
        until_known_ms: int | None = None,
        refused: Refused | None = None,
        share: Share = EVERYONE,
        with_tables: bool = False,
        upto: Offsets | None = None,
    ) -> None:
        self._plan, self._topics = Plan.from_workload(workload), workload.topics
        self._until_ms = FOR_EVER_MS if until_known_ms is None else until_known_ms
        self._counts = Counter[str]() if refused is None else refused
        self._share, self._upto = share, upto
        self._files = _files_by_day(lake, workload, share)
        if not self._files:
            raise EmptyLakeError(lake.root)
        self._seen = _SeenIds(np.array([topic.deduplicate for topic in self._topics], np.bool_))
        nothing, _ = ColumnsWriter(self._plan, 0).finish()
        self._waiting, self._waiting_partition = nothing, np.zeros(0, np.int64)
        self._with_tables = with_tables
        self._waiting_tables = [table_schema(topic).empty_table() for topic in self._topics]
        self._tables: list[pa.Table] = []
        self._begins: list[int] = []

    def stretches(self) -> Iterator[Stretch]:
        """Everything, ascending in known time."""
        days = [day for day in sorted(self._files) if day <= (self._until_ms - 1) // DAY_MS + 1]
        at = 0
        while at < len(days):
            begin, n_rows = at, 0.0
            while at < len(days) and (at == begin or n_rows < STRETCH_EVENTS):
                n_rows += sum(file.n_rows for file in self._files[days[at]])
                at += 1
            files = sorted((file for day in days[begin:at] for file in self._files[day]), key=_File.place)
            stretch = self._read(files, days[at] * DAY_MS - DAY_MS if at < len(days) else FOR_EVER_MS)
            if len(stretch):
                yield stretch

    def table(self, source: int, rows: Int64s) -> pa.Table:
        """The rows of a topic in the newest stretch, as they lie in the lake."""
        return self._tables[source].take(pa.array(rows - self._begins[source]))

    def _read(self, files: Sequence[_File], end_ms: int) -> Stretch:
        """What is known before ``end_ms`` of what has waited and of more files; the rest waits."""
        tables = [self._table(file) for file in files]
        writer = ColumnsWriter(self._plan, len(self._waiting) + sum(table.num_rows for table in tables))
        self._begins = []
        for source in range(len(self._topics)):
            self._begins.append(writer.n_rows)
            mine = np.flatnonzero(self._waiting.source == source)
            writer.add_columns(self._waiting.take(mine).with_own_keys(), self._waiting_partition[mine])
            for file, table in zip(files, tables, strict=True):
                if file.source == source:
                    writer.add_table(source, table, file.partition)
        columns, partition = writer.finish()
        if self._with_tables:
            self._keep_texts(files, tables)
        is_accepted = (columns.status == op.PENDING) & (columns.known_time < self._until_ms)
        self._count("refused", columns.source[columns.status != op.PENDING])
        is_due = columns.known_time < end_ms
        self._wait(columns, partition, np.flatnonzero(is_accepted & ~is_due))
        order = _in_known_order(columns, partition, np.flatnonzero(is_accepted & is_due))
        kept = self._seen.keep_first(order, columns, partition)
        self._count("duplicate", columns.source[order], columns.source[kept])
        return Stretch(columns, self._share.take(columns, kept), end_ms)

    def _table(self, file: _File) -> pa.Table:
        topic = self._topics[file.source]
        table = read_table(topic, file.path)
        if self._upto is not None:
            last = self._upto.get(topic.name, {}).get(str(file.partition), -1)
            table = table.filter(pc.less_equal(table.column("offset"), last)).combine_chunks()
        if self._share.partitions is not None:
            check_at_home(table, file.partition, self._share.n_partitions, file.path)
        return table

    def _wait(self, columns: Columns, partition: Int64s, rows: Int64s) -> None:
        if self._with_tables:
            ends = np.searchsorted(rows, [*self._begins[1:], len(columns)])
            parts = np.split(rows, ends[:-1])
            self._waiting_tables = [self.table(source, part) for source, part in enumerate(parts)]
        self._waiting = columns.take(rows).with_own_keys()
        self._waiting_partition = partition[rows]

    def _keep_texts(self, files: Sequence[_File], tables: Sequence[pa.Table]) -> None:
        by_source = [[table] for table in self._waiting_tables]
        for file, table in zip(files, tables, strict=True):
            by_source[file.source].append(table.cast(table_schema(self._topics[file.source])))
        self._tables = [pa.concat_tables(parts).unify_dictionaries() for parts in by_source]

    def _count(self, what: str, sources: Int64s, but: Int64s | None = None) -> None:
        n = np.bincount(sources, minlength=len(self._topics))
        if but is not None:
            n = n - np.bincount(but, minlength=len(self._topics))
        for source in np.flatnonzero(n).tolist():
            self._counts[f"{self._topics[source].name}:{what}"] += int(n[source])


def _files_by_day(lake: Lake, workload: Workload, share: Share) -> dict[int, list[_File]]:
    found: dict[int, list[_File]] = {}
    for source, topic in enumerate(workload.topics):
        for one in lake.slices(topic.name):
            if not share.holds(one.partition):
                continue
            for name in one.files:
                day, n_rows = day_of(name[10:20]), one.n_rows / len(one.files)
                path = lake.topic_dir(topic.name) / name
                found.setdefault(day, []).append(_File(source, one.partition, one.first, day, path, n_rows))
    return found


def _in_known_order(columns: Columns, partition: Int64s, rows: Int64s) -> Int64s:
    """Rows by known time, ties by topic, partition and offset; quick where the lake is nearly in order."""
    known = columns.known_time[rows]
    order = rows[np.argsort(known, kind="stable")]
    if not ties_ascend(order, columns.known_time, columns.source, partition, columns.offset):
        order = rows[np.lexsort((columns.offset[rows], partition[rows], columns.source[rows], known))]
    return order


class _SeenIds:
    """Which event ids came before in their log."""

    def __init__(self, deduplicate: NDArray[np.bool_]) -> None:
        self._deduplicate = deduplicate
        self._table = np.zeros(1 << 12, np.int64)
        self._n = 0

    def keep_first(self, order: Int64s, columns: Columns, partition: Int64s) -> Int64s:
        """The events of ``order`` without the repeated ones."""
        self._make_room(int(self._deduplicate[columns.source[order]].sum()))
        kept = np.empty(len(order), np.int64)
        n = keep_first(order, columns.id_hash, columns.source, partition, self._deduplicate, self._table, kept)
        return kept[:n]

    def _make_room(self, coming: int) -> None:
        self._n += coming
        if 2 * self._n > len(self._table):
            table = np.zeros(1 << int(4 * self._n - 1).bit_length(), np.int64)
            move_seen(self._table, table)
            self._table = table
