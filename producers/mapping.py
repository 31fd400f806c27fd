"""From the rows of a table to events: filters, customers, times, kinds and values, all by column.

A row or event that cannot be read is refused with its reason and counted; nothing here is fatal but a kind that the
workload does not map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from producers.cells import as_mask, numbers_of
from producers.columns import Columns
from producers.errors import SourceError
from producers.identity import column_ids
from producers.refusals import Refusals
from producers.tables import Table
from producers.times import NO_TIME_MS, times_of
from schemas.events import EventBatch
from schemas.source import Source, SourceEvent, Where, factors_of
from schemas.workload import EventTopic, Field, Workload

NO_KIND: Final = -1
Mask = NDArray[np.bool_]
Times = NDArray[np.int64]


def wanted_columns(source: Source) -> list[str]:
    """The columns a source uses, each once."""
    names = [source.customer_id, source.known_time, source.timezone_column, *source.event_id]
    names += [] if source.is_snapshot else [source.event_time]
    names += [where.column for where in source.where]
    for event in source.events:
        names += [event.kind_column, event.time, *(where.column for where in event.where)]
        for _, value in event.values:
            factors = factors_of(value) if isinstance(value, str) else ()
            names += [factor for factor in factors if isinstance(factor, str)]
    return list(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True)
class Mapped:
    """What one table gave.

    Parameters
    ----------
    batches
        Its events, unsorted, with all value fields of their topic; ids are empty where the source names no id columns.
    n_filtered
        Rows that the source's ``where`` leaves out.
    n_none
        Times that a row gives no event of one of the source's kinds: another kind, no time, or known too late.
    """

    batches: tuple[EventBatch, ...]
    n_filtered: int
    n_none: int


@dataclass(frozen=True)
class _Rows:
    """What all events of a row share: (n,) each, and which rows can give events at all."""

    columns: Columns
    source: Source
    refusals: Refusals
    good: Mask
    event_ms: Times
    known_ms: Times

    @property
    def n(self) -> int:
        return self.columns.table.n_rows

    def refuse(self, reason: str, refused: Mask, column: str, *, whole_row: bool = False) -> Mask:
        """Count the refused rows; give the others."""
        self.refusals.update_mask(reason, refused, self.columns.table, column, whole_row=whole_row)
        return ~refused


def map_table(workload: Workload, source: Source, table: Table, refusals: Refusals) -> Mapped:
    """The events of one table.

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

    Raises
    ------
    SourceError
        When a raw kind is not mapped.
    """
    columns = Columns(table, source)
    passing = where_mask(columns, source.where)
    rows = _read_rows(workload, source, columns, refusals, passing)
    found = [_events(workload, rows, event) for event in source.events]
    batches = tuple(batch for some, _ in found for batch in some)
    return Mapped(batches, table.n_rows - int(np.count_nonzero(passing)), sum(n for _, n in found))


def where_mask(columns: Columns, wheres: tuple[Where, ...]) -> Mask:
    """Which rows pass all filters; an empty cell passes ``not_prefix`` alone."""
    mask = np.ones(columns.table.n_rows, dtype=bool)
    for where in wheres:
        mask &= _WHERE[where.test](columns.texts(where.column), where.values)
    return mask


def _is_any_of(texts: Any, values: tuple[Any, ...]) -> Mask:
    wanted = [value for value in values if isinstance(value, str)]
    wanted += [str(value).lower() for value in values if isinstance(value, bool)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    mask = as_mask(pc.is_in(texts, pa.array(wanted, pa.string())))
    return mask | np.isin(numbers_of(texts)[0], numbers) if numbers else mask


_WHERE: Final[dict[str, Callable[[Any, tuple[Any, ...]], Mask]]] = {
    "equals": _is_any_of,
    "in": _is_any_of,
    "prefix": lambda texts, values: as_mask(pc.starts_with(texts, values[0])),
    "not_prefix": lambda texts, values: ~as_mask(pc.starts_with(texts, values[0])),
    "not_null": lambda texts, _: as_mask(pc.is_valid(texts)),
}


def _read_rows(workload: Workload, source: Source, columns: Columns, refusals: Refusals, passing: Mask) -> _Rows:
    customers = columns.texts(source.customer_id)
    n_bytes = pc.fill_null(pc.binary_length(customers), 0).to_numpy(zero_copy_only=False)
    bad_zone = columns.bad_zones()
    event_ms, bad_time = _row_times(source, columns)
    known_ms, bad_known = event_ms + source.known_after_ms, np.zeros(len(passing), dtype=bool)
    if source.known_time is not None:
        known, bad_known = columns.times(source.known_time)
        known_ms = np.where(known == NO_TIME_MS, known_ms, known)
    time_column = source.customer_id if source.is_snapshot else source.event_time
    checks = [
        ("no customer", as_mask(pc.is_null(customers)), source.customer_id),
        ("customer id too long", n_bytes > workload.customer_id_max_bytes, source.customer_id),
        ("bad time zone", bad_zone, source.timezone_column or source.customer_id),
        ("no time", (event_ms == NO_TIME_MS) & ~bad_time, time_column),
        ("bad time", bad_time, time_column),
        ("bad known time", bad_known, source.known_time or time_column),
    ]
    checks += [("no event id", as_mask(pc.is_null(columns.texts(name))), name) for name in source.event_id]
    rows = _Rows(columns, source, refusals, passing.copy(), event_ms, known_ms)
    for reason, refused, column in checks:
        rows.good[:] &= rows.refuse(reason, refused & rows.good, column, whole_row=True)
    return rows


def _row_times(source: Source, columns: Columns) -> tuple[Times, Mask]:
    if not source.is_snapshot:
        return columns.times(source.event_time)
    ms, wrong = times_of(pa.array([source.event_time]), (), source.timezone)
    if wrong.any():
        table = columns.table
        raise SourceError(source.name, table.path, f"event_time {source.event_time} is not a date", kind=table.kind)
    return np.full(columns.table.n_rows, ms[0]), np.zeros(columns.table.n_rows, dtype=bool)


def _events(workload: Workload, rows: _Rows, event: SourceEvent) -> tuple[list[EventBatch], int]:
    """The events of one declared kind, and how many rows give none of it."""
    n_refused_before = rows.refusals.n
    wanted = rows.good & where_mask(rows.columns, event.where)
    kinds, wanted = _kinds(workload, rows, event, wanted)
    wanted, event_ms, known_ms = _times(rows, event, wanted)
    if rows.source.until_ms is not None:
        wanted &= known_ms < rows.source.until_ms
    batches, n_refused, first = [], rows.refusals.n - n_refused_before, 0
    n_none = int(np.count_nonzero(rows.good)) - n_refused - int(np.count_nonzero(wanted))
    for topic in workload.topics:
        here = wanted & (kinds >= first) & (kinds < first + len(topic.kinds))
        if here.any():
            batches.append(_batch(rows, event, topic, here, (kinds - first, event_ms, known_ms)))
        first += len(topic.kinds)
    return batches, n_none


def _kinds(workload: Workload, rows: _Rows, event: SourceEvent, wanted: Mask) -> tuple[NDArray[np.int64], Mask]:
    """Kinds of the rows as indices into all kinds of the workload, and which rows have one."""
    if event.kind_column is None:
        return np.full(rows.n, workload.kind_index[str(event.kind)]), wanted
    raw = pc.dictionary_encode(rows.columns.texts(event.kind_column))
    names, of_raw = raw.dictionary.to_pylist(), dict(event.kinds)
    codes = pc.fill_null(pc.cast(raw.indices, pa.int64()), len(names)).to_numpy(zero_copy_only=False)
    indices = [workload.kind_index[of_raw[name]] if name in of_raw else NO_KIND for name in names]
    kinds = np.array([*indices, NO_KIND], dtype=np.int64)[codes]
    unmapped = (kinds == NO_KIND) & wanted
    if event.other == "error" and unmapped.any():
        found = sorted({names[code] if code < len(names) else "nothing" for code in codes[unmapped]})
        detail = f'holds {", ".join(map(repr, found[:5]))}, not in kinds; map it, or set other = "ignore" or "refuse"'
        table = rows.columns.table
        raise SourceError(rows.source.name, table.path, detail, column=event.kind_column, kind=table.kind)
    if event.other == "refuse":
        rows.refuse("unknown kind", unmapped, event.kind_column)
    return kinds, wanted & ~unmapped


def _times(rows: _Rows, event: SourceEvent, wanted: Mask) -> tuple[Mask, Times, Times]:
    """Event and known times; a row whose own time cell is empty has no such event."""
    if event.time is None:
        return wanted, rows.event_ms, rows.known_ms
    event_ms, bad = rows.columns.times(event.time)
    wanted = wanted & rows.refuse(f"bad time in {event.time}", bad & wanted, event.time) & (event_ms != NO_TIME_MS)
    return wanted, event_ms, rows.known_ms if event.known == "row" else event_ms + rows.source.known_after_ms


def _batch(
    rows: _Rows, event: SourceEvent, topic: EventTopic, here: Mask, columns: tuple[NDArray[np.int64], Times, Times]
) -> EventBatch:
    """The events of a topic; `columns` are kinds (of the topic), event times and known times of all rows."""
    values, here = _values(rows, event, topic, here)
    kinds, event_ms, known_ms = (column[here] for column in columns)
    ids = np.full(len(kinds), "", dtype=object)
    if rows.source.event_id:
        cells = [pc.filter(rows.columns.texts(name), pa.array(here)) for name in rows.source.event_id]
        names = np.array([kind.name for kind in topic.kinds], dtype=object)
        ids = column_ids(rows.source.name, cells, names[kinds] if len(rows.source.events) > 1 else None)
    return EventBatch(
        topic=topic.name,
        event_id=ids,
        customer_id=rows.columns.objects(rows.source.customer_id)[here],
        event_time_ms=event_ms,
        known_time_ms=known_ms,
        kind=kinds.astype(np.int16),
        values={name: column[here] for name, column in values.items()},
    )


def _values(rows: _Rows, event: SourceEvent, topic: EventTopic, here: Mask) -> tuple[dict[str, NDArray[Any]], Mask]:
    """All value fields of the topic for all rows, and the rows whose values can be read."""
    values: dict[str, NDArray[Any]] = {}
    mapped = dict(event.values)
    for field in topic.fields:
        value = mapped.get(field.name)
        if isinstance(value, str):
            values[field.name], here = _read_value(rows, field, value, here)
        elif field.type == "category":
            values[field.name] = np.full(rows.n, None, dtype=object)
        else:
            values[field.name] = np.full(rows.n, np.nan if value is None else float(value))
    return values, here


def _read_value(rows: _Rows, field: Field, value: str, here: Mask) -> tuple[NDArray[Any], Mask]:
    """One value field of all rows, and the rows that are still good."""
    columns = rows.columns
    if field.type == "category":
        return columns.objects(value), here
    first = next(factor for factor in factors_of(value) if isinstance(factor, str))
    if field.type == "time":
        times, wrong = columns.times(value)
        numbers = np.where(times == NO_TIME_MS, np.nan, times.astype(np.float64))
    else:
        numbers, wrong = columns.wholes(value) if field.type == "integer" else columns.numbers(value)
    here = here & rows.refuse(f"bad {field.name}", wrong & here, first)
    return _signed(rows, field, numbers, here, first)


def _signed(rows: _Rows, field: Field, numbers: NDArray[Any], here: Mask, column: str) -> tuple[NDArray[Any], Mask]:
    """What the source's rule makes of negative numbers."""
    rule, negative = dict(rows.source.cleaning.on_negative).get(field.name), numbers < 0
    if rule == "absolute":
        return np.abs(numbers), here
    if rule == "missing":
        return np.where(negative, np.nan, numbers), here
    if rule == "refuse":
        here = here & rows.refuse(f"negative {field.name}", negative & here, column)
    return numbers, here
