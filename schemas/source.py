"""How a file or table of a user becomes events: the checked values of the ``[[source]]`` entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Where:
    """A row filter of a source: `test` of a column against `values` (none for not_null)."""

    column: str
    test: Literal["equals", "in", "prefix", "not_prefix", "not_null"]
    values: tuple[str | int | float | bool, ...] = ()


@dataclass(frozen=True)
class SourceEvent:
    """One event that a row of a source yields.

    Parameters
    ----------
    kind
        Constant kind; None when `kind_column` names it.
    kind_column, kinds, other
        Column of raw names, (raw name, kind) pairs, and whether a name outside them is an "error" or to "ignore".
    time
        Time column of its own; None takes the row's event time.
    known
        "time": known at its own time + known_after. "row": at the row's known time.
    where
        Filters that must all hold.
    values
        (value field, column name or number). A field that the kind's topic does not have is left out.
    """

    kind: str | None
    kind_column: str | None = None
    kinds: tuple[tuple[str, str], ...] = ()
    other: Literal["error", "ignore"] = "error"
    time: str | None = None
    known: Literal["time", "row"] = "time"
    where: tuple[Where, ...] = ()
    values: tuple[tuple[str, str | float], ...] = ()


@dataclass(frozen=True)
class Source:
    """One file or table and the events in its rows.

    Parameters
    ----------
    path
        Relative to the data folder; may be a glob.
    format
        csv, jsonl or parquet. Compression follows from the file's suffix.
    separator
        csv: one character, or "whitespace".
    header
        csv: whether the first line holds names.
    columns
        Names of the columns; empty takes the file's own.
    customer_id, event_time, known_time
        Column names; known_time None: known at event time + `known_after_ms`.
    time_format
        ``strptime`` format; None reads ISO 8601, or numbers as epoch milliseconds.
    timezone
        Zone of times without offset.
    event_id
        Columns that identify a row; empty: a hash of the row.
    """

    name: str
    path: str
    format: Literal["csv", "jsonl", "parquet"]
    customer_id: str
    event_time: str
    events: tuple[SourceEvent, ...]
    separator: str = ","
    header: bool = True
    columns: tuple[str, ...] = ()
    time_format: str | None = None
    timezone: str = "UTC"
    known_time: str | None = None
    known_after_ms: int = 0
    event_id: tuple[str, ...] = ()
    where: tuple[Where, ...] = ()
