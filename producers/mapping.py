"""From the rows of a table to events: filters, customers, times, kinds and values, all by column.

A row or event that cannot be read is refused with its reason and counted; nothing here is fatal but a kind that the
workload does not map.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from producers.cells import as_mask, numbers_of, text_array, texts_of, wholes_of
from producers.errors import SourceError
from producers.identity import column_ids
from producers.refusals import Refusals
from producers.tables import Table
from producers.times import NO_TIME_MS, times_of
from schemas.events import EventBatch
from schemas.source import Source, SourceEvent, Where
from schemas.workload import EventTopic, Field, Workload

PRODUCT: Final = " * "
"""Between two column names in ``values``: their product, like ``amount = "Quantity * UnitPrice"``."""

SNAPSHOT: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
"""As ``event_time``: a date instead of a column, for a table without times that became known on that day."""

Mask = NDArray[np.bool_]
Times = NDArray[np.int64]


def wanted_columns(source: Source) -> list[str]:
    """The columns a source uses, each once."""
    names = [source.customer_id, source.known_time, *source.event_id]
    names += [] if SNAPSHOT.fullmatch(source.event_time) else [source.event_time]
    names += [where.column for where in source.where]
    for event in source.events:
        names += [event.kind_column, event.time, *(where.column for where in event.where)]
        for _, value in event.values:
            names += value.split(PRODUCT) if isinstance(value, str) else []
    return list(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True)
class _Rows:
    """What all events of a row share: (n,) each, and which rows can give events at all."""

    table: Table
    source: Source
    refusals: Refusals
    good: Mask
    customer_id: NDArray[Any]
    event_ms: Times
    known_ms: Times

    def refuse(self, reason: str, refused: Mask, column: str) -> Mask:
        """Count the refused rows; give the others."""
        if refused.any():
            self.refusals.update_mask(reason, refused, self.table[column], self.table.path.name)
        return ~refused


def map_table(workload: Workload, source: Source, table: Table, refusals: Refusals) -> tuple[list[EventBatch], int]:
    """The events of one table, unsorted; ids are empty where the source names no id columns.

    Parameters
    ----------
    workload
        Kinds and value fields.
    source
        Which columns become what.
    table
        The columns of `wanted_columns`.
    refusals
        Takes what cannot be read.

    Returns
    -------
    tuple[list[EventBatch], int]
        Batches with all value fields of their topic, and the number of rows the source's ``where`` leaves out.

    Raises
    ------
    SourceError
        When a raw kind is not mapped.
    """
    passing = where_mask(table, source.where)
    rows = _read_rows(workload, source, table, refusals, passing)
    batches = [batch for event in source.events for batch in _events(workload, rows, event)]
    return batches, table.n_rows - int(np.count_nonzero(passing))


def where_mask(table: Table, wheres: tuple[Where, ...]) -> Mask:
    """Which rows pass all filters; a null cell passes ``not_prefix`` alone."""
    mask = np.ones(table.n_rows, dtype=bool)
    for where in wheres:
        mask &= _WHERE[where.test](table[where.column], where.values)
    return mask


def _is_any_of(cells: Any, values: tuple[Any, ...]) -> Mask:
    texts = [value for value in values if isinstance(value, str)]
    texts += [str(value).lower() for value in values if isinstance(value, bool)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    mask = as_mask(pc.is_in(text_array(cells), pa.array(texts, pa.string())))
    return mask | np.isin(numbers_of(cells)[0], numbers) if numbers else mask


_WHERE: Final[dict[str, Callable[[Any, tuple[Any, ...]], Mask]]] = {
    "equals": _is_any_of,
    "in": _is_any_of,
    "prefix": lambda cells, values: as_mask(pc.starts_with(text_array(cells), values[0])),
    "not_prefix": lambda cells, values: ~as_mask(pc.starts_with(text_array(cells), values[0])),
    "not_null": lambda cells, _: as_mask(pc.is_valid(text_array(cells))),
}


def _read_rows(workload: Workload, source: Source, table: Table, refusals: Refusals, passing: Mask) -> _Rows:
    customers = text_array(table[source.customer_id])
    n_bytes = pc.fill_null(pc.binary_length(customers), 0).to_numpy(zero_copy_only=False)
    event_ms, bad_time = _row_times(source, table)
    known_ms, bad_known = event_ms + source.known_after_ms, np.zeros(table.n_rows, dtype=bool)
    if source.known_time is not None:
        known, bad_known = times_of(table[source.known_time], source.time_format, source.timezone)
        known_ms = np.where(known == NO_TIME_MS, known_ms, known)
    rows = _Rows(table, source, refusals, passing, texts_of(customers), event_ms, known_ms)
    checks = [
        ("no customer", as_mask(pc.is_null(customers)), source.customer_id),
        ("customer id too long", n_bytes > workload.customer_id_max_bytes, source.customer_id),
        ("no time", (event_ms == NO_TIME_MS) & ~bad_time, source.event_time),
        ("bad time", bad_time, source.event_time),
        ("bad known time", bad_known, source.known_time or source.event_time),
    ]
    checks += [("no event id", as_mask(pc.is_null(text_array(table[name]))), name) for name in source.event_id]
    good = passing.copy()
    for reason, refused, column in checks:
        good &= rows.refuse(reason, refused & good, column)
    return _Rows(table, source, refusals, good, rows.customer_id, event_ms, known_ms)


def _row_times(source: Source, table: Table) -> tuple[Times, Mask]:
    if not SNAPSHOT.fullmatch(source.event_time):
        return times_of(table[source.event_time], source.time_format, source.timezone)
    ms, wrong = times_of(pa.array([source.event_time]), None, source.timezone)
    if wrong.any():
        raise SourceError(source.name, table.path, f"event_time {source.event_time} is not a date")
    return np.full(table.n_rows, ms[0]), np.zeros(table.n_rows, dtype=bool)


def _events(workload: Workload, rows: _Rows, event: SourceEvent) -> list[EventBatch]:
    good = rows.good & where_mask(rows.table, event.where)
    kinds, mapped = _kinds(rows, event, good)
    good, event_ms, known_ms = _times(rows, event, good & mapped)
    batches = []
    for topic in workload.topics:
        here = good & np.isin(kinds, list(topic.kind_index))
        if here.any():
            batches.append(_batch(rows, event, topic, here, (kinds, event_ms, known_ms)))
    return batches


def _kinds(rows: _Rows, event: SourceEvent, good: Mask) -> tuple[NDArray[Any], Mask]:
    """Kind names of the rows, and which rows have one."""
    if event.kind_column is None:
        return np.full(rows.table.n_rows, event.kind, dtype=object), good
    raw = pc.dictionary_encode(text_array(rows.table[event.kind_column]))
    names, of_raw = raw.dictionary.to_pylist(), dict(event.kinds)
    codes = pc.fill_null(pc.cast(raw.indices, pa.int64()), len(names)).to_numpy(zero_copy_only=False)
    kinds = np.array([*(of_raw.get(name, "") for name in names), ""], dtype=object)[codes]
    mapped: Mask = kinds != ""
    if event.other == "error" and (good & ~mapped).any():
        found = sorted({names[code] if code < len(names) else "nothing" for code in codes[good & ~mapped]})
        detail = f'holds {", ".join(map(repr, found[:5]))}, not in kinds; map it, or set other = "ignore"'
        raise SourceError(rows.source.name, rows.table.path, detail, column=event.kind_column)
    return kinds, mapped


def _times(rows: _Rows, event: SourceEvent, good: Mask) -> tuple[Mask, Times, Times]:
    """Event and known times; a row whose own time cell is empty has no such event."""
    if event.time is None:
        return good, rows.event_ms, rows.known_ms
    event_ms, bad = times_of(rows.table[event.time], rows.source.time_format, rows.source.timezone)
    good = good & rows.refuse(f"bad time in {event.time}", bad & good, event.time) & (event_ms != NO_TIME_MS)
    return good, event_ms, rows.known_ms if event.known == "row" else event_ms + rows.source.known_after_ms


def _batch(
    rows: _Rows, event: SourceEvent, topic: EventTopic, here: Mask, columns: tuple[NDArray[Any], Times, Times]
) -> EventBatch:
    values, here = _values(rows, event, topic, here)
    kinds, event_ms, known_ms = (column[here] for column in columns)
    ids = np.full(len(kinds), "", dtype=object)
    if rows.source.event_id:
        cells = [pc.filter(text_array(rows.table[name]), pa.array(here)) for name in rows.source.event_id]
        ids = column_ids(rows.source.name, cells, kinds if len(rows.source.events) > 1 else None)
    return EventBatch(
        topic=topic.name,
        event_id=ids,
        customer_id=rows.customer_id[here],
        event_time_ms=event_ms,
        known_time_ms=known_ms,
        kind=np.array([topic.kind_index[kind] for kind in kinds], dtype=np.int16),
        values={name: column[here] for name, column in values.items()},
    )


def _values(rows: _Rows, event: SourceEvent, topic: EventTopic, here: Mask) -> tuple[dict[str, NDArray[Any]], Mask]:
    """All value fields of the topic for all rows, and the rows whose values can be read."""
    values: dict[str, NDArray[Any]] = {}
    mapped = dict(event.values)
    for field in topic.fields:
        value = mapped.get(field.name)
        if isinstance(value, str):
            values[field.name], wrong = _read_value(rows, field, value)
            here = here & rows.refuse(f"bad {field.name}", wrong & here, value.split(PRODUCT)[0])
        elif field.type == "category":
            values[field.name] = np.full(rows.table.n_rows, None, dtype=object)
        else:
            values[field.name] = np.full(rows.table.n_rows, np.nan if value is None else float(value))
    return values, here


def _read_value(rows: _Rows, field: Field, value: str) -> tuple[NDArray[Any], Mask]:
    if PRODUCT in value:
        factors = [numbers_of(rows.table[name]) for name in value.split(PRODUCT)]
        product: NDArray[np.float64] = np.prod([numbers for numbers, _ in factors], axis=0)
        return product, np.any([wrong for _, wrong in factors], axis=0)
    cells = rows.table[value]
    if field.type == "category":
        return texts_of(cells), np.zeros(rows.table.n_rows, dtype=bool)
    if field.type == "time":
        times, wrong = times_of(cells, rows.source.time_format, rows.source.timezone)
        return np.where(times == NO_TIME_MS, np.nan, times.astype(np.float64)), wrong
    return wholes_of(cells) if field.type == "integer" else numbers_of(cells)
