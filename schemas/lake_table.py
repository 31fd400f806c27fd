"""The columns of a lake file: an Arrow schema per topic, and batches to tables and back.

A file is read as the workload declares its topic now: a field that came later is null, one that went is left out, an
integer that became a number is widened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.errors import LakeError
from schemas.events import NO_TIME_MS, EventBatch
from schemas.workload import EventTopic

_TYPES: Final = {"number": pa.float64(), "integer": pa.int64(), "time": pa.int64(), "category": pa.string()}
_DECLARED: Final = b"driftline_type"
"""Key in a field's metadata: the type that the workload gave it, which tells a time from an integer."""


def lake_schema(topic: EventTopic) -> pa.Schema:
    """The Arrow schema of a topic's files."""
    return pa.schema(
        [
            pa.field("partition", pa.int32(), nullable=False),
            pa.field("offset", pa.int64(), nullable=False),
            pa.field("event_id", pa.string(), nullable=False),
            pa.field("customer_id", pa.string(), nullable=False),
            pa.field("event_time_ms", pa.int64(), nullable=False),
            pa.field("known_time_ms", pa.int64(), nullable=False),
            pa.field("kind", pa.dictionary(pa.int16(), pa.string()), nullable=False),
            *(pa.field(f.name, _TYPES[f.type], metadata={_DECLARED: f.type}) for f in topic.fields),
        ]
    )


def table_of(
    topic: EventTopic, batch: EventBatch, partition: NDArray[np.int32] | int, offset: NDArray[np.int64]
) -> pa.Table:
    """A batch as a table of `lake_schema`.

    Parameters
    ----------
    partition
        One for all rows, or (n,).
    offset
        int64 (n,).

    Raises
    ------
    LakeError
        When a known time is left out: in the lake every event has one.
    """
    if len(batch) and batch.known_time_ms.min() == NO_TIME_MS:
        raise LakeError(topic.name, "an event without known_time_ms cannot go into the lake")
    n = len(batch)
    kinds = pa.array([kind.name for kind in topic.kinds], type=pa.string())
    columns: dict[str, Any] = {
        "partition": np.broadcast_to(np.asarray(partition, dtype=np.int32), (n,)),
        "offset": np.asarray(offset, dtype=np.int64),
        "event_id": pa.array(batch.event_id, type=pa.string()),
        "customer_id": pa.array(batch.customer_id, type=pa.string()),
        "event_time_ms": batch.event_time_ms,
        "known_time_ms": batch.known_time_ms,
        "kind": pa.DictionaryArray.from_arrays(pa.array(batch.kind, type=pa.int16()), kinds),
    }
    for field in topic.fields:
        columns[field.name] = _value_array(field.type, batch.values.get(field.name), n)
    return pa.table(columns, schema=lake_schema(topic))


def batch_of(topic: EventTopic, table: pa.Table) -> EventBatch:
    """The events of a table of `lake_schema`, in table order.

    Raises
    ------
    LakeError
        When a kind is not one of the topic's.
    """
    return EventBatch(
        topic=topic.name,
        event_id=_objects(table, "event_id"),
        customer_id=_objects(table, "customer_id"),
        event_time_ms=table.column("event_time_ms").to_numpy(),
        known_time_ms=table.column("known_time_ms").to_numpy(),
        kind=kind_index(topic, table),
        values={field.name: _values(field.type, table, field.name) for field in topic.fields},
    )


def read_lake(topic: EventTopic, files: Sequence[Path]) -> EventBatch:
    """The events of some lake files, sorted by known time."""
    tables = [read_file(topic, file) for file in files]
    table = pa.concat_tables(tables).unify_dictionaries() if tables else lake_schema(topic).empty_table()
    return batch_of(topic, table).sort()


def read_file(topic: EventTopic, file: Path, chosen: Any = None) -> pa.Table:
    """A lake file as a table of `lake_schema`, however its topic was declared when it was written.

    Parameters
    ----------
    chosen
        Arrow booleans (n,): rows to keep; None keeps all.

    Raises
    ------
    LakeError
        When it cannot be read, is no file of the topic, or holds a field in a type that the declared one cannot hold.
    """
    try:
        with pq.ParquetFile(file) as parquet:
            table = parquet.read(use_threads=False)
        table = table if chosen is None else table.filter(chosen)
        schema = lake_schema(topic)
        return as_declared(table, schema, file)
    except (OSError, pa.ArrowException, ValueError) as cause:
        raise LakeError(file, f"cannot be read: {cause}") from cause


def as_declared(table: pa.Table, schema: pa.Schema, file: Path) -> pa.Table:
    """The columns of a file as declared now: a new field is missing, whole numbers may have become numbers.

    Raises
    ------
    LakeError
        When a column of every event is not there, or the declared type cannot hold what is.
    """
    return pa.table([_column(table, field, file) for field in schema], schema=schema)


def is_as_declared(held: pa.Schema, schema: pa.Schema) -> bool:
    """Whether a file's fields were declared as they are now."""
    return held.names == schema.names and all(
        _declared(held.field(field.name)) in (None, _declared(field)) for field in schema
    )


def _column(table: pa.Table, field: pa.Field, file: Path) -> Any:
    """A column of a file as declared now."""
    wanted = _declared(field)
    if field.name not in table.column_names:
        if wanted is None:
            raise LakeError(file, f"has no column {field.name}, which every event has")
        return pa.nulls(table.num_rows, field.type)
    held = table.schema.field(field.name)
    found = _declared(held) or wanted
    widened = wanted == "number" and pa.types.is_integer(held.type) and found != "time"
    if wanted is not None and not widened and (found != wanted or held.type != field.type):
        name = found if found != wanted else str(held.type)
        detail = f"field {field.name!r} is {name} in the lake and {wanted} in the workload now, which cannot hold it"
        raise LakeError(file, f"{detail}; give the field another name")
    return table[field.name].cast(field.type)


def _declared(field: pa.Field) -> str | None:
    """The type that a workload gave a value field; None for a field of every event, and in files of before."""
    return (field.metadata or {}).get(_DECLARED, b"").decode() or None


def kind_index(topic: EventTopic, table: pa.Table) -> NDArray[np.int16]:
    """Index into the topic's kinds of every row of a lake table, (n,).

    Raises
    ------
    LakeError
        When a kind is not one of the topic's.
    """
    parts = [np.empty(0, dtype=np.int16)]
    for chunk in table.column("kind").chunks:
        names = chunk.dictionary.to_pylist()
        unknown = [name for name in names if name not in topic.kind_index]
        if unknown:
            raise LakeError(topic.name, f"holds kind {unknown[0]!r}, which the workload does not declare")
        codes = np.array([topic.kind_index[name] for name in names], dtype=np.int16)
        parts.append(codes[chunk.indices.to_numpy()])
    return np.concatenate(parts)


def _value_array(field_type: str, column: NDArray[Any] | None, n: int) -> pa.Array:
    if column is None:
        return pa.nulls(n, _TYPES[field_type])
    if field_type == "category":
        return pa.array(column, type=pa.string())
    numbers = np.array([np.nan if c is None else c for c in column], "f8") if column.dtype == object else column
    is_null = np.isnan(numbers)
    if field_type == "number":
        return pa.array(numbers, type=pa.float64(), mask=is_null)
    return pa.array(np.where(is_null, 0, numbers).astype(np.int64), type=pa.int64(), mask=is_null)


def _objects(table: pa.Table, name: str) -> NDArray[Any]:
    column: NDArray[Any] = table.column(name).to_numpy(zero_copy_only=False)
    return column.astype(object, copy=False)


def _values(field_type: str, table: pa.Table, name: str) -> NDArray[Any]:
    if field_type == "category":
        return _objects(table, name)
    numbers: NDArray[Any] = table.column(name).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return numbers
