"""Writing into the lake: the events of a slice as one file for each event day, and clearing what no commit names.

Used by whoever brings events in: topics (`offline.ingest`), files (`producers.lake_sink`), and compaction.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.durations import DAY_MS
from schemas.lake import COMMITS, Lake, LakeSlice, atomic_file

MAX_TIME_MS: Final = 253_370_764_800_000  # year 9999: beyond it a day has no folder name
Write = Callable[[Path, Any], None]


def write_slice(lake: Lake, topic: str, table: pa.Table, partition: int, first: int, last: int) -> LakeSlice:
    """Write the events of offsets `first` to `last` (both inside) of a partition and make them count.

    Parameters
    ----------
    table
        Of `schemas.lake_table.lake_schema`, in offset order; may have fewer rows than offsets.
    """
    files = write_days(lake, topic, table, (partition, first, last), write_parquet)
    done = LakeSlice(topic, partition, first, last, tuple(files), table.num_rows)
    lake.commit(done)
    return done


def write_days(lake: Lake, topic: str, table: pa.Table, name: tuple[int, int, int], write: Write) -> list[str]:
    """Write one file for each event day of a slice; nothing counts before its commit.

    Parameters
    ----------
    table
        The slice's events in offset order; those of a day keep it.
    name
        Partition, first and last offset.
    write
        `write_parquet`, or `write_draft` for files that are synced later.

    Returns
    -------
    list[str]
        The files, relative to the topic's folder, by day.
    """
    days = table["event_time_ms"].to_numpy() // DAY_MS
    order = np.argsort(days, kind="stable")
    in_days, days = table.take(order), days[order]
    starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]]) if len(days) else np.zeros(0, dtype=np.int64)
    files = []
    for start, end in zip(starts, [*starts[1:], len(days)], strict=False):
        path = lake.file(topic, int(days[start]), *name)
        write(path, in_days.slice(int(start), int(end - start)))
        files.append(f"{path.parent.name}/{path.name}")
    return files


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a file whole or not at all, also after a power cut."""
    with atomic_file(path) as out:
        pq.write_table(table, out, compression="zstd")


def write_draft(path: Path, table: pa.Table) -> None:
    """Write a file that is not to be relied on before `sync_files`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd")


def sync_files(paths: Iterable[Path]) -> None:
    """Have the disk keep these files and their names; many at once cost a third of one by one."""
    paths = list(paths)
    folders = {path.parent for path in paths}
    for path in [*paths, *sorted(folders), *sorted({folder.parent for folder in folders})]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_uncommitted(lake: Lake, topic: str) -> int:
    """Delete what a crash left behind: files that no commit names. Returns how many."""
    committed = set(lake.files(topic))
    leftovers = [
        path
        for path in lake.topic_dir(topic).glob("event_day=*/*")
        if path not in committed and path.suffix in (".parquet", ".tmp")
    ]
    for path in leftovers:
        path.unlink()
    return len(leftovers)


def remove_topic(lake: Lake, topic: str) -> None:
    """Delete all events of a topic: the commits first, so that no commit names a file that is gone."""
    for commit in (lake.topic_dir(topic) / COMMITS).glob("*"):
        commit.unlink()
    remove_uncommitted(lake, topic)
