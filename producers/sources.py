"""All ``[[source]]`` entries of a workload as events: read, mapped, identified, sorted by known time.

By topic for the lake, or cut into the days of a recording for a replay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from producers.errors import SourceError
from producers.identity import content_ids
from producers.mapping import map_table, wanted_columns
from producers.recording import Recording, SourceCount, split_days
from producers.refusals import Refusals
from producers.tables import read_tables
from schemas.errors import WorkloadError
from schemas.events import EventBatch
from schemas.source import Source
from schemas.workload import Workload


@dataclass(frozen=True, eq=False)
class SourcedEvents:
    """All events of a workload's sources.

    Parameters
    ----------
    batches
        Topic -> its events by known time, ties by event time, then id, so that the order of rows and files makes no
        difference; topics without events are left out.
    sources
        What each source gave.
    """

    batches: dict[str, EventBatch]
    sources: tuple[SourceCount, ...]


def read_events(workload: Workload, data_dir: Path | None = None) -> Recording:
    """All events of a workload's sources by the day they became known; they are held in memory.

    See `read_batches`. Days ascend, and within a day and topic the order is that of `SourcedEvents`.
    """
    found = read_batches(workload, data_dir)
    return Recording(split_days(found.batches.values()), found.sources)


def read_batches(workload: Workload, data_dir: Path | None = None) -> SourcedEvents:
    """All events of a workload's sources by topic; they are held in memory.

    Parameters
    ----------
    workload
        With its sources.
    data_dir
        Folder that the sources' paths are relative to; None takes the folder of the workload file.

    Raises
    ------
    SourceError
        When a file or column is missing, a kind is not mapped, or no row of a source can be read.
    WorkloadError
        When the workload has no source.
    """
    if not workload.sources:
        raise WorkloadError(workload.path, None, "has no [[source]]; declare which files hold the events")
    folder = Path(workload.path).parent if data_dir is None else data_dir
    by_topic: dict[str, list[EventBatch]] = {topic.name: [] for topic in workload.topics}
    counts = []
    for source in workload.sources:
        batches, count = _read_source(workload, source, folder)
        counts.append(count)
        for batch in batches:
            by_topic[batch.topic].append(batch)
    merged = {name: _sorted(EventBatch.concat(batches)) for name, batches in by_topic.items() if batches}
    return SourcedEvents(merged, tuple(counts))


def _read_source(workload: Workload, source: Source, folder: Path) -> tuple[list[EventBatch], SourceCount]:
    refusals, by_topic = Refusals(), dict[str, list[EventBatch]]()
    n_files = n_rows = n_filtered = 0
    for table in read_tables(source, folder, wanted_columns(source), refusals):
        batches, n_out = map_table(workload, source, table, refusals)
        n_files, n_rows, n_filtered = n_files + 1, n_rows + table.n_rows, n_filtered + n_out
        for batch in batches:
            by_topic.setdefault(batch.topic, []).append(batch)
    whole = [_identified(workload, source, EventBatch.concat(batches)) for batches in by_topic.values()]
    count = SourceCount(source.name, n_files, n_rows, n_filtered, sum(map(len, whole)), refusals)
    if refusals.n and not count.n_events:
        raise SourceError(source.name, folder / source.path, f"no row can be read: {refusals}")
    return whole, count


def _identified(workload: Workload, source: Source, batch: EventBatch) -> EventBatch:
    if source.event_id:
        return batch
    kinds = np.array([kind.name for kind in workload.topic(batch.topic).kinds], dtype=object)[batch.kind]
    times = (batch.event_time_ms, batch.known_time_ms)
    return replace(batch, event_id=content_ids(source.name, kinds, batch.customer_id, times, batch.values))


def _sorted(batch: EventBatch) -> EventBatch:
    columns = {"known": batch.known_time_ms, "event": batch.event_time_ms, "id": pa.array(batch.event_id, pa.string())}
    keys: list[tuple[str, Any]] = [(name, "ascending") for name in columns]
    order = pc.sort_indices(pa.table(columns), sort_keys=keys)
    return batch.take(order.to_numpy())
