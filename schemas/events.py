"""Events as columns: what sources and the simulator yield, and sinks take.

One batch holds events of one topic. Times are UTC milliseconds; nothing here reads bytes or clocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.errors import SchemaError

if TYPE_CHECKING:
    from schemas.workload import EventTopic, Field

NO_TIME_MS: Final = -(1 << 63)
"""In ``known_time_ms``: left out, so that the broker's timestamp counts."""


@dataclass(frozen=True, eq=False)
class EventBatch:
    """Events of one topic, all columns of length n, sorted by known time.

    Parameters
    ----------
    topic
        Topic name as in the workload, without prefix.
    event_id, customer_id
        Text, shape (n,), dtype object or U; a list is taken too.
    event_time_ms
        When it happened, int64 (n,).
    known_time_ms
        When it became known, int64 (n,); ``NO_TIME_MS`` leaves it out of the record.
    kind
        Index into the topic's kinds, int16 (n,).
    values
        Field name -> column (n,). number, integer and time fields: float64 with NaN for null.
        category fields: object with None for null. A field that is left out is null everywhere.

    Raises
    ------
    SchemaError
        When a column has another length.
    """

    topic: str
    event_id: NDArray[Any]
    customer_id: NDArray[Any]
    event_time_ms: NDArray[np.int64]
    known_time_ms: NDArray[np.int64]
    kind: NDArray[np.int16]
    values: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        self._set("event_id", _text_column(self.event_id))
        self._set("customer_id", _text_column(self.customer_id))
        self._set("event_time_ms", np.asarray(self.event_time_ms, dtype=np.int64))
        self._set("known_time_ms", np.asarray(self.known_time_ms, dtype=np.int64))
        self._set("kind", np.asarray(self.kind, dtype=np.int16))
        self._set("values", {name: _value_column(column) for name, column in self.values.items()})
        self._check_lengths()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_lengths(self) -> None:
        n = len(self.event_id)
        columns = {name: getattr(self, name) for name in _COLUMNS} | dict(self.values)
        for name, column in columns.items():
            if column.shape != (n,):
                raise SchemaError(self.topic, f"column {name} has shape {column.shape}, event_id has ({n},)")

    def __len__(self) -> int:
        return len(self.event_id)

    def take(self, rows: NDArray[Any] | slice | Sequence[int]) -> EventBatch:
        """The rows asked for, in that order.

        Parameters
        ----------
        rows
            Indices, a boolean mask, or a slice.
        """
        where = rows if isinstance(rows, slice) else np.asarray(rows)
        if isinstance(where, np.ndarray) and not where.size:
            where = slice(0, 0)
        columns = {name: getattr(self, name)[where] for name in _COLUMNS}
        values = {name: column[where] for name, column in self.values.items()}
        return EventBatch(topic=self.topic, values=values, **columns)

    def sort(self) -> EventBatch:
        """The same events by known time; ties keep their order."""
        if len(self) < 2 or bool(np.all(self.known_time_ms[1:] >= self.known_time_ms[:-1])):
            return self
        return self.take(np.argsort(self.known_time_ms, kind="stable"))

    @staticmethod
    def concat(batches: Sequence[EventBatch]) -> EventBatch:
        """One batch of all rows, in the order given (call `sort` to merge by known time).

        Raises
        ------
        SchemaError
            When there is no batch, or topics or value fields differ.
        """
        if not batches:
            raise SchemaError("events", "cannot concat no batches")
        first = batches[0]
        if len(batches) == 1:
            return first
        for batch in batches[1:]:
            if batch.topic != first.topic or batch.values.keys() != first.values.keys():
                raise SchemaError(
                    first.topic, f"cannot concat a batch of {batch.topic} with fields {list(batch.values)}"
                )
        columns: dict[str, Any] = {name: np.concatenate([getattr(b, name) for b in batches]) for name in _COLUMNS}
        values = {name: np.concatenate([b.values[name] for b in batches]) for name in first.values}
        return EventBatch(topic=first.topic, values=values, **columns)

    @staticmethod
    def from_records(topic: EventTopic, records: Sequence[Mapping[str, Any]]) -> EventBatch:
        """A batch of event records as `schemas.codec.Codec.decode` gives them; a missing field is null."""
        kinds = {kind.name: index for index, kind in enumerate(topic.kinds)}
        known = [record.get("known_time_ms") for record in records]
        return EventBatch(
            topic=topic.name,
            event_id=np.array([record["event_id"] for record in records], dtype=object),
            customer_id=np.array([record["customer_id"] for record in records], dtype=object),
            event_time_ms=np.array([record["event_time_ms"] for record in records], dtype=np.int64),
            known_time_ms=np.array([NO_TIME_MS if ms is None else ms for ms in known], dtype=np.int64),
            kind=np.array([kinds[record["kind"]] for record in records], dtype=np.int16),
            values={f.name: _column_of(f, [record.get(f.name) for record in records]) for f in topic.fields},
        )

    def to_records(self, topic: EventTopic) -> list[dict[str, Any]]:
        """The events one by one, as `schemas.codec.Codec.encode` takes them."""
        columns = {f.name: _cells_of(f, self.values.get(f.name), len(self)) for f in topic.fields}
        records: list[dict[str, Any]] = []
        for row in range(len(self)):
            known = int(self.known_time_ms[row])
            record = {
                "event_id": str(self.event_id[row]),
                "customer_id": str(self.customer_id[row]),
                "event_time_ms": int(self.event_time_ms[row]),
                "known_time_ms": None if known == NO_TIME_MS else known,
                "kind": topic.kinds[int(self.kind[row])].name,
            }
            records.append(record | {name: cells[row] for name, cells in columns.items()})
        return records


_COLUMNS: Final = ("event_id", "customer_id", "event_time_ms", "known_time_ms", "kind")


def _text_column(column: Any) -> NDArray[Any]:
    if isinstance(column, np.ndarray) and column.dtype.kind in "OU":
        return column
    return np.array(column, dtype=object)


def _value_column(column: Any) -> NDArray[Any]:
    array = column if isinstance(column, np.ndarray) else np.array(column, dtype=object)
    if array.dtype.kind in "iufb":
        return array.astype(np.float64, copy=False)
    return array


def _column_of(field: Field, cells: list[Any]) -> NDArray[Any]:
    if field.type == "category":
        return np.array(cells, dtype=object)
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)


def _cells_of(field: Field, column: NDArray[Any] | None, n: int) -> list[Any]:
    if column is None:
        return [None] * n
    if field.type == "category":
        return [None if cell is None else str(cell) for cell in column]
    read = float if field.type == "number" else int
    return [None if np.isnan(cell) else read(cell) for cell in column]
