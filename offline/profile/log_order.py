"""Which events stand in the log behind events that became known later: what was filled in afterwards shows there.

A source that writes "known time" itself can claim anything; the place in the log cannot. Only partition, offset, kind
and known time of the lake are read.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.durations import DAY_MS
from schemas.lake import Lake, LakeSlice
from schemas.workload import EventTopic, Workload

LONG_MS = DAY_MS


def n_behind(lake: Lake, workload: Workload) -> Counter[str]:
    """Kind -> how many of its events lie behind one of their partition that became known more than a day later."""
    found: Counter[str] = Counter()
    for topic in workload.topics:
        newest: dict[int, int] = {}
        for one in lake.slices(topic.name):
            _count(lake, topic, one, newest, found)
    return found


def _count(lake: Lake, topic: EventTopic, one: LakeSlice, newest: dict[int, int], found: Counter[str]) -> None:
    columns = ["offset", "known_time_ms", "kind"]
    folder = lake.topic_dir(topic.name)
    tables = [pq.ParquetFile(folder / name).read(columns=columns, use_threads=False) for name in one.files]
    if not tables:
        return
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks().sort_by("offset")
    known = table["known_time_ms"].to_numpy()
    before = np.maximum.accumulate(np.r_[newest.get(one.partition, known[0]), known])
    newest[one.partition] = int(before[-1])
    behind = np.asarray(before[:-1] - known > LONG_MS)
    for kind, n in zip(*_counts(table["kind"].filter(pa.array(behind))), strict=True):
        found[kind] += n


def _counts(kinds: pa.ChunkedArray) -> tuple[list[str], list[int]]:
    counted = kinds.cast(pa.string()).value_counts()
    return counted.field("values").to_pylist(), counted.field("counts").to_pylist()
