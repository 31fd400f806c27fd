"""One topic-partition as spans of raw records: what the lake holds of it, written again, then what the topic holds.

An event out of the lake has the bytes and the offset that it had in the topic; its timestamp is its known time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from offline.topic_reader import raw_span, read_to_end
from schemas.batch_codec import BatchEncoder, keys_of
from schemas.errors import LakeError
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.lake_table import batch_of, read_file
from schemas.settings import Settings
from schemas.topics import Topic
from schemas.workload import EventTopic
from stream_app.spans import RecordSpan

EVENTS_AT_ONCE = 20_000


def topic_spans(settings: Settings, topic: Topic, partition: int, first: int) -> Iterator[RecordSpan]:
    """Records of a partition from offset ``first`` (0: the oldest there is) to its end."""
    for messages in read_to_end(settings, topic, {partition: first}):
        yield raw_span(messages)


def lake_spans(lake: Lake, encoder: BatchEncoder, topic: EventTopic, partition: int) -> Iterator[RecordSpan]:
    """Events of a partition that the lake holds, by offset; one slice of the lake is in memory at a time."""
    for one in lake.slices(topic.name, partition):
        tables = [read_table(lake.topic_dir(topic.name) / file, topic) for file in one.files]
        if tables:
            table = pa.concat_tables(tables).sort_by("offset").combine_chunks().unify_dictionaries()
            for at in range(0, len(table), EVENTS_AT_ONCE):
                part = table.slice(at, EVENTS_AT_ONCE)
                yield span_of(encoder, batch_of(topic, part), part["offset"].to_numpy())


def span_of(encoder: BatchEncoder, batch: EventBatch, offsets: np.ndarray[Any, np.dtype[np.int64]]) -> RecordSpan:
    """Events as the records that carry them."""
    return RecordSpan(offsets, batch.known_time_ms, keys_of(batch), encoder.encode(batch))


def read_table(file: Path, topic: EventTopic, chosen: Any = None) -> pa.Table:
    """The rows of a lake file; those that ``chosen`` is true for.

    Raises
    ------
    LakeError
        When it cannot be read, or is no file of the topic.
    """
    return read_file(topic, file, chosen).unify_dictionaries()


def read_column(file: Path, name: str) -> pa.ChunkedArray:
    """One column of a lake file.

    Raises
    ------
    LakeError
        When it cannot be read.
    """
    try:
        return pq.ParquetFile(file).read(columns=[name], use_threads=False)[name]
    except (OSError, pa.ArrowException, ValueError, KeyError) as cause:
        raise LakeError(file, f"cannot be read: {cause}") from cause
