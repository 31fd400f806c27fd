"""The ``[[feature]]`` entries of a workload file, checked against its topics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, get_args

from schemas.durations import DAY_MS, format_duration
from schemas.workload import WINDOWS_D, CalendarPart, EventTopic, Feature, FeatureType, Field
from schemas.workload_entry import Entry, suggest

NUMBERS: Final = ("number", "integer")

# type -> keys it needs, keys it may have, types of its field
_KEYS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]] = {
    "count": (("of", "windows"), (), ()),
    "sum": (("of", "field", "windows"), (), NUMBERS),
    "mean": (("of", "field", "windows"), (), NUMBERS),
    "max": (("of", "field", "windows"), (), NUMBERS),
    "distinct_days": (("of", "windows"), (), ()),
    "ratio": (("of", "windows"), ("field",), NUMBERS),
    "trend": (("of", "windows"), ("field",), NUMBERS),
    "recency": (("of",), (), ()),
    "tenure": ((), (), ()),
    "last": (("of", "field"), (), (*NUMBERS, "category")),
    "until": (("of", "field"), (), ("time",)),
    "delay": (("from", "to"), (), ()),
    "open": (("of", "closed_by"), (), ()),
    "calendar": (("part",), (), ()),
}
_KIND_KEYS: Final = ("of", "closed_by", "from", "to")


def parse_features(root: Entry, topics: Sequence[EventTopic]) -> tuple[Feature, ...]:
    """All features in file order.

    Raises
    ------
    WorkloadError
        At the first wrong entry, or when two give the same column.
    """
    features: list[Feature] = []
    taken: dict[str, str] = {}
    for entry in root.items("feature"):
        feature = _feature(entry, topics)
        for column in feature.columns():
            if column in taken:
                entry.refuse("name", f"gives column {column!r} again; feature {taken[column]!r} has it already")
            taken[column] = feature.name
        features.append(feature)
    if not features:
        root.refuse("feature", "entries are missing; declare at least one under [[feature]]")
    return tuple(features)


def _feature(entry: Entry, topics: Sequence[EventTopic]) -> Feature:
    name = entry.name()
    feature_type = entry.choice("type", get_args(FeatureType))
    needed, optional, field_types = _KEYS[feature_type]
    entry.only("name", "type", "doc", *needed, *optional, why=f" (type {feature_type})")
    for key in needed:
        if not entry.has(key):
            entry.refuse(None, f"needs {key} (type {feature_type})")
    all_kinds = [kind.name for topic in topics for kind in topic.kinds]
    kinds = {key: entry.some_choices(key, all_kinds, "kind") for key in _KIND_KEYS if entry.has(key)}
    _check_disjoint(entry, kinds)
    return Feature(
        name=name,
        type=feature_type,
        of=kinds.get("of", ()),
        field=check_fields(entry, topics, kinds["of"], field_types) if entry.has("field") else None,
        windows=_windows(entry, feature_type) if entry.has("windows") else (),
        closed_by=kinds.get("closed_by", ()),
        from_=kinds.get("from", ()),
        to=kinds.get("to", ()),
        part=entry.choice("part", get_args(CalendarPart)) if feature_type == "calendar" else None,
        doc=entry.text("doc", ""),
    )


def _check_disjoint(entry: Entry, kinds: dict[str, tuple[str, ...]]) -> None:
    for one, other in (("of", "closed_by"), ("from", "to")):
        if both := set(kinds.get(one, ())) & set(kinds.get(other, ())):
            entry.refuse(other, f"= {sorted(both)!r} is in {one} too")


def _windows(entry: Entry, feature_type: str) -> tuple[int, ...]:
    windows_ms = entry.durations("windows")
    allowed = [f"{days}d" for days in WINDOWS_D]
    for ms in windows_ms:
        if ms not in [days * DAY_MS for days in WINDOWS_D]:
            entry.refuse("windows", f"= {format_duration(ms)!r} is not a window; allowed are {', '.join(allowed)}")
    if list(windows_ms) != sorted(set(windows_ms)):
        entry.refuse("windows", f"= {entry.table['windows']!r} must ascend, each window once")
    if feature_type in ("ratio", "trend") and len(windows_ms) != 2:
        entry.refuse("windows", f"= {entry.table['windows']!r} must be two windows, the short one first")
    if not windows_ms:
        entry.refuse("windows", f"is empty; allowed are {', '.join(allowed)}")
    return tuple(ms // DAY_MS for ms in windows_ms)


def check_fields(entry: Entry, topics: Sequence[EventTopic], of: Sequence[str], types: Sequence[str]) -> str:
    """The value field under ``field``, which every kind in `of` must carry in one and the same form."""
    name = entry.some_text("field")
    found: list[Field] = []
    for topic in topics:
        if any(kind.name in of for kind in topic.kinds):
            field = topic.field(name)
            if field is None:
                have = suggest(name, [f.name for f in topic.fields])
                entry.refuse("field", f"= {name!r} is not a value field of topic {topic.name}; {have}")
            found.append(field)
    for field in found:
        if field.type not in types:
            entry.refuse("field", f"= {name!r} is of type {field.type}; allowed here are {', '.join(types)}")
        if _form(field) != _form(found[0]):
            entry.refuse("field", f"= {name!r} has another type, unit, scale or categories in another topic")
    return str(name)


def _form(field: Field) -> tuple[Any, ...]:
    return field.type, field.unit, field.scale, field.categories
