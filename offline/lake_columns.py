"""Lake files as columns, straight from Arrow's buffers: no Python object for each event.

The same integers and the same refusals as `stream_app.columns.columns_of` makes of a batch. Which events count, and in
which order, is the business of `history`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.errors import LakeError
from schemas.lake_table import as_declared, is_as_declared, kind_index, lake_schema
from schemas.packed import pack_array
from schemas.workload import EventTopic
from stream_app import opcodes as op
from stream_app.columns import Columns, TopicTable, codes_of, hash_packed, width_of
from stream_app.decode_kernel import scale_cells
from stream_app.plan import Plan

Int64s = NDArray[np.int64]


def table_schema(topic: EventTopic) -> pa.Schema:
    """What `read_table` gives: `lake_schema` without the partition, which the file's name says."""
    return pa.schema([field for field in lake_schema(topic) if field.name != "partition"])


def read_table(topic: EventTopic, path: Path) -> pa.Table:
    """A lake file with the columns of `table_schema`, customers as a dictionary, each column in one piece.

    Raises
    ------
    LakeError
        When it cannot be read, or holds something else.
    """
    schema = table_schema(topic)
    at = schema.get_field_index("customer_id")
    expected = schema.set(at, pa.field("customer_id", pa.dictionary(pa.int32(), pa.string()), nullable=False))
    try:
        data = pa.BufferReader(path.read_bytes())  # in one read: files are small
        file = pq.ParquetFile(data, read_dictionary=["customer_id"], pre_buffer=False)
        there = set(file.schema_arrow.names)
        table = file.read(columns=[name for name in schema.names if name in there], use_threads=False)
        if not (table.schema.equals(expected) and is_as_declared(table.schema, schema)):
            plain = as_declared(table, schema, path)
            table = plain.set_column(at, expected.field(at), plain.column(at).dictionary_encode())
        nulls = [field.name for field in schema if not field.nullable and table.column(field.name).null_count]
        if nulls:
            raise ValueError(f"column {nulls[0]} has nulls")
        return table.unify_dictionaries().combine_chunks()
    except (OSError, pa.ArrowException, ValueError) as cause:
        raise LakeError(path, f"cannot be read: {cause}") from cause


class ColumnsWriter:
    """Writes tables of several topics one behind the other into one run of columns.

    Parameters
    ----------
    n_rows
        Of all that will be written.
    """

    def __init__(self, plan: Plan, n_rows: int) -> None:
        self.plan = plan
        self.columns = Columns.empty(n_rows, width_of(plan), 0, np.zeros(0, np.uint8))
        self.partition = np.zeros(n_rows, np.int64)
        self.n_rows = 0
        self._keys: list[NDArray[np.uint8]] = []
        self._n_key_bytes = 0
        self._tables = [TopicTable.of(topic) for topic in plan.workload.topics]

    def add_columns(self, columns: Columns, partition: Int64s) -> None:
        """Write columns that were made before."""
        rows = self._next(len(columns))
        for name in columns.__dataclass_fields__:
            if name != "keys":
                getattr(self.columns, name)[rows] = getattr(columns, name)
        self.columns.key_at[rows] += self._n_key_bytes
        self.partition[rows] = partition
        self._add_keys(columns.keys)

    def add_table(self, source: int, table: pa.Table, partition: int) -> None:
        """Write a table as `read_table` gives it."""
        rows, columns = self._next(table.num_rows), self.columns
        columns.source[rows] = source
        columns.event_time[rows] = _numbers(table, "event_time_ms")
        columns.known_time[rows] = _numbers(table, "known_time_ms")
        columns.offset[rows] = _numbers(table, "offset")
        columns.kind[rows] = kind_index(self.plan.workload.topics[source], table)
        columns.kind[rows] += self.plan.first_kind[source]
        columns.id_hash[rows] = hash_packed(pack_array(_piece(table, "event_id")))
        self.partition[rows] = partition
        self._add_customers(rows, _piece(table, "customer_id"))
        for field in range(len(self.plan.workload.topics[source].fields)):
            self._add_values(rows, source, field, table)

    def finish(self) -> tuple[Columns, Int64s]:
        """The columns with their refusals, and the partition of each row."""
        self.columns.keys = np.concatenate([self.columns.keys, *self._keys])
        self.columns.refuse_by_key_and_time(self.plan)
        return self.columns, self.partition

    def _next(self, n: int) -> slice:
        self.n_rows += n
        return slice(self.n_rows - n, self.n_rows)

    def _add_keys(self, keys: NDArray[np.uint8]) -> None:
        self._keys.append(keys)
        self._n_key_bytes += len(keys)

    def _add_customers(self, rows: slice, encoded: Any) -> None:
        names, which = pack_array(encoded.dictionary), encoded.indices.to_numpy()
        self.columns.key_at[rows] = (names.offsets[:-1] + self._n_key_bytes)[which]
        self.columns.key_len[rows] = np.diff(names.offsets)[which]
        self.columns.key_hash[rows] = hash_packed(names)[which]
        self._add_keys(names.data)

    def _add_values(self, rows: slice, source: int, j: int, table: pa.Table) -> None:
        field, tables = self.plan.workload.topics[source].fields[j], self._tables[source]
        column = _piece(table, field.name)
        if column.null_count == len(column):
            return
        if field.type == "category":
            encoded = column.dictionary_encode()
            codes = np.append(codes_of(pack_array(encoded.dictionary), tables.categories_of(j)), op.NONE)
            self.columns.values[rows, j] = codes[encoded.indices.fill_null(len(codes) - 1).to_numpy()]
            return
        valid, cells = column.buffers()
        bits = np.frombuffer(valid, np.uint8) if valid is not None and column.null_count else np.zeros(0, np.uint8)
        kind = tables.field_kinds[j]
        numbers = np.frombuffer(cells, np.float64 if field.type == "number" else np.int64)
        out, status = self.columns.values[rows, j], self.columns.status[rows]
        scale_cells(numbers, bits, column.offset, kind, float(field.scale), out, status)


def _piece(table: pa.Table, name: str) -> Any:
    """A column of a combined table as one array."""
    column = table.column(name)
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _numbers(table: pa.Table, name: str) -> Int64s:
    return np.asarray(_piece(table, name).to_numpy(), np.int64)
