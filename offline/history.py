"""The lake read back as the stream would have taken it: ascending in known time, refused and repeated events left out.

Reads one day of event time after the other, so that memory holds a few days, not the history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from offline.errors import EmptyLakeError
from schemas.durations import DAY_MS
from schemas.errors import LakeError
from schemas.events import EventBatch
from schemas.lake import Lake, day_of
from schemas.lake_table import batch_of, lake_schema
from schemas.workload import EventTopic, Workload
from stream_app import opcodes as op
from stream_app.columns import columns_of
from stream_app.plan import Plan

Refused = Counter[str]
ORDER = [("known_time_ms", "ascending"), ("partition", "ascending"), ("offset", "ascending")]


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
            batch = reader.known_on(day, until_known_ms)
            if batch is not None and len(batch):
                yield batch


def history_of(lake: Lake, workload: Workload, until_known_ms: int | None = None) -> Callable[[], Iterable[EventBatch]]:
    """A function that starts reading the history, as `offline.training_set.build_training_set` takes it."""
    return lambda: read_history(lake, workload, until_known_ms)


class _TopicReader:
    """Hands out the events of one topic by day of known time.

    An accepted event is known at most ten minutes before it happens, so all that is known on day D lies in files of
    event days up to D + 1.
    """

    def __init__(self, lake: Lake, plan: Plan, topic: EventTopic, counts: Refused) -> None:
        self._plan, self._topic, self._counts = plan, topic, counts
        self._files = [(day_of(path.parent.name.removeprefix("event_day=")), path) for path in lake.files(topic.name)]
        self._at = 0
        self._waiting: dict[int, list[pa.Table]] = {}
        self._seen: set[int] = set()

    def known_on(self, day: int, until_known_ms: int | None) -> EventBatch | None:
        begin = self._at
        while self._at < len(self._files) and self._files[self._at][0] <= day + 1:
            self._at += 1
        if begin < self._at:
            self._load([path for _, path in self._files[begin : self._at]])
        tables = self._waiting.pop(day, None)
        if tables is None:
            return None
        table = pa.concat_tables(tables).unify_dictionaries()
        if until_known_ms is not None:
            table = table.filter(pc.less(table["known_time_ms"], until_known_ms))
        return self._without_duplicates(batch_of(self._topic, table.sort_by(ORDER)))

    def _load(self, paths: list[Path]) -> None:
        table = pa.concat_tables([self._read(path) for path in paths]).unify_dictionaries()
        batch = batch_of(self._topic, table)
        accepted = self._accepted(batch)
        self._count("refused", len(accepted) - int(accepted.sum()))
        days = batch.known_time_ms // DAY_MS
        for day in np.unique(days[accepted]):
            self._waiting.setdefault(int(day), []).append(table.filter(pa.array(accepted & (days == day))))

    def _read(self, path: Path) -> pa.Table:
        try:
            return pq.ParquetFile(path).read(use_threads=False).cast(lake_schema(self._topic))
        except (OSError, pa.ArrowException, ValueError) as cause:
            raise LakeError(path, f"cannot be read: {cause}") from cause

    def _accepted(self, batch: EventBatch) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        columns = columns_of(self._plan, batch)
        too_long = columns.key_len > self._plan.workload.customer_id_max_bytes
        return np.asarray((columns.status == op.PENDING) & ~too_long)

    def _without_duplicates(self, batch: EventBatch) -> EventBatch:
        if not self._topic.deduplicate or not len(batch):
            return batch
        new = np.zeros(len(batch), dtype=bool)
        for row, event_id in enumerate(columns_of(self._plan, batch).id_hash.tolist()):
            if event_id not in self._seen:
                self._seen.add(event_id)
                new[row] = True
        self._count("duplicate", len(new) - int(new.sum()))
        return batch if new.all() else batch.take(new)

    def _count(self, what: str, n: int) -> None:
        if n:
            self._counts[f"{self._topic.name}:{what}"] += n
