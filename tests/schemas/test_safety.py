"""Schemas whose decoding is not bounded by the bytes at hand are refused at load."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.avro import RECORD_NAMES, event_schema, record_schema
from schemas.errors import SchemaError
from schemas.registry import FileRegistry, Schema
from schemas.safety import MAX_BRANCHES, MAX_DEPTH, check_safe
from schemas.workload import load_workload


def record(*types: Any, name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": f"f{i}", "type": t} for i, t in enumerate(types)]}


def nested(levels: int) -> Any:
    node: Any = "long"
    for _ in range(levels - 1):
        node = {"type": "array", "items": node}
    return node


EMPTY = record(name="Empty")
UNSAFE = {
    "recursive": (record(["null", "R"]), "recursive"),
    "recursive through an array": (record({"type": "array", "items": "R"}), "recursive"),
    "recursive through another": (record(record("R", name="S")), "recursive"),
    "too deep": (nested(MAX_DEPTH + 1), "deeper than 8"),
    "too deep by name": (
        record(record(nested(5), name="S"), {"type": "array", "items": {"type": "array", "items": "S"}}), "deeper",
    ),
    "too many branches": (
        record([{"type": "fixed", "name": f"F{i}", "size": 1} for i in range(MAX_BRANCHES + 1)]), "17 branches",
    ),
    "array of null": ({"type": "array", "items": "null"}, "no size"),
    "array of empty records": ({"type": "array", "items": EMPTY}, "no size"),
    "array of fixed 0": ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, "no size"),
    "array of records of null": ({"type": "array", "items": record("null", EMPTY)}, "no size"),
    "array of empty by name": (record(EMPTY, {"type": "array", "items": "Empty"}), "no size"),
    "unknown type": (record("lon"), "is no type"),
    "no type": ({"name": "x"}, "is no type"),
    "declared twice": (record(EMPTY, EMPTY), "twice"),
    "no symbols": ({"type": "enum", "name": "E", "symbols": []}, "symbols"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNSAFE)
def test_an_unsafe_schema_is_refused(case: str) -> None:
    definition, says = UNSAFE[case]
    with pytest.raises(SchemaError, match=says):
        check_safe(definition, case)


def test_the_registry_looks_before_it_loads() -> None:
    with pytest.raises(SchemaError, match="recursive"):
        FileRegistry([Schema("x", 1, record(["null", "R"]), False)])


def test_our_own_schemas_are_safe() -> None:
    w = load_workload("subscription_churn")
    for name in RECORD_NAMES:
        check_safe(record_schema(name), name)
    for topic in w.topics:
        check_safe(event_schema(w, topic), topic.name)
    check_safe(nested(MAX_DEPTH), "as deep as allowed")
    check_safe({"type": "map", "values": "null"}, "a map entry has its key")
