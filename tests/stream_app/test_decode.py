"""Bytes to columns: equal to fastavro's reading, every bad record with its reason, no neighbour disturbed."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import Codec
from schemas.errors import CodecError
from schemas.reasons import MAX_EVENT_BYTES, NEWEST_MS, OLDEST_MS, REASON_INDEX, REASONS
from schemas.registry import FileRegistry
from schemas.workload import Workload
from schemas.workload_parse import parse_workload
from stream_app import opcodes as op
from stream_app.columns import Columns, columns_of
from stream_app.decode import TopicDecoder
from stream_app.plan import Plan
from stream_app.spans import RecordSpan
from tests.oracles import DAY_MS, Event, hash_text, scaled
from tests.streams import new_task, random_events
from tests.workloads import named_workload

LAPSE, CHURN = named_workload("lapse"), named_workload("subscription_churn")
NOW = 20_200 * DAY_MS


def decoder_of(workload: Workload, topic: str) -> TopicDecoder:
    plan = Plan.from_workload(workload)
    source = [t.name for t in workload.topics].index(topic)
    return TopicDecoder(plan, source, Codec(FileRegistry.for_workload(workload)))


PAID, SEEN, USAGE = decoder_of(LAPSE, "paid"), decoder_of(LAPSE, "seen"), decoder_of(CHURN, "usage")


def span_of(values: list[bytes | None], keys: list[bytes | None], stamp: int = NOW, first: int = 40) -> RecordSpan:
    n = len(values)
    return RecordSpan(np.arange(first, first + n), np.full(n, stamp, np.int64), keys, values)


def event(customer: str = "C1", **changes: Any) -> Event:
    return {"event_id": "e1", "customer_id": customer, "event_time_ms": NOW, "kind": "period_paid"} | changes


def reason(columns: Columns, i: int) -> str:
    """Why record i is refused, or ``ok``."""
    status = int(columns.status[i])
    return REASONS[status - op.REFUSED] if status >= op.REFUSED else "ok"


# ---- good records ---------------------------------------------------------------------------------------

texts = st.text(max_size=12)
times = st.integers(NOW - 4 * DAY_MS, NOW)
records = st.fixed_dictionaries(
    {
        "event_id": texts,
        "customer_id": st.text(min_size=1, max_size=4),
        "event_time_ms": times,
        "known_time_ms": st.one_of(st.none(), st.integers(NOW, NOW + 600_000)),
        "kind": st.sampled_from(["visit", "purchase", "complaint"]),
        "pages": st.one_of(st.none(), st.integers(-(2**40), 2**40)),
        "price": st.one_of(st.none(), st.floats(-1e10, 1e10)),
        "place": st.one_of(st.none(), texts, st.sampled_from(["shop", "web", "Zürich"])),
    }
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records, min_size=1, max_size=8))
def test_good_records_read_as_fastavro_reads_them(events: list[Event]) -> None:
    values = [SEEN.codec.encode("seen", e) for e in events]
    columns = SEEN.decode(span_of(list(values), [e["customer_id"].encode() for e in events])).columns
    fields = LAPSE.topic("seen").fields
    first_kind = SEEN.plan.first_kind[SEEN.source]
    for i, value in enumerate(values):
        read = SEEN.codec.decode(value)
        assert reason(columns, i) == "ok"
        assert columns.event_time[i] == read["event_time_ms"]
        assert columns.known_time[i] == (NOW if read["known_time_ms"] is None else read["known_time_ms"])
        assert columns.kind[i] - first_kind == ["visit", "purchase", "complaint"].index(read["kind"])
        assert columns.id_hash[i] == hash_text(read["event_id"])
        assert columns.key_hash[i] == hash_text(read["customer_id"])
        at, length = int(columns.key_at[i]), int(columns.key_len[i])
        assert columns.keys[at : at + length].tobytes().decode() == read["customer_id"]
        kept = [op.NONE if v is None else v for v in (scaled(f, read[f.name]) for f in fields)]
        assert columns.values[i, : len(fields)].tolist() == kept


def test_columns_of_a_batch_are_those_of_its_bytes() -> None:
    """Recordings and streams see the same numbers, whatever is refused among them."""
    from schemas.batch_codec import BatchEncoder

    for name in ("subscription_churn", "lapse", "silence"):
        workload = named_workload(name)
        plan = Plan.from_workload(workload)
        for batch in random_events(workload, 400, 30, 5, late_ms=2 * workload.lateness_ms):
            event_time, known_time = batch.event_time_ms.copy(), batch.known_time_ms.copy()
            event_time[:3] = OLDEST_MS - 1, NEWEST_MS + 1, 0
            known_time[5] = event_time[5] - 600_001
            batch = replace(batch, event_time_ms=event_time, known_time_ms=known_time)
            numbers = [f.name for f in workload.topic(batch.topic).fields if f.type == "number"]
            for field in numbers:
                batch.values[field][7] = 1e300
            batch.customer_id[9] = "x" * 300
            decoder = decoder_of(workload, batch.topic)
            keys = [str(customer).encode() for customer in batch.customer_id]
            ours = columns_of(plan, batch)
            theirs = decoder.decode(span_of(list(BatchEncoder(workload).encode(batch)), list(keys), first=0)).columns
            assert ours.status.tolist() == theirs.status.tolist()
            assert len(set(ours.status.tolist())) >= 5
            good = ours.status == op.PENDING
            for column in ("source", "event_time", "known_time", "kind", "id_hash", "key_hash", "values", "offset"):
                assert np.array_equal(getattr(ours, column)[good], getattr(theirs, column)[good]), column


# ---- bad records ----------------------------------------------------------------------------------------

GOOD = PAID.codec.encode("paid", event(price=12.5, paid_until=NOW + DAY_MS, months=1))


def body(*parts: bytes) -> bytes:
    return b"\0" + PAID.schema_id.to_bytes(4, "big") + b"".join(parts)


def varint(value: int) -> bytes:
    """Zigzag varint of a long."""
    n, out = (value << 1) ^ (value >> 63), bytearray()
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def text(value: bytes) -> bytes:
    return varint(len(value)) + value


def paid(**changes: Any) -> bytes:
    """A record written by hand, so that it may break every rule; None leaves a field null."""
    v: dict[str, Any] = {"event_id": b"e1", "customer": b"C1", "time": NOW, "known": None, "kind": 0}
    v |= {"price": None, "until": None, "months": None} | changes
    parts = [text(v["event_id"]), text(v["customer"]), varint(v["time"])]
    parts.append(b"\0" if v["known"] is None else b"\2" + varint(v["known"]))
    parts.append(varint(v["kind"]))
    parts.append(b"\0" if v["price"] is None else b"\2" + struct.pack("<d", v["price"]))
    parts.append(b"\0" if v["until"] is None else b"\2" + varint(v["until"]))
    parts.append(b"\0" if v["months"] is None else b"\2" + varint(v["months"]))
    return body(*parts)


LATENESS = LAPSE.lateness_ms
BAD: list[tuple[str, bytes | None, bytes | None]] = [
    ("null_key", GOOD, None),
    ("null_value", None, b"C1"),
    ("too_large", GOOD + b"x" * MAX_EVENT_BYTES, b"C1"),
    ("wrong_magic", b"", b"C1"),
    ("wrong_magic", b"\0\0\0", b"C1"),
    ("wrong_magic", b"{json}", b"C1"),
    ("wrong_magic", b"\1" + GOOD[1:], b"C1"),
    ("unknown_schema", b"\0\0\0\0\7" + GOOD[5:], b"C1"),
    ("unknown_schema", SEEN.codec.encode("seen", event(kind="visit")), b"C1"),  # another topic's
    ("unknown_schema", PAID.codec.encode("clock", {"event_id": "c", "day": 1, "time_ms": 1}), b"C1"),
    ("garbage", GOOD[:-1], b"C1"),
    ("garbage", GOOD[:5], b"C1"),
    ("garbage", body(b"\xff" * 11), b"C1"),  # a varint that does not end
    ("garbage", body(varint(-5)), b"C1"),  # a text of negative length
    ("garbage", body(varint(2**62), b"abc"), b"C1"),  # a text that is longer than all there is
    ("garbage", paid(event_id=b"\xff\xfe"), b"C1"),  # no UTF-8
    ("garbage", paid(customer=b"\xed\xa0\x80"), b"\xed\xa0\x80"),  # a surrogate
    ("garbage", paid().replace(varint(NOW) + b"\0", varint(NOW) + b"\4"), b"C1"),  # third branch of a pair
    ("trailing_bytes", GOOD + b"\0", b"C1"),
    ("unknown_kind", paid(kind=2), b"C1"),
    ("unknown_kind", paid(kind=-1), b"C1"),
    ("not_finite", paid(price=math.nan), b"C1"),
    ("not_finite", paid(price=math.inf), b"C1"),
    ("out_of_range", paid(price=2.0**40), b"C1"),  # times 100
    ("out_of_range", paid(price=1e308), b"C1"),
    ("out_of_range", paid(months=2**40 + 1), b"C1"),
    ("out_of_range", paid(months=-(2**63)), b"C1"),
    ("too_old", paid(until=OLDEST_MS - 1), b"C1"),
    ("in_future", paid(until=NEWEST_MS + 1), b"C1"),
    ("key_mismatch", GOOD, b"C2"),
    ("key_mismatch", GOOD, b"C11"),
    ("key_mismatch", GOOD, b""),
    ("key_mismatch", paid(customer=b""), b""),
    ("key_too_long", paid(customer=b"x" * 17), b"x" * 17),
    ("too_old", paid(time=0), b"C1"),
    ("too_old", paid(known=OLDEST_MS - 1), b"C1"),
    ("too_old", paid(time=-(2**63)), b"C1"),
    ("in_future", paid(time=NEWEST_MS + 1), b"C1"),
    ("in_future", paid(time=2**63 - 1), b"C1"),
    ("in_future", paid(known=NEWEST_MS + 1), b"C1"),
    ("in_future", paid(time=NOW + 600_001), b"C1"),
    ("too_late", paid(time=NOW - LATENESS - 1), b"C1"),
    ("too_late", paid(time=NOW, known=NOW + LATENESS + 1), b"C1"),
]
EDGES = [
    paid(time=NOW + 600_000),
    paid(time=NOW - LATENESS),
    paid(until=OLDEST_MS, months=2**40),
    paid(until=NEWEST_MS, months=-(2**40)),
    paid(price=2.0**40 / 100),
    paid(event_id="𝄞€ü".encode()),
]


@pytest.mark.parametrize(("why", "value", "key"), BAD)
def test_a_bad_record_gets_its_reason_and_disturbs_nobody(why: str, value: bytes | None, key: bytes | None) -> None:
    alone = PAID.decode(span_of([GOOD, GOOD], [b"C1", b"C1"])).columns
    decoded = PAID.decode(span_of([GOOD, value, GOOD], [b"C1", key, b"C1"]))
    found = decoded.columns

    assert [reason(found, i) for i in range(3)] == ["ok", why, "ok"]
    for column in ("event_time", "known_time", "kind", "id_hash", "key_hash", "key_len", "values"):
        assert np.array_equal(getattr(found, column)[[0, 2]], getattr(alone, column)), column
    [refused] = decoded.refused.values()
    assert (refused.offset, refused.key, refused.value, refused.reason) == (41, key, value, why)


@pytest.mark.parametrize("value", EDGES)
def test_what_just_fits_is_taken(value: bytes) -> None:
    assert reason(PAID.decode(span_of([value], [b"C1"])).columns, 0) == "ok"


def test_the_longest_record_and_the_longest_key_are_taken() -> None:
    size = MAX_EVENT_BYTES - len(paid(event_id=b"")) - 2
    values = [paid(event_id=b"x" * size), paid(event_id=b"x" * (size + 1)), paid(customer=b"x" * 16)]
    columns = PAID.decode(span_of(list(values), [b"C1", b"C1", b"x" * 16])).columns
    assert len(values[0]) == MAX_EVENT_BYTES
    assert [reason(columns, i) for i in range(3)] == ["ok", "too_large", "ok"]


def test_every_reason_of_the_list_is_given_here_or_by_the_state() -> None:
    assert {why for why, _, _ in BAD} | {"misrouted"} == set(REASONS)


# ---- other schemas --------------------------------------------------------------------------------------


def older_lapse() -> Workload:
    """The workload before ``months`` and ``refunded`` came."""
    text = LAPSE.text.replace('months = { type = "integer" }', "").replace(', refunded = ""', "")
    for line in ('urgent = ["refunded"]', ', "refunded"', '[[feature]]\nname = "complaints"', 'type = "open"'):
        text = text.replace(line, "")
    return parse_workload(text.replace('of = ["complaint"]\nclosed_by = ["refunded"]\n', ""), "older.toml")


def test_records_of_an_older_schema_are_read_by_the_codec() -> None:
    older = older_lapse()
    codec = Codec(FileRegistry.for_workload(LAPSE, [older]))
    decoder = TopicDecoder(PAID.plan, PAID.source, codec)
    old = Codec(FileRegistry.for_workload(older)).encode("paid", event(price=3.25))
    assert old[:5] != GOOD[:5]
    values = [GOOD, old, old + b"!", old[:-1], old.replace(struct.pack("<d", 3.25), struct.pack("<d", math.nan)), GOOD]
    decoded = decoder.decode(span_of(list(values), [b"C1"] * 6))

    expected = ["ok", "ok", "trailing_bytes", "garbage", "not_finite", "ok"]
    assert [reason(decoded.columns, i) for i in range(6)] == expected
    assert decoded.columns.values[1].tolist() == [325, op.NONE, op.NONE]
    assert [refused.value for refused in decoded.refused.values()] == values[2:5]
    assert all(refused.detail for refused in decoded.refused.values())


# ---- fuzz -----------------------------------------------------------------------------------------------


def mutated(value: bytes, random: np.random.Generator) -> bytes:
    """Some bytes changed, cut out, doubled or put in."""
    data = bytearray(value)
    for _ in range(random.integers(1, 4)):
        at, size = int(random.integers(0, len(data) + 1)), int(random.integers(1, 9))
        how = random.integers(0, 5)
        if how == 0 and at < len(data):
            data[at] ^= 1 << int(random.integers(0, 8))
        elif how == 1:
            data[at : at + size] = random.bytes(size)
        elif how == 2:
            del data[at : at + size]
        elif how == 3:
            data[at:at] = bytes(data[at : at + size])
        else:
            data[at:at] = random.choice(
                [b"\xff" * 9, b"\x80" * 10 + b"\1", b"\0", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1"]
            )
    return bytes(data)


def decoded_or_refused(value: bytes) -> tuple[dict[str, Any] | None, str]:
    """(record, "") of a value that the codec reads, (None, reason) of one that it does not."""
    try:
        return SEEN.codec.decode(value, "seen"), ""
    except CodecError as refused:
        return None, refused.reason


def test_twenty_thousand_damaged_records_are_read_as_fastavro_reads_them() -> None:
    """What fastavro refuses is refused, what it reads is read alike; the good neighbours stand as they were."""
    random = np.random.default_rng(11)
    good = [
        SEEN.codec.encode(
            "seen", event(kind="visit", pages=int(p), price=float(p) / 3, place="Zürich", event_id=f"e-{p}")
        )
        for p in random.integers(-(2**36), 2**36, 10)
    ]
    n = 20_000
    values = [good[i // 2 % 10] if i % 2 else mutated(good[i // 2 % 10], random) for i in range(2 * n)]
    keys = [b"C1"] * (2 * n)
    columns = SEEN.decode(span_of(list(values), list(keys))).columns
    alone = SEEN.decode(span_of(list(good), [b"C1"] * 10)).columns

    which = np.arange(n) % 10
    for column in ("status", "event_time", "known_time", "kind", "id_hash", "key_hash", "key_len", "values"):
        assert np.array_equal(getattr(columns, column)[1::2], getattr(alone, column)[which]), column
    n_read = 0
    for i in range(0, 2 * n, 2):
        found = reason(columns, i)
        read, refusal = decoded_or_refused(values[i])
        if read is None:
            assert found in (refusal, "garbage", "unknown_kind"), (values[i], found)
            continue
        if found in ("garbage", "unknown_kind"):  # fastavro wraps long numbers around and counts a kind -1 from behind
            assert SEEN.codec.encode("seen", read) != values[i]
            continue
        assert found not in ("wrong_magic", "unknown_schema", "trailing_bytes", "not_finite")
        if found == "ok":
            n_read += 1
            fields = LAPSE.topic("seen").fields
            kept = [op.NONE if v is None else v for v in (scaled(f, read[f.name]) for f in fields)]
            assert columns.values[i, : len(fields)].tolist() == kept
            assert columns.event_time[i] == read["event_time_ms"]
    assert 0 < n_read < n


def test_a_task_accounts_for_every_damaged_record() -> None:
    random = np.random.default_rng(12)
    task = new_task(USAGE.plan)
    good = [USAGE.codec.encode("usage", event(f"C{i}", kind="login", event_id=f"e{i}")) for i in range(50)]
    for at in range(0, 20_000, 1000):
        values: list[bytes | None] = [mutated(good[i % 50], random) if i % 3 else good[i % 50] for i in range(1000)]
        keys: list[bytes | None] = [None if random.random() < 0.01 else b"C%d" % (i % 50) for i in range(1000)]
        task.offer(0, span_of(values, keys, first=at), at + 1000)
    empty = [float("inf")] * USAGE.plan.n_sources
    while task.step(empty, float("inf")):
        pass

    accounting = task.accounting
    assert accounting.n_in == 20_000 == accounting.applied + accounting.duplicate + accounting.n_refused
    assert accounting.adds_up()
    assert accounting.applied >= 20_000 // 3 * 0.98
    letters = [
        task.codec.decode(value) for block in task.outputs.take() if block.topic == "dead-letters" for _, value in block
    ]
    assert len(letters) == accounting.n_refused
    counted = np.bincount([REASON_INDEX[letter["reason"]] for letter in letters], minlength=len(REASONS))
    assert {REASONS[i]: int(n) for i, n in enumerate(counted) if n} == accounting.refused
    assert len({letter["event_id"] for letter in letters}) == len(letters)
