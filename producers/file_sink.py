"""Days of events as Parquet files, one for each topic, with the workload that reads them back.

The files are a ``[[source]]`` like any other: ``driftline replay FOLDER/workload.toml`` publishes the same events.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from producers.recording import EventDay
from schemas.events import NO_TIME_MS, EventBatch
from schemas.workload import EventTopic, Field, Workload

WORKLOAD_FILE: Final = "workload.toml"
_ROW_GROUP_EVENTS: Final = 100_000
_TIME: Final = pa.timestamp("ms", tz="UTC")
_TYPES: Final = {"number": pa.float64(), "integer": pa.int64(), "time": _TIME, "category": pa.string()}


def write_files(workload: Workload, days: Iterable[EventDay], folder: Path) -> dict[str, int]:
    """Write events to ``<topic>.parquet`` and the workload with its sources to ``workload.toml``.

    Parameters
    ----------
    workload
        Its own sources are replaced in the copy.
    days
        Ascending; taken one at a time.
    folder
        Created when missing; files of earlier runs are replaced.

    Returns
    -------
    dict[str, int]
        Topic -> number of events; topics without events get no file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {topic.name: _TopicFile(topic, folder) for topic in workload.topics}
    try:
        for day in days:
            for batch in day.batches:
                files[batch.topic].publish(batch)
    finally:
        for file in files.values():
            file.close()
    counts = {name: file.n_events for name, file in files.items() if file.n_events}
    text = _without_sources(workload.text) + "".join(_source_text(workload.topic(name)) for name in counts)
    (folder / WORKLOAD_FILE).write_text(text, encoding="utf-8")
    return counts


class _TopicFile:
    """One topic's file; it appears with the first event."""

    def __init__(self, topic: EventTopic, folder: Path) -> None:
        self._topic, self._path = topic, folder / f"{topic.name}.parquet"
        self._waiting: list[EventBatch] = []
        self._writer: Any = None
        self.n_events = 0

    def publish(self, batch: EventBatch) -> None:
        self._waiting.append(batch)
        self.n_events += len(batch)
        if sum(map(len, self._waiting)) >= _ROW_GROUP_EVENTS:
            self._write()

    def close(self) -> None:
        self._write()
        if self._writer is not None:
            self._writer.close()

    def _write(self) -> None:
        if not any(map(len, self._waiting)):
            return
        table = pa.concat_tables([_table(self._topic, batch) for batch in self._waiting])
        self._waiting = []
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table)


def _table(topic: EventTopic, batch: EventBatch) -> Any:
    kinds = np.array([kind.name for kind in topic.kinds], dtype=object)[batch.kind]
    columns = {
        "event_id": pa.array(batch.event_id, pa.string()),
        "customer_id": pa.array(batch.customer_id, pa.string()),
        "event_time": pa.array(batch.event_time_ms).cast(_TIME),
        "known_time": pa.array(batch.known_time_ms, mask=batch.known_time_ms == NO_TIME_MS).cast(_TIME),
        "kind": pa.array(kinds, pa.string()),
    }
    columns |= {field.name: _value_column(field, batch.values.get(field.name), len(batch)) for field in topic.fields}
    return pa.table(columns)


def _value_column(field: Field, column: NDArray[Any] | None, n: int) -> Any:
    if column is None:
        return pa.nulls(n, _TYPES[field.type])
    if field.type == "category":
        return pa.array(column, pa.string())
    missing = np.isnan(column)
    if field.type == "number":
        return pa.array(column, mask=missing)
    return pa.array(np.where(missing, 0, column).astype(np.int64), mask=missing).cast(_TYPES[field.type])


def _without_sources(text: str) -> str:
    """A workload's text without its ``[[source]]`` tables."""
    kept, in_source = [], False
    for line in text.splitlines():
        if line.startswith("["):
            in_source = line.startswith(("[[source]]", "[[source."))
        if not in_source:
            kept.append(line)
    return "\n".join(kept).rstrip() + "\n"


def _source_text(topic: EventTopic) -> str:
    kinds = ", ".join(f'{kind.name} = "{kind.name}"' for kind in topic.kinds)
    values = ", ".join(f'{field.name} = "{field.name}"' for field in topic.fields)
    return f"""
[[source]]
name = "{topic.name}"
path = "{topic.name}.parquet"
customer_id = "customer_id"
event_time = "event_time"
known_time = "known_time"
event_id = ["event_id"]
on_duplicate = "keep"

[[source.event]]
kind_column = "kind"
kinds = {{ {kinds} }}
values = {{ {values} }}
"""
