"""Lakes with several partitions and slices, as `ingest` leaves them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow.parquet as pq

from schemas.events import EventBatch
from schemas.lake import Lake, LakeSlice
from schemas.lake_table import table_of
from schemas.partition import partitions_of
from schemas.workload import EventTopic, Workload
from tests.streams import DAY_MS


def fill(
    lake: Lake, workload: Workload, batches: Sequence[EventBatch], n_partitions: int, slice_events: int = 100_000
) -> None:
    """Each topic in partitions, in slices, in files of days; offsets follow known time."""
    for topic in workload.topics:
        mine = [batch for batch in batches if batch.topic == topic.name]
        if not mine:
            continue
        whole = EventBatch.concat(mine).sort()
        home = partitions_of(whole.customer_id, n_partitions)
        for partition in range(n_partitions):
            part = whole.take(home == partition)
            for first in range(0, len(part), slice_events):
                commit(lake, topic, part.take(slice(first, first + slice_events)), partition, first)


def commit(lake: Lake, topic: EventTopic, batch: EventBatch, partition: int, first: int) -> None:
    """One slice of a partition."""
    last, days, files = first + len(batch) - 1, batch.event_time_ms // DAY_MS, []
    for day in np.unique(days).tolist():
        rows = np.flatnonzero(days == day)
        path = lake.file(topic.name, day, partition, first, last)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table_of(topic, batch.take(rows), partition, first + rows), path)
        files.append(f"{path.parent.name}/{path.name}")
    lake.commit(LakeSlice(topic.name, partition, first, last, tuple(files), len(batch)))
