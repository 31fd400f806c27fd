"""From the text of a workload file to a checked `Workload`: sections, topics and the content hash.

Features are in `schemas.workload_features`, sources in `schemas.workload_sources`.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args
from zoneinfo import ZoneInfo

from schemas.errors import WorkloadError
from schemas.toml_lines import TomlLines
from schemas.workload import (
    Alert,
    Eligible,
    EventTopic,
    Field,
    FieldType,
    Kind,
    Label,
    LabelType,
    Live,
    Watch,
    Workload,
)
from schemas.workload_entry import NAME, Entry
from schemas.workload_features import check_fields, parse_features
from schemas.workload_sources import parse_sources

RESERVED_TOPICS: Final = (
    "clock", "score", "scores", "latest_scores", "alert", "alerts", "drift", "retrain_signal", "retrain_signals",
    "model_release", "model_releases", "dead_letter", "dead_letters", "summary", "summaries", "state", "journal",
)  # fmt: skip
RESERVED_FIELDS: Final = ("event_id", "customer_id", "event_time_ms", "known_time_ms", "kind", "partition", "offset")
MAX_KINDS: Final = 256
MAX_FIELDS: Final = 256
MAX_CATEGORIES: Final = 1_000
MAX_COLUMNS: Final = 1_000


def parse_workload(text: str, path: str | Path = "workload.toml") -> Workload:
    """Check the text of a workload file.

    Parameters
    ----------
    text
        TOML.
    path
        For messages and for the folder of its data.

    Raises
    ------
    WorkloadError
        With file, line, the wrong value and what is allowed.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        at = re.search(r"at line (\d+)", str(cause))
        line = int(at[1]) if at else text.count("\n") + 1  # else: at end of document
        raise WorkloadError(path, line, f"is not TOML: {cause}") from cause
    return _parse(Entry(path, TomlLines(text), (), content), text)


def _parse(root: Entry, text: str) -> Workload:
    root.only("workload", "topics", "live", "eligible", "label", "feature", "alert", "watch", "source")
    head = root.child("workload")
    head.only("name", "doc", "timezone", "score_every", "lateness", "forget_after", "customer_id_max_bytes")
    topics = _topics(root.child("topics"))
    kinds = [kind.name for topic in topics for kind in topic.kinds]
    workload = Workload(
        name=head.name(),
        doc=head.text("doc", ""),
        timezone=timezone(head),
        score_every_ms=head.duration("score_every", "1m", "1s", "1d"),
        lateness_ms=head.duration("lateness", "2d", "0s", "60d"),
        forget_after_ms=head.duration("forget_after", "400d", "1d", "3650d"),
        customer_id_max_bytes=head.integer("customer_id_max_bytes", 40, 1, 255),
        topics=topics,
        live=_live(root.child("live", {}), kinds),
        eligible=_eligible(root.child("eligible", {})),
        label=_label(root.child("label"), topics),
        features=parse_features(root, topics),
        alerts=_alerts(root),
        watch=_watch(root.child("watch", {})),
        sources=parse_sources(root, topics),
        text=text,
        hash=content_hash(root.table),
        path=str(root.file),
    )
    _check_whole(root, workload)
    return workload


def _check_whole(root: Entry, workload: Workload) -> None:
    if workload.forget_after_ms < workload.label.horizon_ms + workload.label.grace_ms:
        root.child("workload").refuse("forget_after", "is shorter than the label's horizon and grace")
    if len(workload.columns()) > MAX_COLUMNS:
        root.refuse("feature", f"entries give {len(workload.columns())} columns; allowed are {MAX_COLUMNS}")


def timezone(entry: Entry, key: str = "timezone") -> str:
    """The name of a time zone that exists."""
    name = entry.some_text(key, "UTC")
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        entry.refuse(key, f'= {name!r} is not a time zone; write one like "UTC" or "Europe/Berlin"')
    return str(name)


def _topics(entry: Entry) -> tuple[EventTopic, ...]:
    topics = tuple(_topic(entry.child(name), name) for name in entry.table)
    if not topics:
        entry.refuse(None, "is empty; declare at least one event topic as [topics.<name>]")
    seen: dict[str, str] = {}
    for topic in topics:
        for kind in topic.kinds:
            if kind.name in seen:
                where = f"topics {seen[kind.name]} and {topic.name}"
                entry.child(topic.name).refuse(
                    "kinds", f"= {kind.name!r} is in {where}; kinds are unique in a workload"
                )
            seen[kind.name] = topic.name
    if len(seen) > MAX_KINDS:
        entry.refuse(None, f"declares {len(seen)} kinds; allowed are {MAX_KINDS}")
    return topics


def _topic(entry: Entry, name: str) -> EventTopic:
    if not NAME.fullmatch(name):
        entry.refuse(None, "is not a topic name; allowed are a-z, 0-9 and _, a letter first, up to 63")
    if name in RESERVED_TOPICS:
        entry.refuse(None, f"is a topic of driftline itself; reserved are {', '.join(RESERVED_TOPICS)}")
    entry.only("doc", "deduplicate", "kinds", "urgent", "fields")
    kinds = entry.child("kinds")
    if not kinds.table:
        kinds.refuse(None, 'is empty; declare at least one, like kinds = { login = "signed in" }')
    for kind in kinds.table:
        if not NAME.fullmatch(kind):
            kinds.refuse(kind, "is not a kind name; allowed are a-z, 0-9 and _, a letter first, up to 63")
    urgent = entry.choices("urgent", kinds.table, "kind of this topic", ())
    fields = entry.child("fields", {})
    if len(fields.table) > MAX_FIELDS:
        fields.refuse(None, f"declares {len(fields.table)} fields; allowed are {MAX_FIELDS}")
    return EventTopic(
        name=name,
        doc=entry.text("doc", ""),
        kinds=tuple(Kind(kind, kinds.text(kind), kind in urgent) for kind in kinds.table),
        fields=tuple(_field(fields.child(field), field) for field in fields.table),
        deduplicate=entry.flag("deduplicate", True),
    )


def _field(entry: Entry, name: str) -> Field:
    if not NAME.fullmatch(name):
        entry.refuse(None, "is not a field name; allowed are a-z, 0-9 and _, a letter first, up to 63")
    if name in RESERVED_FIELDS:
        entry.refuse(None, f"is a field of every event; reserved are {', '.join(RESERVED_FIELDS)}")
    field_type = entry.choice("type", get_args(FieldType))
    extra = {"number": ("scale",), "category": ("categories",)}.get(field_type, ())
    entry.only("type", "unit", "doc", *extra, why=f" (type {field_type})")
    categories = entry.texts("categories") if field_type == "category" else ()
    if field_type == "category" and not 1 <= len(categories) <= MAX_CATEGORIES:
        entry.refuse("categories", f"has {len(categories)} entries; allowed are 1 to {MAX_CATEGORIES}")
    return Field(
        name=name,
        type=field_type,
        unit=entry.some_text("unit", "1"),
        scale=entry.integer("scale", 1, 1, 1_000_000) if field_type == "number" else 1,
        categories=categories,
        doc=entry.text("doc", ""),
    )


def _live(entry: Entry, kinds: list[str]) -> Live:
    entry.only("start", "end", "idle_after")
    start = entry.choices("start", kinds, "kind", ())
    end = entry.choices("end", kinds, "kind", ())
    if both := set(start) & set(end):
        entry.refuse("end", f"= {sorted(both)!r} is in start too; a kind begins or ends, not both")
    idle = entry.duration("idle_after", None, "1d", "3650d") if entry.has("idle_after") else None
    return Live(start, end, idle)


def _eligible(entry: Entry) -> Eligible:
    entry.only("min_tenure")
    return Eligible(entry.duration("min_tenure", "0s", "0s", "3650d"))


def _label(entry: Entry, topics: tuple[EventTopic, ...]) -> Label:
    label_type = entry.choice("type", get_args(LabelType))
    extra = ("field", "grace") if label_type == "lapse" else ()
    entry.only("type", "of", "horizon", *extra, why=f" (type {label_type})")
    of = entry.some_choices("of", [kind.name for topic in topics for kind in topic.kinds], "kind")
    horizon = entry.whole_days("horizon", "1d", "365d")
    if label_type != "lapse":
        return Label(label_type, of, horizon)
    field = check_fields(entry, topics, of, ("time",))
    return Label(label_type, of, horizon, entry.duration("grace", "0s", "0s", "365d"), field)


def _alerts(root: Entry) -> tuple[Alert, ...]:
    alerts: list[Alert] = []
    for entry in root.items("alert"):
        entry.only("name", "doc", "open_above", "close_below", "cool_down", "reasons")
        alert = _alert(entry)
        if any(alert.name == other.name for other in alerts):
            entry.refuse("name", f"= {alert.name!r} is taken by another alert")
        alerts.append(alert)
    return tuple(alerts)


def _alert(entry: Entry) -> Alert:
    value = entry.table.get("open_above", "threshold")
    if isinstance(value, str) and value != "threshold":
        entry.refuse("open_above", f'= {value!r} must be "threshold" or a number from 0 to 1')
    return Alert(
        name=entry.name(),
        open_above=None if value == "threshold" else entry.number("open_above", None, 0.0, 1.0),
        close_below=entry.number("close_below", 0.7, 0.0, 1.0),
        cool_down_ms=entry.duration("cool_down", "14d", "0s", "3650d"),
        reasons=entry.integer("reasons", 3, 0, 10),
    )


def _watch(entry: Entry) -> Watch:
    entry.only("step", "psi_threshold", "js_threshold", "cool_down", "min_rows", "performance_margin")
    step_ms = entry.duration("step", "1h", "1m", "1d")
    if 86_400_000 % step_ms:
        entry.refuse("step", f'= "{entry.table["step"]}" does not divide a day; allowed are 1m, 5m, 15m, 1h, 6h, 1d')
    default = Watch()
    return Watch(
        step_ms=step_ms,
        psi_threshold=entry.number("psi_threshold", default.psi_threshold, 0.0, 100.0),
        js_threshold=entry.number("js_threshold", default.js_threshold, 0.0, 1.0),
        cool_down_ms=entry.duration("cool_down", "30d", "0s", "3650d"),
        min_rows=entry.integer("min_rows", default.min_rows, 1, 1_000_000_000),
        performance_margin=entry.number("performance_margin", default.performance_margin, 0.0, 1.0),
    )


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of what the file says: no comments, docs or sources; topics, kinds and fields keep their order."""
    kept = {key: value for key, value in content.items() if key not in ("source", "topics")}
    topics = [[name, _topic_content(topic)] for name, topic in content["topics"].items()]
    canonical = json.dumps([topics, _without_docs(kept)], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _topic_content(topic: Mapping[str, Any]) -> dict[str, Any]:
    fields = [[name, _without_docs(field)] for name, field in topic.get("fields", {}).items()]
    rest = {key: value for key, value in topic.items() if key != "doc"}
    return rest | {"kinds": list(topic["kinds"]), "fields": fields}


def _without_docs(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_docs(item) for key, item in value.items() if key != "doc"}
    if isinstance(value, list):
        return [_without_docs(item) for item in value]
    return value
