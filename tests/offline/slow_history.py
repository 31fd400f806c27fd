"""The lake read back as the stream would have taken it: ascending in known time, refused and repeated events left out.

Reads one day of event time after the other, so that memory holds a few days, not the history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from offline.errors import EmptyLakeError
from schemas.durations import DAY_MS
from schemas.errors import LakeError
from schemas.events import EventBatch
from schemas.lake import Lake, day_of
from schemas.lake_table import batch_of, lake_schema
from schemas.workload import EventTopic, Workload
from stream_app import opcodes as op
from stream_app.columns import Columns, columns_of
from stream_app.plan import Plan

Refused = Counter[str]
Int64s = NDArray[np.int64]
MAX_REMEMBERED = 4_000_000  # events; about 150 bytes each


def read_history(
    lake: Lake, workload: Workload, until_known_ms: int | None = None, refused: Refused | None = None
) -> Iterator[EventBatch]:
    """Events that the stream would accept: one batch per topic for each day of known time, days ascending.

    Within a batch events ascend in known time, ties by partition and offset; topics come in the workload's order.

    Parameters
    ----------
    until_known_ms
        Leave out what became known at or after this moment; None takes everything.
    refused
        Counts what was left out, as ``"refused"`` and ``"duplicate"`` per topic (``"usage:refused"``).

    Raises
    ------
    EmptyLakeError
        When nothing of the workload is in the lake.
    """
    for batch, _ in read_known(lake, workload, until_known_ms, refused):
        yield batch


def read_known(
    lake: Lake, workload: Workload, until_known_ms: int | None = None, refused: Refused | None = None
) -> Iterator[tuple[EventBatch, Columns]]:
    """What `read_history` yields, each batch with its columns."""
    span = lake.days([topic.name for topic in workload.topics])
    if span is None:
        raise EmptyLakeError(lake.root)
    plan = Plan.from_workload(workload)
    counts = Counter[str]() if refused is None else refused
    readers = [_TopicReader(lake, plan, topic, counts) for topic in workload.topics]
    last = span[1] + workload.lateness_ms // DAY_MS + 1
    if until_known_ms is not None:
        last = min(last, (until_known_ms - 1) // DAY_MS)
    for day in range(span[0] - 1, last + 1):
        for reader in readers:
            found = reader.known_on(day, until_known_ms)
            if found is not None and len(found[0]):
                yield found


class History:
    """The history of a lake, read once and gone through twice: events for labels, then columns for features.

    Calling it reads the lake and yields event batches. `columns` yields the same events as the kernels take them: from
    memory when the last reading fitted there, else by reading again.
    """

    def __init__(self, lake: Lake, workload: Workload, until_known_ms: int | None = None) -> None:
        self._lake, self._workload, self._until_ms = lake, workload, until_known_ms
        self._remembered: list[Columns] | None = None

    def __call__(self) -> Iterator[EventBatch]:
        """Read the lake; what fits is remembered for `columns`."""
        remembered: list[Columns] = []
        n_events = 0
        for batch, columns in read_known(self._lake, self._workload, self._until_ms):
            n_events += len(batch)
            if n_events <= MAX_REMEMBERED:
                remembered.append(columns)
            yield batch
        self._remembered = remembered if n_events <= MAX_REMEMBERED else None

    def columns(self) -> Iterator[Columns]:
        """The events as columns, in the same order."""
        if self._remembered is not None:
            yield from self._remembered
        else:
            yield from (columns for _, columns in read_known(self._lake, self._workload, self._until_ms))


class _TopicReader:
    """Hands out the events of one topic by day of known time.

    An accepted event is known at most ten minutes before it happens, so all that is known on day D lies in files of
    event days up to D + 1.
    """

    def __init__(self, lake: Lake, plan: Plan, topic: EventTopic, counts: Refused) -> None:
        self._plan, self._topic, self._counts = plan, topic, counts
        self._files = [(day_of(path.parent.name.removeprefix("event_day=")), path) for path in lake.files(topic.name)]
        self._at = 0
        self._waiting: dict[int, list[_Piece]] = {}
        self._seen: set[int] = set()

    def known_on(self, day: int, until_known_ms: int | None) -> tuple[EventBatch, Columns] | None:
        begin = self._at
        while self._at < len(self._files) and self._files[self._at][0] <= day + 1:
            self._at += 1
        if begin < self._at:
            self._load([path for _, path in self._files[begin : self._at]])
        pieces = self._waiting.pop(day, None)
        if pieces is None:
            return None
        batch = EventBatch.concat([piece.batch for piece in pieces])
        columns = Columns.concat([piece.columns for piece in pieces])
        partition = np.concatenate([piece.partition for piece in pieces])
        order = np.lexsort((columns.offset, partition, columns.known_time))
        if until_known_ms is not None:
            order = order[columns.known_time[order] < until_known_ms]
        order = self._without_duplicates(columns.id_hash, order)
        return batch.take(order), columns.take(order).with_own_keys()

    def _load(self, paths: list[Path]) -> None:
        table = pa.concat_tables([self._read(path) for path in paths]).unify_dictionaries()
        batch, partition = batch_of(self._topic, table), table["partition"].to_numpy()
        columns = columns_of(self._plan, batch, table["offset"].to_numpy())
        too_long = columns.key_len > self._plan.workload.customer_id_max_bytes
        accepted = np.asarray((columns.status == op.PENDING) & ~too_long)
        self._count("refused", len(accepted) - int(accepted.sum()))
        days = batch.known_time_ms // DAY_MS
        for day in np.unique(days[accepted]).tolist():
            rows = np.flatnonzero(accepted & (days == day))
            piece = _Piece(batch.take(rows), columns.take(rows).with_own_keys(), partition[rows])
            self._waiting.setdefault(day, []).append(piece)

    def _read(self, path: Path) -> pa.Table:
        try:
            return pq.ParquetFile(path).read(use_threads=False).cast(lake_schema(self._topic))
        except (OSError, pa.ArrowException, ValueError) as cause:
            raise LakeError(path, f"cannot be read: {cause}") from cause

    def _without_duplicates(self, id_hash: Int64s, order: Int64s) -> Int64s:
        if not self._topic.deduplicate or not len(order):
            return order
        new = np.zeros(len(order), dtype=bool)
        for place, event_id in enumerate(id_hash[order].tolist()):
            if event_id not in self._seen:
                self._seen.add(event_id)
                new[place] = True
        self._count("duplicate", len(new) - int(new.sum()))
        return order[new]

    def _count(self, what: str, n: int) -> None:
        if n:
            self._counts[f"{self._topic.name}:{what}"] += n


@dataclass(frozen=True, eq=False)
class _Piece:
    """Accepted events known on one day, out of some files."""

    batch: EventBatch
    columns: Columns
    partition: NDArray[np.int32]
