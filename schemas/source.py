"""How a file or table of a user becomes events: the checked values of the ``[[source]]`` entries.

They say where the rows are, which columns become what, and what is done about dirty cells. None of it is part of the
workload's hash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Case = Literal["lower", "upper"]
OnNegative = Literal["refuse", "absolute", "missing"]

_PRODUCT: Final = " * "
_SNAPSHOT: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def factors_of(value: str) -> tuple[str | float, ...]:
    """The columns and numbers of an entry of ``values``; a lone name is always a column.

    Examples
    --------
    >>> factors_of("Quantity * UnitPrice * 0.01")
    ('Quantity', 'UnitPrice', 0.01)
    """
    parts = value.split(_PRODUCT)
    return tuple(float(part) if len(parts) > 1 and _NUMBER.fullmatch(part) else part for part in parts)


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
        Column of raw names, (raw name, kind) pairs, and whether a name outside them is an "error", to "ignore", or
        to "refuse" row by row.
    time
        Time column of its own; None takes the row's event time.
    known
        "time": known at its own time + known_after. "row": at the row's known time.
    where
        Filters that must all hold.
    values
        (value field, column name, product of columns and numbers, or number). A field that the kind's topic does not
        have is left out.
    """

    kind: str | None
    kind_column: str | None = None
    kinds: tuple[tuple[str, str], ...] = ()
    other: Literal["error", "ignore", "refuse"] = "error"
    time: str | None = None
    known: Literal["time", "row"] = "time"
    where: tuple[Where, ...] = ()
    values: tuple[tuple[str, str | float], ...] = ()


@dataclass(frozen=True)
class Cleaning:
    """What is done about dirty cells; what no rule covers is refused with a reason.

    Parameters
    ----------
    decimal
        Of numbers in text: "." or ",".
    thousands
        Of numbers in text: a character between groups of three digits; empty allows none.
    missing
        Texts that mean "nothing here", besides the empty cell; None takes the usual ones.
    normalise
        (column, "lower" or "upper"): the case of a column's text.
    replace
        (column, (text, other text) pairs): after `normalise`; an empty text means nothing.
    units
        (column, (text, factor) pairs): a column of unit names, which a product in ``values`` takes as a number.
    on_negative
        (number or integer field, rule): refuse the event, take the absolute value, or count it as missing.
    on_duplicate
        Of events of one source and topic with the same id: keep all, or the one known first or last.
    """

    decimal: Literal[".", ","] = "."
    thousands: str = ""
    missing: tuple[str, ...] | None = None
    normalise: tuple[tuple[str, Case], ...] = ()
    replace: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    units: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    on_negative: tuple[tuple[str, OnNegative], ...] = ()
    on_duplicate: Literal["keep", "first", "last"] = "keep"


@dataclass(frozen=True)
class Database:
    """A table or query instead of a file.

    Parameters
    ----------
    url, url_env
        SQLAlchemy's URL, or the environment variable that holds it; the file never holds a password.
    table, query
        Name of a table (``schema.table``), or an SQL query; one of them.
    """

    url: str | None
    url_env: str | None
    table: str | None
    query: str | None


@dataclass(frozen=True)
class Source:
    """One file or table and the events in its rows.

    Parameters
    ----------
    path
        Relative to the data folder, or an fsspec URL; may be a glob. Empty for a database.
    format
        csv, jsonl, parquet or database. Compression follows from the file's suffix.
    separator
        csv: one character, or "whitespace".
    header
        csv: whether the first line holds names.
    columns
        Names of the columns; empty takes the file's own.
    customer_id, event_time, known_time
        Column names; for event_time also a date: the whole table became known on that day. known_time None: known at
        event time + `known_after_ms`.
    time_formats
        ``strptime`` formats, tried in turn, or one of epoch_s and epoch_ms; none reads ISO 8601, or numbers as epoch
        milliseconds.
    timezone, timezone_column
        Zone of times without offset, and the column that names it row by row.
    event_id
        Columns that identify a row; empty: a hash of the row.
    until_ms
        The log is complete up to here: what became known at or after it is left out.
    """

    name: str
    path: str
    format: Literal["csv", "jsonl", "parquet", "database"]
    customer_id: str
    event_time: str
    events: tuple[SourceEvent, ...]
    separator: str = ","
    header: bool = True
    columns: tuple[str, ...] = ()
    time_formats: tuple[str, ...] = ()
    timezone: str = "UTC"
    timezone_column: str | None = None
    known_time: str | None = None
    known_after_ms: int = 0
    event_id: tuple[str, ...] = ()
    where: tuple[Where, ...] = ()
    until_ms: int | None = None
    cleaning: Cleaning = Cleaning()
    database: Database | None = None

    @property
    def is_snapshot(self) -> bool:
        """Whether `event_time` is a date instead of a column."""
        return _SNAPSHOT.fullmatch(self.event_time) is not None
