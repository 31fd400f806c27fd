"""The event lake: where a slice of a topic's partition lies, and which slices count.

``<root>/<topic>/event_day=YYYY-MM-DD/<partition>-<first>-<last>.parquet`` holds events;
``<root>/<topic>/_commits/<partition>-<first>-<last>.json`` makes them count. The commit file appears in one step and
last, so a crash leaves files that nobody reads. One writer per topic and partition is assumed. Columns are in
`schemas.lake_table`, writing in `schemas.lake_writer`; where the events came from, in `schemas.lake_origin`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

from schemas.errors import LakeError
from schemas.lake_origin import ORIGIN_FILE, LakeOrigin, load_origin

COMMITS: Final = "_commits"
_TOPIC: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,248}", re.ASCII)
_SLICE: Final = re.compile(r"(0|[1-9]\d{0,9})-(0|[1-9]\d{0,18})-(0|[1-9]\d{0,18})", re.ASCII)
_FILE: Final = re.compile(rf"event_day=\d{{4}}-\d\d-\d\d/{_SLICE.pattern}\.parquet", re.ASCII)
_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True)
class LakeSlice:
    """Offsets `first` to `last` (both inside) of one partition, and the files that hold them.

    Parameters
    ----------
    files
        Paths relative to the topic's folder; none when all records of the slice were refused.
    n_rows
        Events in those files.
    """

    topic: str
    partition: int
    first: int
    last: int
    files: tuple[str, ...]
    n_rows: int

    @property
    def name(self) -> str:
        """``<partition>-<first>-<last>``."""
        return f"{self.partition}-{self.first}-{self.last}"


class Lake:
    """Paths and commits under one root.

    Parameters
    ----------
    root
        Folder of the lake; made when first written.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def topic_dir(self, topic: str) -> Path:
        """Folder of a topic (its workload name, without prefix)."""
        if not _TOPIC.fullmatch(topic):
            raise LakeError(self.root, f"{topic!r} is not a topic name")
        return self.root / topic

    def file(self, topic: str, day: int, partition: int, first: int, last: int) -> Path:
        """Where the events of one event day of a slice go.

        Parameters
        ----------
        day
            Days since 1970-01-01 of the event time.
        """
        return self.topic_dir(topic) / f"event_day={day_text(day)}" / f"{partition}-{first}-{last}.parquet"

    def topics(self) -> tuple[str, ...]:
        """Topics with at least one commit."""
        return tuple(sorted(path.parent.name for path in self.root.glob(f"*/{COMMITS}") if any(path.glob("*.json"))))

    def origin(self) -> LakeOrigin | None:
        """What the lake was made of; None when it is fed by topics, or empty."""
        return load_origin(self.root)

    def set_origin(self, origin: LakeOrigin) -> None:
        """Note what the lake is made of, in one step."""
        write_atomic(self.root / ORIGIN_FILE, origin.encode())

    def commit(self, done: LakeSlice) -> None:
        """Make a slice count, in one step; the same slice again changes nothing.

        Raises
        ------
        LakeError
            When a file is missing, or the slice overlaps one that counts.
        """
        folder = self.topic_dir(done.topic)
        if not 0 <= done.first <= done.last or done.partition < 0:
            raise LakeError(folder, f"{done.name} is no slice")
        for file in done.files:
            if not _FILE.fullmatch(file) or not (folder / file).is_file():
                raise LakeError(folder / file, "is not there, so its slice cannot be committed")
        for other in self.slices(done.topic, done.partition):
            if other == done:
                return
            if done.first <= other.last and other.first <= done.last:
                raise LakeError(folder, f"slice {done.name} overlaps {other.name}")
        content = {"files": list(done.files), "n_rows": done.n_rows}
        write_atomic(folder / COMMITS / f"{done.name}.json", json.dumps(content, indent=1).encode() + b"\n")

    def slices(self, topic: str, partition: int | None = None) -> tuple[LakeSlice, ...]:
        """Committed slices by partition and offset; none of a lake of files that is not complete.

        Raises
        ------
        LakeError
            When a commit file cannot be read, or slices overlap.
        """
        origin = self.origin()
        if origin is not None and topic in origin.topics and not origin.is_complete:
            return ()
        found = [self._read(topic, path) for path in (self.topic_dir(topic) / COMMITS).glob("*.json")]
        kept = [one for one in found if partition is None or one.partition == partition]
        kept.sort(key=lambda one: (one.partition, one.first))
        for before, after in pairwise(kept):
            if before.partition == after.partition and after.first <= before.last:
                raise LakeError(self.topic_dir(topic), f"slices {before.name} and {after.name} overlap")
        return tuple(kept)

    def next_offset(self, topic: str, partition: int) -> int:
        """First offset that is not in the lake; 0 when nothing is."""
        slices = self.slices(topic, partition)
        return slices[-1].last + 1 if slices else 0

    def files(self, topic: str, first_day: int | None = None, last_day: int | None = None) -> tuple[Path, ...]:
        """Committed files of event days `first_day` to `last_day` (both inside, None: open), by day and name."""
        low = day_text(first_day) if first_day is not None else ""
        high = day_text(last_day) if last_day is not None else "~"
        names = sorted(file for one in self.slices(topic) for file in one.files)
        return tuple(self.topic_dir(topic) / name for name in names if low <= name[10:20] <= high)

    def days(self, topics: Iterable[str]) -> tuple[int, int] | None:
        """First and last event day over some topics, None when they are empty."""
        names = [file for topic in topics for one in self.slices(topic) for file in one.files]
        found = [day_of(name[10:20]) for name in names]
        return (min(found), max(found)) if found else None

    def _read(self, topic: str, path: Path) -> LakeSlice:
        match = _SLICE.fullmatch(path.stem)
        if match is None:
            raise LakeError(path, "is not a commit file")
        try:
            content = json.loads(path.read_bytes())
            files, n_rows = tuple(content["files"]), int(content["n_rows"])
        except (OSError, ValueError, KeyError, TypeError) as cause:
            raise LakeError(path, f"cannot be read: {cause!r}") from cause
        for file in files:
            if not isinstance(file, str) or not _FILE.fullmatch(file):
                raise LakeError(path, f"names {file!r}, which is no file of the lake")
        return LakeSlice(topic, int(match[1]), int(match[2]), int(match[3]), files, n_rows)


def day_text(day: int) -> str:
    """``YYYY-MM-DD`` of a day number.

    Examples
    --------
    >>> day_text(19723)
    '2024-01-01'
    """
    return (_EPOCH + timedelta(days=day)).isoformat()


def day_of(text: str) -> int:
    """The day number of ``YYYY-MM-DD``."""
    return (datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date() - _EPOCH).days


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that is there whole or not at all, also after a power cut; an error leaves a ``.tmp`` behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with draft.open("wb") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_file(path) as out:
        out.write(data)
