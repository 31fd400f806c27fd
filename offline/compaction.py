"""Small slices of the lake made into larger ones: the same events at the same offsets in fewer files.

A merged slice names the slices that it replaces. Its commit appears in one step, and from then on they do not count: a
crash before it leaves files that nobody reads, a crash after it leaves old ones, which the next run deletes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import LakeError
from schemas.lake import Lake, LakeSlice
from schemas.lake_writer import remove_uncommitted, write_parquet

Report = Callable[[LakeSlice], None]


@dataclass(frozen=True)
class Compacted:
    """What a run did.

    Parameters
    ----------
    n_slices, n_files
        (before, after), of the topics that were looked at.
    n_events
        Events in merged slices.
    """

    n_slices: tuple[int, int]
    n_files: tuple[int, int]
    n_events: int


def compact(
    lake: Lake,
    topics: Iterable[str],
    *,
    max_events: int = 1_000_000,
    at_least: int = 2,
    report: Report = lambda _: None,
) -> Compacted:
    """Merge neighbouring slices of every partition of some topics.

    Parameters
    ----------
    max_events
        A merged slice has at most so many; larger slices stay as they are.
    at_least
        Slices that are merged at a time at the least.
    report
        Told of every merged slice.

    Raises
    ------
    LakeError
        When a file cannot be read.
    """
    before, after, n_events = list[LakeSlice](), list[LakeSlice](), 0
    with lake.writing():
        for topic in topics:
            before += lake.slices(topic)
            _clear(lake, topic)
            for group in groups(lake, topic, max_events):
                if len(group) >= max(at_least, 2):
                    done = _merge(lake, topic, group)
                    n_events += done.n_rows
                    report(done)
            _clear(lake, topic)
            after += lake.slices(topic)
    n_files = (sum(len(one.files) for one in before), sum(len(one.files) for one in after))
    return Compacted((len(before), len(after)), n_files, n_events)


def groups(lake: Lake, topic: str, max_events: int) -> list[list[LakeSlice]]:
    """Slices by offset that may become one: no hole between them, the same columns, not too many events."""
    found: list[list[LakeSlice]] = []
    columns: pa.Schema | None = None
    for one in lake.slices(topic):
        last = found[-1][-1] if found else None
        own = _columns(lake, one)
        fits = (
            last is not None
            and (last.partition, last.last + 1) == (one.partition, one.first)
            and sum(other.n_rows for other in found[-1]) + one.n_rows <= max_events
            and (columns is None or own is None or columns.equals(own, check_metadata=False))
        )
        if fits:
            found[-1].append(one)
        else:
            found.append([one])
        columns = (columns if fits else None) or own
    return found


def _columns(lake: Lake, one: LakeSlice) -> pa.Schema | None:
    """The columns of a slice; None when all its records were refused."""
    if not one.files:
        return None
    path = lake.topic_dir(one.topic) / one.files[0]
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as cause:
        raise LakeError(path, f"cannot be read: {cause}") from cause


def _merge(lake: Lake, topic: str, group: list[LakeSlice]) -> LakeSlice:
    """Write one slice for a group and make it count; a day is in memory at a time."""
    partition, first, last = group[0].partition, group[0].first, group[-1].last
    by_day: dict[str, list[str]] = {}
    for file in (file for one in group for file in one.files):
        by_day.setdefault(file.partition("/")[0], []).append(file)
    files = []
    for day, names in sorted(by_day.items()):
        file = f"{day}/{partition}-{first}-{last}.parquet"
        table = pa.concat_tables([_read(lake, topic, name) for name in names]).unify_dictionaries()
        write_parquet(lake.topic_dir(topic) / file, table)
        files.append(file)
    n_rows = sum(one.n_rows for one in group)
    done = LakeSlice(topic, partition, first, last, tuple(files), n_rows, tuple(one.name for one in group))
    lake.commit(done)
    return done


def _read(lake: Lake, topic: str, name: str) -> pa.Table:
    path = lake.topic_dir(topic) / name
    try:
        with pq.ParquetFile(path) as parquet:
            return parquet.read(use_threads=False)
    except (OSError, pa.ArrowException) as cause:
        raise LakeError(path, f"cannot be read: {cause}") from cause


def _clear(lake: Lake, topic: str) -> None:
    """Delete what does not count: first the commits that are replaced, then their files."""
    lake.remove_replaced(topic)
    remove_uncommitted(lake, topic)
