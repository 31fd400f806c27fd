"""Avro schemas: derived from a workload for its event topics, read from ``records/*.avsc`` for driftline's own topics.

A schema's identity is its canonical text without docs, so a better sentence is not a new schema.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from schemas.workload import EventTopic, Field, Workload

RECORDS_DIR: Final = Path(__file__).parent / "records"
RECORD_NAMES: Final = (
    "clock", "score", "alert", "drift", "retrain_signal", "model_release", "dead_letter", "summary",
)  # fmt: skip
TIME: Final = {"type": "long", "logicalType": "timestamp-millis"}

_FIELD_TYPES: Final[dict[str, Any]] = {"number": "double", "integer": "long", "time": TIME, "category": "string"}


def event_schema(workload: Workload, topic: EventTopic) -> dict[str, Any]:
    """The Avro schema of an event topic.

    Examples
    --------
    >>> from schemas.workload import load_workload
    >>> w = load_workload("subscription_churn")
    >>> [field["name"] for field in event_schema(w, w.topics[3])["fields"]]
    ['event_id', 'customer_id', 'event_time_ms', 'known_time_ms', 'kind', 'csat']
    """
    title = camel(topic.name)
    return {
        "type": "record",
        "name": title,
        "namespace": f"driftline.{workload.name}.v1",
        "doc": topic.doc or f"Events of topic {topic.name}.",
        "fields": [
            {"name": "event_id", "type": "string", "doc": "Names the event; the same id twice is a duplicate."},
            {"name": "customer_id", "type": "string", "doc": "Whom it is about; also the key of the record."},
            {"name": "event_time_ms", "type": TIME, "doc": "When it happened."},
            {
                "name": "known_time_ms",
                "type": ["null", TIME],
                "default": None,
                "doc": "When it became known; null: the broker's timestamp counts.",
            },
            {"name": "kind", "type": _kind_enum(title, topic), "doc": "What happened."},
            *(_value_field(field) for field in topic.fields),
        ],
    }


def camel(name: str) -> str:
    """``dead_letter`` -> ``DeadLetter``."""
    return "".join(part.capitalize() for part in name.split("_"))


def _kind_enum(title: str, topic: EventTopic) -> dict[str, Any]:
    docs = "; ".join(f"{kind.name}: {kind.doc}" for kind in topic.kinds)
    return {"type": "enum", "name": f"{title}Kind", "symbols": [kind.name for kind in topic.kinds], "doc": docs}


def _value_field(field: Field) -> dict[str, Any]:
    unit = "" if field.unit == "1" else f" [{field.unit}]"
    doc = f"{field.doc or field.name}{unit}"
    return {"name": field.name, "type": ["null", _FIELD_TYPES[field.type]], "default": None, "doc": doc}


@cache
def _record_text(name: str) -> str:
    return (RECORDS_DIR / f"{name}.avsc").read_text(encoding="utf-8")


def record_schema(name: str) -> dict[str, Any]:
    """The Avro schema of one of driftline's own records, of ``RECORD_NAMES``."""
    definition: dict[str, Any] = json.loads(_record_text(name))
    return definition


def canonical(definition: Any) -> str:
    """The text that identifies a schema: keys sorted, no docs, no white space."""
    return json.dumps(_without(definition, "doc"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(definition: Any) -> str:
    """SHA-256 (hex) of the canonical text."""
    return hashlib.sha256(canonical(definition).encode()).hexdigest()


def without_logical_types(definition: Any) -> Any:
    """The same bytes with times as plain integers, which is how the code keeps them."""
    return _without(definition, "logicalType")


def _without(node: Any, key: str) -> Any:
    """A copy of a schema without one attribute; field names are untouched, since they are values."""
    if isinstance(node, dict):
        return {name: _without(item, key) for name, item in node.items() if name != key}
    if isinstance(node, list):
        return [_without(item, key) for item in node]
    return node
