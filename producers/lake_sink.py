"""Events of files straight into the lake, without a broker: the same partitions and order as a replay would give.

Offsets count the events of a partition in the order they became known, so the same files give the same lake. The lake's
note (`schemas.lake_origin`) says "not complete" first and "complete" last: until then nothing of it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

import numpy as np

from schemas.errors import LakeError
from schemas.events import EventBatch
from schemas.lake import Lake, LakeSlice
from schemas.lake_origin import LakeOrigin
from schemas.lake_table import table_of
from schemas.lake_writer import remove_topic, sync_files, write_days, write_draft
from schemas.packed import pack_text
from schemas.partition import partitions_of
from schemas.workload import EventTopic, Workload

MAX_SLICE_EVENTS: Final = 1_000_000
Report = Callable[[int], None]


@dataclass(frozen=True)
class LakeWritten:
    """What a run did to the lake.

    Parameters
    ----------
    n_events
        Events in the lake now.
    n_slices
        Commits made.
    is_new
        False when the lake held the very same events already and was left alone.
    """

    n_events: int
    n_slices: int
    is_new: bool


def write_lake(
    workload: Workload,
    batches: Mapping[str, EventBatch],
    lake: Lake,
    n_partitions: int,
    *,
    replace_files: bool = False,
    report: Report = lambda _: None,
) -> LakeWritten:
    """Bring all events of a workload's sources into an empty lake; again the same ones changes nothing.

    Parameters
    ----------
    workload
        With its topics and sources.
    batches
        Topic -> all its events, by known time, ties by event time and id.
    n_partitions
        Customers are spread as every producer spreads them.
    replace_files
        Write the lake anew when it holds the events of other files.
    report
        Told how many events are written so far.

    Raises
    ------
    LakeError
        When the lake is fed by topics, holds other events, or there is no event at all.
    """
    origin = LakeOrigin(
        topics=tuple(topic.name for topic in workload.topics),
        sources=tuple(source.name for source in workload.sources),
        digest=events_digest(workload, batches),
        n_partitions=n_partitions,
        n_events=sum(map(len, batches.values())),
        is_complete=False,
    )
    if _holds_already(lake, origin, replace_files):
        return LakeWritten(origin.n_events, 0, is_new=False)
    lake.set_origin(origin)
    for name in origin.topics:
        remove_topic(lake, name)
    slices = [done for topic in workload.topics for done in _write_topic(lake, topic, batches, n_partitions, report)]
    sync_files(lake.topic_dir(done.topic) / file for done in slices for file in done.files)
    for done in slices:
        lake.commit(done)
    lake.set_origin(replace(origin, is_complete=True))
    return LakeWritten(origin.n_events, len(slices), is_new=True)


def events_digest(workload: Workload, batches: Mapping[str, EventBatch]) -> str:
    """Hash of all events in order, with the names of kinds and fields; hexadecimal.

    Examples
    --------
    >>> from schemas.workload import load_workload
    >>> len(events_digest(load_workload("subscription_churn"), {}))
    64
    """
    digest = blake2b(digest_size=32)
    for topic in workload.topics:
        for part in _parts(topic, batches[topic.name]) if topic.name in batches else ():
            digest.update(part)
    return digest.hexdigest()


def _parts(topic: EventTopic, batch: EventBatch) -> Iterator[bytes]:
    names = [(kind.name,) for kind in topic.kinds] + [(field.name, field.type) for field in topic.fields]
    yield repr((topic.name, len(batch), names)).encode()
    yield from (column.tobytes() for column in (batch.event_time_ms, batch.known_time_ms, batch.kind))
    texts = [batch.event_id, batch.customer_id]
    for field in topic.fields:
        column = batch.values.get(field.name)
        if column is not None and field.type == "category":
            texts.append(column)
        elif column is not None:
            numbers = column.astype(np.float64)
            yield np.where(np.isnan(numbers), np.nan, numbers + 0.0).tobytes()
    for text in texts:
        packed = pack_text(text)
        yield from (packed.offsets.tobytes(), packed.is_null.tobytes(), packed.data.tobytes())


def _holds_already(lake: Lake, new: LakeOrigin, replace_files: bool) -> bool:
    """Whether there is nothing to do; refuses what must not be overwritten."""
    old = lake.origin()
    if not new.n_events:
        raise LakeError(lake.root, f"stays as it is: {', '.join(new.sources)} gave no event")
    if old is None:
        n = sum(len(lake.slices(topic)) for topic in new.topics)
        if n:
            detail = f"holds {n} slices of topics; files go to a lake of their own: set another DRIFTLINE_HOME"
            raise LakeError(lake.root, detail)
        return False
    if not old.is_complete:
        return False  # a run was cut off: nothing of it is read
    if old.holds_the_same(new):
        return True
    if not replace_files:
        detail = f"{old.n_events} events over {old.n_partitions} partitions from {', '.join(old.sources)}"
        raise LakeError(lake.root, f"holds {detail}, which are not those of now; --replace writes it anew")
    return False


def _write_topic(
    lake: Lake, topic: EventTopic, batches: Mapping[str, EventBatch], n_partitions: int, report: Report
) -> Sequence[LakeSlice]:
    """The slices of a topic, written but not committed."""
    batch = batches.get(topic.name)
    if batch is None or not len(batch):
        return []
    home = partitions_of(batch.customer_id, n_partitions)
    order = np.argsort(home, kind="stable")
    counts = np.bincount(home, minlength=n_partitions)
    begin = np.cumsum(counts) - counts
    offset = np.empty(len(batch), dtype=np.int64)
    offset[order] = np.arange(len(batch)) - np.repeat(begin, counts)
    table, slices = table_of(topic, batch, home, offset).take(order), []
    for partition in np.flatnonzero(counts).tolist():
        for first in range(0, int(counts[partition]), MAX_SLICE_EVENTS):
            n = min(MAX_SLICE_EVENTS, int(counts[partition]) - first)
            rows, name = table.slice(int(begin[partition]) + first, n), (partition, first, first + n - 1)
            files = write_days(lake, topic.name, rows, name, write_draft)
            slices.append(LakeSlice(topic.name, *name, tuple(files), n))
            report(n)
    return slices
