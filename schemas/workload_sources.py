"""The ``[[source]]`` entries of a workload file: which columns of which table become which events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from schemas.source import Source, SourceEvent, Where, factors_of
from schemas.workload import EventTopic
from schemas.workload_cleaning import CLEANING_KEYS, check_used, parse_cleaning
from schemas.workload_entry import MISSING, Entry, suggest
from schemas.workload_places import PLACE_KEYS, parse_place

EPOCH_FORMATS: Final = ("epoch_s", "epoch_ms")
_TESTS: Final = ("equals", "in", "prefix", "not_prefix", "not_null")


def parse_sources(root: Entry, topics: Sequence[EventTopic]) -> tuple[Source, ...]:
    """All sources in file order.

    Raises
    ------
    WorkloadError
        At the first wrong entry.
    """
    sources: list[Source] = []
    for entry in root.items("source"):
        source = _source(entry, topics)
        if any(source.name == other.name for other in sources):
            entry.refuse("name", f"= {source.name!r} is taken by another source")
        sources.append(source)
    return tuple(sources)


def _source(entry: Entry, topics: Sequence[EventTopic]) -> Source:
    entry.only(
        "name", "doc", "separator", "header", "columns", "customer_id", "event_time", "time_format", "timezone",
        "timezone_column", "known_time", "known_after", "event_id", "where", "until", "event",
        *PLACE_KEYS, *CLEANING_KEYS,
    )  # fmt: skip
    path, source_format, database = parse_place(entry)
    events = tuple(_event(event, topics) for event in entry.items("event"))
    if not events:
        entry.refuse(None, "yields nothing; declare at least one [[source.event]]")
    event_id = entry.texts("event_id", ())
    source = Source(
        name=entry.name(),
        path=path,
        format=source_format,
        customer_id=entry.some_text("customer_id"),
        event_time=entry.some_text("event_time"),
        events=events,
        separator=_separator(entry),
        header=entry.flag("header", True),
        columns=entry.texts("columns", ()),
        time_formats=_time_formats(entry),
        timezone=_timezone(entry),
        timezone_column=entry.some_text("timezone_column", None),
        known_time=entry.some_text("known_time", None),
        known_after_ms=entry.duration("known_after", "0s", "0s", "365d"),
        event_id=event_id,
        where=_wheres(entry),
        until_ms=_until(entry),
        cleaning=parse_cleaning(entry, _signed(events, topics), has_id=bool(event_id)),
        database=database,
    )
    _check_columns(entry, source)
    return source


def _signed(events: Sequence[SourceEvent], topics: Sequence[EventTopic]) -> list[str]:
    """Number and integer fields that the events carry."""
    types = {field.name: field.type for topic in topics for field in topic.fields}
    named = dict.fromkeys(name for event in events for name, _ in event.values)
    return [name for name in named if types[name] in ("number", "integer")]


def _time_formats(entry: Entry) -> tuple[str, ...]:
    """One format or a list of formats that are tried in turn."""
    value = entry.table.get("time_format")
    if value is None:
        return ()
    formats = entry.texts("time_format") if isinstance(value, list) else (str(entry.some_text("time_format")),)
    if len(formats) > 1 and any(one in EPOCH_FORMATS for one in formats):
        entry.refuse("time_format", f"= {list(formats)!r}: {' and '.join(EPOCH_FORMATS)} stand alone")
    return formats


def _until(entry: Entry) -> int | None:
    """Midnight UTC of a day, as milliseconds."""
    value = entry.table.get("until")
    if value is None:
        return None
    try:
        day = value if type(value) is date else date.fromisoformat(str(value))
    except ValueError:
        entry.refuse("until", f'= {value!r} is not a day; write one like "2025-04-01"')
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _separator(entry: Entry) -> str:
    default = "\t" if ".tsv" in str(entry.table.get("path")) else ","
    value = entry.text("separator", default)
    if value != "whitespace" and (len(value) != 1 or value in '"\r\n'):
        entry.refuse("separator", f'= {value!r} must be one character or "whitespace"')
    return value


def _timezone(entry: Entry) -> str:
    name = entry.some_text("timezone", "UTC")
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        entry.refuse("timezone", f'= {name!r} is not a time zone; write one like "UTC" or "Europe/Berlin"')
    return str(name)


def _check_columns(entry: Entry, source: Source) -> None:
    """Names that do not exist can be told here only when the file gives the names."""
    inner = {column for event in source.events for _, column in _event_columns(event)}
    check_used(entry, source.cleaning, sorted({column for _, column in _used_columns(source)} | inner))
    if source.format != "csv":
        for key in ("separator", "header"):
            if entry.has(key):
                entry.refuse(key, f"belongs to csv; the format is {source.format}")
    elif not source.header and not source.columns:
        entry.refuse("header", "= false needs columns = [..], the names of the columns")
    if not source.columns:
        return
    for key, column in _used_columns(source):
        if column not in source.columns:
            entry.refuse(key, f"= {column!r} is not one of the columns; {suggest(column, source.columns)}")
    for event, parsed in zip(entry.items("event"), source.events, strict=True):
        for key, column in _event_columns(parsed):
            if column not in source.columns:
                event.refuse(key, f"= {column!r} is not one of the columns; {suggest(column, source.columns)}")


def _used_columns(source: Source) -> list[tuple[str, str]]:
    """(key, column) of what all events of a row share; a date instead of a time column is none."""
    used = [("customer_id", source.customer_id)]
    used += [] if source.is_snapshot else [("event_time", source.event_time)]
    used += [("known_time", source.known_time)] if source.known_time else []
    used += [("timezone_column", source.timezone_column)] if source.timezone_column else []
    return used + [("event_id", column) for column in source.event_id] + [("where", w.column) for w in source.where]


def _event_columns(event: SourceEvent) -> list[tuple[str, str]]:
    used = [(key, column) for key, column in (("kind_column", event.kind_column), ("time", event.time)) if column]
    used += [("where", w.column) for w in event.where]
    values = [value for _, value in event.values if isinstance(value, str)]
    return used + [("values", column) for value in values for column in factors_of(value) if isinstance(column, str)]


def _event(entry: Entry, topics: Sequence[EventTopic]) -> SourceEvent:
    if entry.has("kind") == entry.has("kind_column"):
        entry.refuse(None, "needs kind (a constant) or kind_column with kinds, one of the two")
    extra = ("kind",) if entry.has("kind") else ("kind_column", "kinds", "other")
    entry.only("time", "known", "where", "values", *extra)
    of_kind = {kind.name: topic for topic in topics for kind in topic.kinds}
    kind = entry.choice("kind", of_kind) if entry.has("kind") else None
    kinds = _kinds(entry, of_kind) if kind is None else ()
    targets = {kind} if kind is not None else {target for _, target in kinds}
    return SourceEvent(
        kind=kind,
        kind_column=entry.some_text("kind_column", None),
        kinds=kinds,
        other=entry.choice("other", ("error", "ignore", "refuse"), "error"),
        time=entry.some_text("time", None),
        known=entry.choice("known", ("time", "row"), "time"),
        where=_wheres(entry),
        values=_values(entry, [of_kind[name] for name in sorted(targets)]),
    )


def _kinds(entry: Entry, of_kind: dict[str, EventTopic]) -> tuple[tuple[str, str], ...]:
    table = entry.child("kinds", MISSING)
    if not table.table:
        table.refuse(None, 'is empty; map raw names to kinds, like kinds = { "Log in" = "login" }')
    return tuple((raw, str(table.choice(raw, of_kind))) for raw in table.table)


def _values(entry: Entry, topics: list[EventTopic]) -> tuple[tuple[str, str | float], ...]:
    table = entry.child("values", {})
    known = list(dict.fromkeys(field.name for topic in topics for field in topic.fields))
    for name, value in table.table.items():
        if name not in known:
            table.refuse(name, f"is not a value field of topic {topics[0].name}; {suggest(name, known)}")
        if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
            table.refuse(name, f"= {value!r} must be the name of a column, or a number")
        if not isinstance(value, str) and not any(
            f.type != "category" for t in topics for f in t.fields if f.name == name
        ):
            table.refuse(name, f"= {value!r}: a category takes a column, not a number")
    return tuple(table.table.items())


def _wheres(entry: Entry) -> tuple[Where, ...]:
    value = entry.table.get("where", [])
    if isinstance(value, dict):
        return (_where(entry.child("where")),)
    return tuple(_where(item) for item in entry.items("where"))


def _where(entry: Entry) -> Where:
    entry.only("column", *_TESTS)
    column = entry.some_text("column")
    tests = [test for test in _TESTS if entry.has(test)]
    if len(tests) != 1:
        entry.refuse(None, f"needs exactly one test; allowed are {', '.join(_TESTS)}")
    return Where(column, _as_test(tests[0]), _where_values(entry, tests[0]))


def _as_test(test: str) -> Any:
    return test


def _where_values(entry: Entry, test: str) -> tuple[Any, ...]:
    value = entry.table[test]
    if test == "not_null":
        if value is not True:
            entry.refuse(test, f"= {value!r} must be true")
        return ()
    if test == "in":
        if not isinstance(value, list) or not value or not all(_is_scalar(item) for item in value):
            entry.refuse(test, f"= {value!r} must be a list of text or numbers")
        return tuple(value)
    if test in ("prefix", "not_prefix"):
        return (entry.some_text(test),)
    if not _is_scalar(value):
        entry.refuse(test, f"= {value!r} must be text, a number, true or false")
    return (value,)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)
