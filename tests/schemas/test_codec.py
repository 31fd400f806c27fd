"""Bytes are a record or a reason; the compiled writer and fastavro write the same bytes."""

from __future__ import annotations

import io
import random
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro import RECORD_NAMES, record_schema
from schemas.batch_codec import BatchEncoder, keys_of
from schemas.codec import Codec
from schemas.errors import CodecError, SchemaError
from schemas.events import NO_TIME_MS, EventBatch
from schemas.reasons import MAX_EVENT_BYTES, REASONS
from schemas.registry import FileRegistry
from schemas.workload import EventTopic, load_workload
from schemas.workload_parse import parse_workload

W = load_workload("subscription_churn")
REGISTRY = FileRegistry.for_workload(W)
CODEC = Codec(REGISTRY)
ENCODER = BatchEncoder(W, REGISTRY)
TIMED = parse_workload(
    W.text.replace("[topics.billing.fields]", '[topics.billing.fields]\npaid_until = { type = "time" }')
)

LOGIN: dict[str, Any] = {
    "event_id": "e1", "customer_id": "c1", "event_time_ms": 1_700_000_000_000, "known_time_ms": None,
    "kind": "login", "minutes": 1.5, "actions": None,
}  # fmt: skip


def value_of(kind: Any, rng: random.Random) -> Any:
    """A random value of an Avro type."""
    if isinstance(kind, list):
        return value_of(rng.choice(kind), rng)
    if isinstance(kind, dict):
        if kind["type"] == "record":
            return {field["name"]: value_of(field["type"], rng) for field in kind["fields"]}
        if kind["type"] == "enum":
            return rng.choice(kind["symbols"])
        if kind["type"] == "array":
            return [value_of(kind["items"], rng) for _ in range(rng.randrange(4))]
        return value_of(kind["type"], rng)
    numbers = {"long": rng.randrange(-(2**60), 2**60), "int": rng.randrange(-9, 9), "float": rng.randrange(64) / 64}
    others = {
        "null": None,
        "double": rng.random(),
        "string": rng.choice(["", "é", "x" * 200]),
        "bytes": rng.randbytes(5),
    }
    return (numbers | others)[kind]


@pytest.mark.parametrize("name", RECORD_NAMES)
def test_every_record_of_ours_survives_the_round_trip(name: str) -> None:
    rng = random.Random(name)
    for _ in range(50):
        record = value_of(record_schema(name), rng)
        data = CODEC.encode(name, record)
        assert data[:5] == b"\0" + REGISTRY.named(name).schema_id.to_bytes(4, "big")
        assert CODEC.decode_named(data) == (name, record)


def test_the_body_is_what_fastavro_reads_with_the_published_schema() -> None:
    data = CODEC.encode("usage", LOGIN)
    read = fastavro.schemaless_reader(io.BytesIO(data[5:]), dict(REGISTRY.named("usage").definition), None)
    assert isinstance(read, dict)
    assert (read["kind"], read["minutes"], read["event_time_ms"].year) == ("login", 1.5, 2023)


def test_an_absent_optional_field_is_null_and_an_unknown_one_is_refused() -> None:
    short = {key: LOGIN[key] for key in ("event_id", "customer_id", "event_time_ms", "kind")}
    assert CODEC.decode(CODEC.encode("usage", short)) == short | {
        "known_time_ms": None,
        "minutes": None,
        "actions": None,
    }
    for wrong in (LOGIN | {"minuets": 1.0}, LOGIN | {"kind": "logn"}, LOGIN | {"event_id": 5}, {}):
        with pytest.raises(CodecError, match="garbage"):
            CODEC.encode("usage", wrong)


GOOD = CODEC.encode("usage", LOGIN)
HEADER = GOOD[:5]
BAD = {
    "nothing": (None, "null_value"),
    "empty": (b"", "wrong_magic"),
    "short": (GOOD[:4], "wrong_magic"),
    "magic": (b"\1" + GOOD[1:], "wrong_magic"),
    "id": (b"\0\0\1\1\1" + GOOD[5:], "unknown_schema"),
    "other schema": (CODEC.encode("clock", {"event_id": "x", "day": 1, "time_ms": 2}), "unknown_schema"),
    "header only": (HEADER, "garbage"),
    "cut": (GOOD[:-3], "garbage"),
    "left over": (GOOD + b"\0", "trailing_bytes"),
    "not UTF-8": (HEADER + b"\x02\xff" + GOOD[8:], "garbage"),
    "length -1": (HEADER + b"\x01" + GOOD[6:], "garbage"),
    "length 2^62": (HEADER + b"\xff" * 8 + b"\x7f", "garbage"),
    "endless number": (HEADER + b"\xff" * 40, "garbage"),
    "kind 99": (GOOD.replace(b"\0\0\2", b"\0\xc6\1\2", 1), "garbage"),
    "too large": (HEADER + bytes(MAX_EVENT_BYTES), "too_large"),
    "not finite": (GOOD[:-9] + b"\0\0\0\0\0\0\xf8\x7f\0", "not_finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_bytes_give_their_reason(case: str) -> None:
    data, reason = BAD[case]
    with pytest.raises(CodecError) as caught:
        CODEC.decode(data, "usage")
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


def reason_of(data: bytes) -> str | None:
    """Why the bytes are refused, None when they are a record."""
    try:
        CODEC.decode(data)
    except CodecError as refused:
        return refused.reason
    return None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(REGISTRY.schemas()), st.binary(max_size=80))
def test_any_bytes_give_a_record_or_a_known_reason(schema: Any, body: bytes) -> None:
    assert reason_of(schema.header + body) in (None, *REASONS)


@pytest.mark.parametrize("at", range(len(GOOD)))
def test_a_flipped_byte_never_escapes_as_another_error(at: int) -> None:
    for bit in range(8):
        changed = bytearray(GOOD)
        changed[at] ^= 1 << bit
        assert reason_of(bytes(changed)) in (None, *REASONS)


def test_an_event_of_an_older_workload_is_read_as_a_current_one() -> None:
    old = Codec(FileRegistry.for_workload(W)).encode("billing", {**LOGIN_OF_BILLING, "amount": 2.0})
    with pytest.raises(CodecError, match="unknown_schema"):
        Codec(FileRegistry.for_workload(TIMED)).decode(old)
    record = Codec(FileRegistry.for_workload(TIMED, older=[W])).decode(old)
    assert (record["amount"], record["paid_until"]) == (2.0, None)


LOGIN_OF_BILLING = {"event_id": "e", "customer_id": "c", "event_time_ms": 1, "kind": "invoice"}

# ---- batches --------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8"), max_size=9)
LONGS = st.integers(-(2**62), 2**62)
WHOLE = st.none() | st.integers(-(2**53), 2**53)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)


def records_of(topic: EventTopic) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Lists of random events of a topic."""
    values = {"number": NUMBERS, "integer": WHOLE, "time": WHOLE, "category": st.none() | TEXTS}
    record = {
        "event_id": TEXTS,
        "customer_id": TEXTS,
        "event_time_ms": LONGS,
        "known_time_ms": st.none() | LONGS,
        "kind": st.sampled_from([kind.name for kind in topic.kinds]),
    } | {field.name: values[field.type] for field in topic.fields}
    return st.lists(st.fixed_dictionaries(record), max_size=6)


@pytest.mark.parametrize("name", [topic.name for topic in TIMED.topics])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_batch_is_written_byte_for_byte_like_its_events(name: str, data: st.DataObject) -> None:
    topic = TIMED.topic(name)
    records = data.draw(records_of(topic))
    registry = FileRegistry.for_workload(TIMED)
    one_by_one = [Codec(registry).encode(name, record) for record in records]
    batch = EventBatch.from_records(topic, records)
    assert BatchEncoder(TIMED).encode(batch) == one_by_one
    assert keys_of(batch) == [record["customer_id"].encode() for record in records]
    assert [Codec(registry).decode(row, name) for row in one_by_one] == batch.to_records(topic)


def usage(**changed: Any) -> EventBatch:
    columns: dict[str, Any] = {
        "event_id": np.array(["a", "b"]), "customer_id": np.array(["c", "d"]), "event_time_ms": [1, 2],
        "known_time_ms": [NO_TIME_MS, 2], "kind": [0, 1], "values": {},
    }  # fmt: skip
    return EventBatch(topic="usage", **(columns | changed))


def test_fixed_width_text_and_absent_columns_are_written() -> None:
    rows = [CODEC.decode(row) for row in ENCODER.encode(usage())]
    assert rows == usage().to_records(W.topic("usage"))
    assert rows[0]["minutes"] is None


REFUSED = {
    "kind": ({"kind": [0, 4]}, "unknown_kind"),
    "negative kind": ({"kind": [-1, 0]}, "unknown_kind"),
    "infinite": ({"values": {"minutes": [1.0, np.inf]}}, "not_finite"),
    "half an action": ({"values": {"actions": [1.0, 0.5]}}, "out_of_range"),
    "inexact action": ({"values": {"actions": [1.0, 2.0**60]}}, "out_of_range"),
    "null id": ({"event_id": np.array(["a", None], dtype=object)}, "garbage"),
    "number as id": ({"event_id": np.array(["a", 7], dtype=object)}, "garbage"),
    "text as number": ({"values": {"minutes": np.array(["a", None], dtype=object)}}, "garbage"),
    "too large": ({"event_id": np.array(["a", "x" * MAX_EVENT_BYTES], dtype=object)}, "too_large"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_batch_that_has_no_bytes_gives_its_reason(case: str) -> None:
    changed, reason = REFUSED[case]
    with pytest.raises(CodecError) as caught:
        ENCODER.encode(usage(**changed))
    assert caught.value.reason == reason


def test_a_batch_of_an_unknown_topic_or_field_is_refused() -> None:
    with pytest.raises(SchemaError, match="there are usage"):
        ENCODER.encode(EventBatch("usag", *([[]] * 5), {}))  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="no value field 'price'"):
        ENCODER.encode(usage(values={"price": [1.0, 2.0]}))
