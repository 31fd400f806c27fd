"""All ``[[source]]`` entries of a workload as events: read, mapped, identified, sorted by known time.

By topic for the lake, or cut into the days of a recording for a replay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from producers.duplicates import sorted_events, without_duplicates
from producers.errors import SourceError
from producers.identity import content_ids
from producers.mapping import map_table, wanted_columns
from producers.quarantine import Quarantine
from producers.recording import Recording, SourceCount, split_days
from producers.refusals import Refusals
from producers.tables import Table, read_tables
from schemas.errors import WorkloadError
from schemas.events import EventBatch
from schemas.source import Source
from schemas.workload import Workload

NO_ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType({})


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


def read_events(
    workload: Workload,
    data_dir: Path | str | None = None,
    environ: Mapping[str, str] = NO_ENVIRONMENT,
    quarantine: Quarantine | None = None,
) -> Recording:
    """All events of a workload's sources by the day they became known; they are held in memory.

    See `read_batches`. Days ascend, and within a day and topic the order is that of `SourcedEvents`.
    """
    found = read_batches(workload, data_dir, environ, quarantine)
    return Recording(split_days(found.batches.values()), found.sources)


def read_batches(
    workload: Workload,
    data_dir: Path | str | None = None,
    environ: Mapping[str, str] = NO_ENVIRONMENT,
    quarantine: Quarantine | None = None,
) -> SourcedEvents:
    """All events of a workload's sources by topic; they are held in memory.

    Parameters
    ----------
    workload
        With its sources.
    data_dir
        Folder or URL that the sources' paths are relative to; None takes the folder of the workload file.
    environ
        Where the URLs of databases are looked up.
    quarantine
        Takes the rows that are refused.

    Raises
    ------
    SourceError
        When a file, table or column is missing, a kind is not mapped, or no row of a source can be read.
    WorkloadError
        When the workload has no source.
    """
    if not workload.sources:
        raise WorkloadError(workload.path, None, "has no [[source]]; declare which files hold the events")
    folder = Path(workload.path).parent if data_dir is None else data_dir
    by_topic: dict[str, list[EventBatch]] = {topic.name: [] for topic in workload.topics}
    counts = []
    for source in workload.sources:
        tables = _tables(source, folder, environ)
        batches, count = _read_source(workload, source, tables, Refusals(source.name, quarantine))
        counts.append(count)
        for batch in batches:
            by_topic[batch.topic].append(batch)
    merged = {name: sorted_events(EventBatch.concat(batches)) for name, batches in by_topic.items() if batches}
    return SourcedEvents(merged, tuple(counts))


def _tables(source: Source, folder: Path | str, environ: Mapping[str, str]) -> Iterator[Table]:
    if source.database is not None:
        from producers.database import read_chunks  # late: it loads SQLAlchemy

        return read_chunks(source, folder, wanted_columns(source), environ)
    return read_tables(source, folder, wanted_columns(source))


def _read_source(
    workload: Workload, source: Source, tables: Iterable[Table], refusals: Refusals
) -> tuple[list[EventBatch], SourceCount]:
    by_topic, place = dict[str, list[EventBatch]](), ""
    n_files = n_rows = n_filtered = n_none = 0
    for table in tables:
        refusals.update_broken(table)
        mapped = map_table(workload, source, table, refusals)
        n_files, n_rows, place = n_files + 1, n_rows + table.n_rows + len(table.broken), table.path
        n_filtered, n_none = n_filtered + mapped.n_filtered, n_none + mapped.n_none
        for batch in mapped.batches:
            by_topic.setdefault(batch.topic, []).append(batch)
    made = [_identified(workload, source, EventBatch.concat(batches)) for batches in by_topic.values()]
    kept = [_kept(source, batch) for batch in made]
    n_events = sum(map(len, kept))
    n_duplicates = sum(map(len, made)) - n_events
    count = SourceCount(
        source.name, n_files, n_rows, n_filtered, n_events, refusals, len(source.events), n_none, n_duplicates
    )
    assert not count.imbalance, count
    if refusals.n and not (n_events or n_none or n_filtered):
        kind: Literal["file", "database"] = "file" if source.database is None else "database"
        raise SourceError(source.name, place, f"no row can be read: {refusals}", kind=kind)
    return kept, count


def _identified(workload: Workload, source: Source, batch: EventBatch) -> EventBatch:
    if source.event_id:
        return batch
    kinds = np.array([kind.name for kind in workload.topic(batch.topic).kinds], dtype=object)[batch.kind]
    times, apart = (batch.event_time_ms, batch.known_time_ms), source.cleaning.on_duplicate == "keep"
    ids = content_ids(source.name, kinds, batch.customer_id, times, batch.values, number_apart=apart)
    return replace(batch, event_id=ids)


def _kept(source: Source, batch: EventBatch) -> EventBatch:
    keep = source.cleaning.on_duplicate
    return batch if keep == "keep" else without_duplicates(sorted_events(batch), keep)
