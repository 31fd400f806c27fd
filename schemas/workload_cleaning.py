"""The rules of a ``[[source]]`` for dirty cells: decimals, missing texts, case, unit names, negatives, duplicates."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, get_args

from schemas.source import Case, Cleaning, OnNegative
from schemas.workload_entry import Entry, suggest

CLEANING_KEYS: Final = (
    "decimal", "thousands", "missing", "normalise", "replace", "units", "on_negative", "on_duplicate",
)  # fmt: skip


def parse_cleaning(entry: Entry, signed: Sequence[str], *, has_id: bool) -> Cleaning:
    """The cleaning rules of a source.

    Parameters
    ----------
    signed
        Number and integer fields that its events carry.
    has_id
        Whether it names id columns: then a second row with an id is a duplicate by default.
    """
    decimal = entry.choice("decimal", (".", ","), ".")
    return Cleaning(
        decimal=decimal,
        thousands=_thousands(entry, decimal),
        missing=entry.texts("missing") if entry.has("missing") else None,
        normalise=tuple((name, _case(table, name)) for table, name in _columns(entry, "normalise")),
        replace=tuple((name, _texts(table, name)) for table, name in _columns(entry, "replace")),
        units=tuple((name, _factors(table, name)) for table, name in _columns(entry, "units")),
        on_negative=_on_negative(entry, signed),
        on_duplicate=entry.choice("on_duplicate", ("keep", "first", "last"), "first" if has_id else "keep"),
    )


def rule_columns(cleaning: Cleaning) -> list[tuple[str, str]]:
    """(key, column) of the rules that name a column."""
    named = [("normalise", name) for name, _ in cleaning.normalise] + [
        ("replace", name) for name, _ in cleaning.replace
    ]
    return named + [("units", name) for name, _ in cleaning.units]


def check_used(entry: Entry, cleaning: Cleaning, used: Collection[str]) -> None:
    """Refuse a rule for a column that nothing reads: it is a slip of the pen."""
    for key, column in rule_columns(cleaning):
        if column not in used:
            entry.refuse(key, f"names column {column!r}, which this source does not use; {suggest(column, used)}")


def _thousands(entry: Entry, decimal: str) -> str:
    value = entry.text("thousands", "")
    if value and (len(value) != 1 or value == decimal or value.isalnum() or value in "+-"):
        entry.refuse(
            "thousands", f'= {value!r} must be one character other than the decimal {decimal!r}, like "." or " "'
        )
    return value


def _columns(entry: Entry, key: str) -> list[tuple[Entry, str]]:
    table = entry.child(key, {})
    return [(table, name) for name in table.table]


def _case(table: Entry, column: str) -> Case:
    case: Case = table.choice(column, get_args(Case))
    return case


def _texts(table: Entry, column: str) -> tuple[tuple[str, str], ...]:
    pairs = table.child(column)
    return tuple((raw, pairs.text(raw)) for raw in pairs.table)


def _factors(table: Entry, column: str) -> tuple[tuple[str, float], ...]:
    pairs = table.child(column)
    if not pairs.table:
        pairs.refuse(None, "is empty; name each unit and its factor, like { kg = 1, g = 0.001 }")
    return tuple((raw, pairs.number(raw, None, -1e12, 1e12)) for raw in pairs.table)


def _on_negative(entry: Entry, signed: Sequence[str]) -> tuple[tuple[str, OnNegative], ...]:
    """One rule for all signed fields, or a table of rules; "keep" is no rule."""
    allowed = (*get_args(OnNegative), "keep")
    if not entry.has("on_negative"):
        return ()
    if isinstance(entry.table["on_negative"], str):
        rule = entry.choice("on_negative", allowed)
        return () if rule == "keep" else tuple((name, rule) for name in signed)
    table = entry.child("on_negative")
    for name in table.table:
        if name not in signed:
            table.refuse(name, f"is no number or integer field of this source's events; {suggest(name, signed)}")
    rules: list[tuple[str, Any]] = [(name, table.choice(name, allowed)) for name in table.table]
    return tuple((name, rule) for name, rule in rules if rule != "keep")
