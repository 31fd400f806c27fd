"""The verifier's parts, each against another implementation: the stream's decoder, the oracles of the tests."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from offline.verifier.customer import Customer, Definitions
from offline.verifier.decisions import Decisions
from offline.verifier.duplicates import WINDOW, RecentIds
from offline.verifier.events import Event, EventReader, Record, Refused
from offline.verifier.features import feature_row
from offline.verifier.liveness import is_forgotten, is_live, is_scored
from schemas.codec import Codec
from schemas.reasons import MAX_AHEAD_MS, MAX_SCALED, NEWEST_MS, OLDEST_MS, REASONS
from schemas.registry import FileRegistry
from schemas.workload import Workload
from stream_app import opcodes as op
from stream_app.decode import TopicDecoder
from stream_app.plan import Plan
from stream_app.spans import RecordSpan
from tests import oracles
from tests.lives import tangled_events, with_silences
from tests.workloads import named_workload

DAY_MS = oracles.DAY_MS
NOW = 20_200 * DAY_MS
LAPSE = named_workload("lapse")
CODEC = Codec(FileRegistry.for_workload(LAPSE))
KEY = b"C1"


def seen(**changes: Any) -> bytes:
    record = {"event_id": "e", "customer_id": "C1", "event_time_ms": NOW, "known_time_ms": NOW, "kind": "visit"}
    return CODEC.encode("seen", record | changes)


def read(value: bytes, key: bytes = KEY) -> Event | str:
    """The event, or the reason of its refusal."""
    try:
        return EventReader(LAPSE, 1, CODEC).read(Record(7, NOW, key, value))
    except Refused as refused:
        return refused.reason


def check_alike(values: list[bytes], key: bytes = KEY) -> Counter[str]:
    """Both read the same; returns how often what came out."""
    n, fields = len(values), LAPSE.topics[1].fields
    stamps = np.full(n, NOW, np.int64)
    span = RecordSpan(np.arange(n, dtype=np.int64), stamps, [key] * n, list(values))
    columns = TopicDecoder(Plan.from_workload(LAPSE), 1, CODEC).decode(span).columns
    outcomes: Counter[str] = Counter()
    for i, value in enumerate(values):
        event, status = read(value, key), int(columns.status[i])
        outcomes["read" if isinstance(event, Event) else event] += 1
        if not isinstance(event, Event):
            assert status == op.REFUSED + REASONS.index(event), value
            continue
        assert status == op.PENDING
        kept = [event.values.get(field.name, op.NONE) for field in fields]
        assert columns.values[i, : len(fields)].tolist() == kept
        assert (columns.event_time[i], columns.known_time[i]) == (event.event_time_ms, event.known_time_ms)
        assert oracles.hash_text(event.event_id.decode()) == columns.id_hash[i]
    return outcomes


def test_damaged_records_are_read_as_the_stream_reads_them() -> None:
    random, values = np.random.default_rng(5), []
    for i in range(4_000):
        data = bytearray(seen(pages=i * 977, price=i / 3, place="Zürich", event_id=f"e-{i}"))
        for _ in range(random.integers(0, 3)):
            at, size = int(random.integers(0, len(data) + 1)), int(random.integers(1, 9))
            piece = [b"", random.bytes(size), b"\xff" * 9 + b"\1", b"\x80" * 10, b"\0"][random.integers(0, 5)]
            data[at : at + int(random.integers(0, 3))] = piece
        values.append(bytes(data))
    outcomes = check_alike(values)
    assert {"read", "garbage", "trailing_bytes", "unknown_schema", "wrong_magic"} <= outcomes.keys()
    assert 1_000 < outcomes["read"] < 3_900


def test_every_limit_is_that_of_the_stream() -> None:
    late, ahead = LAPSE.lateness_ms, MAX_AHEAD_MS
    times = [
        {"event_time_ms": NOW - late}, {"event_time_ms": NOW - late - 1}, {"event_time_ms": NOW + ahead},
        {"event_time_ms": NOW + ahead + 1}, {"known_time_ms": None}, {"known_time_ms": OLDEST_MS - 1},
        {"event_time_ms": OLDEST_MS, "known_time_ms": OLDEST_MS}, {"event_time_ms": OLDEST_MS - 1},
        {"event_time_ms": NEWEST_MS, "known_time_ms": NEWEST_MS}, {"event_time_ms": NEWEST_MS + 1},
    ]  # fmt: skip
    largest = MAX_SCALED
    numbers = [
        *({"pages": p} for p in (largest, -largest, largest + 1, -largest - 1, 2**63 - 1, -(2**63))),
        *({"price": p} for p in (0.005, 0.015, 0.025, -0.005, largest / 100, largest / 100 + 1, 1e300, -1e308)),
        *({"place": p} for p in ("shop", "Zürich", "", "elsewhere", None)),
    ]
    values = [seen(**changes) for changes in [*times, *numbers]]
    price = seen(price=12.5)
    values += [price.replace(struct.pack("<d", 12.5), struct.pack("<d", bad)) for bad in (np.nan, np.inf)]
    outcomes = check_alike(values)
    assert {"too_late", "in_future", "too_old", "out_of_range", "not_finite", "read"} == outcomes.keys()
    names = ["c" * n for n in (0, 1, LAPSE.customer_id_max_bytes, LAPSE.customer_id_max_bytes + 1)]
    for name in names:
        check_alike([seen(customer_id=name), seen(customer_id=name + "x")], name.encode())


@pytest.mark.parametrize("gap", [1, WINDOW - 1, WINDOW, WINDOW + 1])
def test_an_id_is_a_duplicate_within_the_window(gap: int) -> None:
    recent = RecentIds()
    assert not recent.is_duplicate(b"a", 5)
    assert recent.is_duplicate(b"a", 5 + gap) == (gap <= WINDOW)
    assert recent.is_duplicate(b"a", 5 + gap + WINDOW)
    assert not recent.is_duplicate(b"b", 5 + gap + WINDOW)


def remembered(workload: Workload, definitions: Definitions, life: list[oracles.Event]) -> Customer:
    customer = Customer(b"C", 0, [-1] * len(workload.topics), Decisions([]))
    for e in life:
        fields = {field.name: oracles.scaled(field, e[field.name]) for field in workload.topic(e["topic"]).fields}
        values = {name: value for name, value in fields.items() if value is not None}
        event = Event(b"C", e["event_id"].encode(), e["event_time_ms"], e["known_time_ms"], e["kind"], values)
        customer.apply(definitions, event)
    return customer


@pytest.mark.parametrize("name", ["subscription_churn", "lapse", "silence", "random-6", "random-7"])
def test_features_and_liveness_are_those_of_the_oracle(name: str) -> None:
    workload = named_workload(name)
    definitions = Definitions(workload)
    batches = with_silences(tangled_events(workload, 300, 6, 7, days=220), 6, 7, weeks=8)
    lives = oracles.by_customer(oracles.in_merge_order(workload, oracles.events_of(workload, batches)))
    random = np.random.default_rng(3)
    for life in lives.values():
        for n in random.integers(1, len(life), 12).tolist():
            known = life[:n]
            newest = max(e["event_time_ms"] for e in known)
            as_of_ms = newest + int(random.choice([1, 5 * DAY_MS, 40 * DAY_MS]))
            customer = remembered(workload, definitions, known)
            mine = np.array(feature_row(workload, customer, as_of_ms)).astype(np.float32)
            theirs = np.array(oracles.features(workload, known, as_of_ms)).astype(np.float32)
            np.testing.assert_array_max_ulp(np.nan_to_num(mine, nan=-1), np.nan_to_num(theirs, nan=-1), 1)
            assert np.array_equal(np.isnan(mine), np.isnan(theirs))
            assert is_live(definitions, customer, as_of_ms) == oracles.is_live(workload, known, as_of_ms)
            assert is_scored(definitions, customer, as_of_ms) == oracles.is_scored(workload, known, as_of_ms)
            day = as_of_ms // DAY_MS
            assert is_forgotten(definitions, customer, day) == oracles.is_forgotten(workload, known, day)


def test_values_of_one_moment_are_kept_the_same_in_any_order() -> None:
    definitions = Definitions(LAPSE)
    first = Event(b"C", b"", NOW, NOW, "visit", {})
    events = [replace(first, event_id=b"e%d" % i, values={"place": i % 3}) for i in range(4)]
    best = max(events, key=lambda e: (oracles.hash_text(e.event_id.decode()), e.values["place"]))
    for order in permutations(events):
        customer = Customer(b"C", 0, [-1, -1], Decisions([]))
        for event in order:
            customer.apply(definitions, event)
        assert [last.value for last in customer.last.values()] == [best.values["place"]]
