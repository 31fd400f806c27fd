"""Ids are a contract: the same on every machine, and never the id of another schema."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.avro import RECORD_NAMES, canonical, event_schema, fingerprint, record_schema
from schemas.errors import SchemaError
from schemas.registry import FIRST_EVENT_ID, FileRegistry, Schema, event_schema_id
from schemas.workload import load_workload
from schemas.workload_parse import parse_workload

W = load_workload("subscription_churn")


def test_ids_of_our_own_records_are_those_written_down() -> None:
    registry = FileRegistry.fixed()
    expected = ["clock", "score", "alert", "drift", "retrain_signal", "model_release", "dead_letter", "summary"]
    assert [registry.named(name).schema_id for name in expected] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert tuple(expected) == RECORD_NAMES


def test_event_ids_follow_from_the_schema_alone() -> None:
    for topic in W.topics:
        schema = event_schema(W, topic)
        expected = FIRST_EVENT_ID + int(fingerprint(schema)[:16], 16) % (2**31 - FIRST_EVENT_ID)
        assert event_schema_id(schema) == expected == FileRegistry.for_workload(W).named(topic.name).schema_id
        assert FIRST_EVENT_ID <= expected < 2**31


def test_a_better_doc_is_the_same_schema_and_a_new_kind_is_not() -> None:
    topic = W.topic("usage")
    better = parse_workload(W.text.replace('"signed in"', '"signed in to the product"'))
    wider = parse_workload(W.text.replace("login =", 'logout = "left", login ='))
    assert event_schema_id(event_schema(better, better.topic("usage"))) == event_schema_id(event_schema(W, topic))
    assert event_schema_id(event_schema(wider, wider.topic("usage"))) != event_schema_id(event_schema(W, topic))


def test_two_schemas_under_one_id_are_refused() -> None:
    one, other = record_schema("clock"), record_schema("score")
    with pytest.raises(SchemaError, match="id 7, which is the id of a"):
        FileRegistry([Schema("a", 7, one, False), Schema("b", 7, other, False)])
    FileRegistry([Schema("a", 7, one, False)], older=[Schema("a", 7, one, False)])


def test_a_name_that_is_not_there_says_what_is() -> None:
    with pytest.raises(SchemaError, match="there are clock, score"):
        FileRegistry.fixed().named("scoer")
    assert FileRegistry.fixed().by_id(12_345) is None


def without_a_doc(node: Any, path: str = "") -> list[str]:
    """Records, enums and fields without a doc."""
    if isinstance(node, list):
        return [p for item in node for p in without_a_doc(item, path)]
    if not isinstance(node, dict):
        return []
    here = f"{path}/{node.get('name', '')}"
    lacks = [here] if "name" in node and not node.get("doc") else []
    return lacks + [p for key in ("fields", "type", "items") for p in without_a_doc(node.get(key), here)]


def test_every_record_enum_and_field_has_a_doc() -> None:
    for schema in FileRegistry.for_workload(W).schemas():
        assert without_a_doc(dict(schema.definition)) == []
        assert "doc" not in canonical(dict(schema.definition)).replace("dead_letter", "")
