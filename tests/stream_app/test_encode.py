"""Score records written as columns are what fastavro reads: every field, for any names, sizes and signs."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from schemas.codec import Codec
from schemas.registry import FileRegistry
from stream_app import opcodes as op
from stream_app.encode_kernel import encode_scores, feature_hash
from stream_app.plan import Plan
from tests.fakes import moody
from tests.lives import tangled_events
from tests.streams import Driver, Logs, new_task
from tests.workloads import named_workload

REASON_OF = {1: "tick", 2: "moved", 3: "band"}


def fnv(x: np.ndarray) -> int:
    """FNV-1a over the row's 32-bit words, signed."""
    h = 0xCBF29CE484222325
    for word in x.view(np.uint32).tolist():
        h = (h ^ word) * 0x100000001B3 & (1 << 64) - 1
    return h - (1 << 64) if h >> 63 else h


def score_id(customer: str, as_of: int, kind: int, stamps: list[int]) -> str:
    """A tick is the only one of its moment; an event's score is told apart by what was applied before it."""
    return f"{customer}@{as_of}/{kind}" + ("" if kind == op.TICK else f".{sum(stamps) + len(stamps)}")


def encoded(
    customers: list[bytes], rows: np.ndarray, scores: np.ndarray, why: np.ndarray, x: np.ndarray, stamps: np.ndarray,
    chosen: np.ndarray, version: str, event_at: int = 32,
) -> list[bytes]:  # fmt: skip
    """Records of ``chosen`` rows; slot i is customer i."""
    row64 = event_at + 2
    s8 = np.zeros(len(customers) * row64 * 8, np.uint8)
    s64 = s8.view(np.int64)
    for slot, customer in enumerate(customers):
        s8[slot * row64 * 8 : slot * row64 * 8 + len(customer)] = np.frombuffer(customer, np.uint8)
        s64[slot * row64 + event_at] = len(customer)
    head = np.frombuffer(Codec(FileRegistry.fixed()).registry.named("score").header, np.uint8)
    out, ends = np.full(len(chosen) * 2000, 0xAA, np.uint8), np.zeros(len(chosen), np.int64)
    size = encode_scores(
        chosen, rows, scores, why, np.array([0.5, 0.25, 0.75]), x, stamps, s64, s8, row64, event_at, head,
        np.frombuffer(version.encode(), np.uint8), np.frombuffer(b"0123456789abcdef", np.uint8), out, ends,
    )  # fmt: skip
    assert size == (ends[-1] if len(ends) else 0)
    assert (out[size:] == 0xAA).all()
    return [out[a:b].tobytes() for a, b in pairwise([0, *ends.tolist()])]


@pytest.mark.parametrize("seed", range(3))
def test_every_record_reads_as_expected(seed: int) -> None:
    random, codec, n = np.random.default_rng(seed), Codec(FileRegistry.fixed()), 300
    names = ["C1", "ü€𝄞", "x" * 63, "y" * 64, "z" * 255, "0"]  # lengths at and beyond one byte of a varint
    customers = [name.encode() for name in names]
    as_of = random.choice([1, 63, 64, 10**12, 4_102_444_800_001], n) + random.integers(0, 9, n)
    rows = np.stack([random.integers(0, len(names), n), as_of, random.integers(0, 3, n)], axis=1)
    scores = np.where(random.random(n) < 0.3, random.choice([0.0, 0.25, 0.5, 0.75, 1.0], n), random.random(n)).astype(
        "f4"
    )
    why = random.integers(0, 4, n)
    x = random.normal(0, 100, (n, 7)).astype(np.float32)
    x[random.random((n, 7)) < 0.2] = np.nan
    stamps = random.choice([-1, 0, 63, 64, 2**31, 2**55], (n, 5))
    chosen = np.flatnonzero(why)
    version = "2025-01-01-ü" * (1 + 9 * seed)

    values = encoded(customers, rows, scores, why, x, stamps, chosen, version)
    assert len(values) == len(chosen) > 100
    for i, value in zip(chosen.tolist(), values, strict=True):
        slot, moment, kind = rows[i].tolist()
        assert codec.decode(value, "score") == {
            "event_id": score_id(names[slot], moment, kind, stamps[i].tolist()),
            "customer_id": names[slot],
            "as_of_ms": moment,
            "row_kind": op.ROW_KINDS[kind],
            "score": float(scores[i]),
            "band": "high" if scores[i] >= [0.5, 0.25, 0.75][kind] else "low",
            "model_version": version,
            "workload_hash": "0123456789abcdef",
            "feature_hash": fnv(x[i]),
            "stamps": stamps[i].tolist(),
            "reason": REASON_OF[int(why[i])],
        }
        assert codec.encode("score", codec.decode(value)) == value


def test_nothing_chosen_writes_nothing() -> None:
    none = np.zeros(0, np.int64)
    empty = (np.zeros((0, 3), np.int64), np.zeros(0, np.float32), none, np.zeros((0, 2), np.float32))
    assert encoded([b"C1"], *empty, np.zeros((0, 1), np.int64), none, "v") == []


def test_the_feature_hash_sees_every_bit() -> None:
    x = np.zeros(4, np.float32)
    hashes = {feature_hash(x)}
    for j in range(4):
        for value in (-0.0, 1.0, np.nextafter(np.float32(1), np.float32(2)), np.nan, -np.nan):
            row = x.copy()
            row[j] = value
            hashes.add(feature_hash(row))
    assert len(hashes) == 1 + 4 * 5


@pytest.mark.parametrize("name", ["subscription_churn", "lapse"])
def test_published_scores_are_those_that_were_scored(name: str) -> None:
    """Through a task: every published record is a scored row, keyed by its customer, with the stamps of its moment."""
    workload = named_workload(name)
    plan = Plan.from_workload(workload)
    driver = Driver(
        Logs(workload).write(tangled_events(workload, 200, 7, 1, days=30)), new_task(plan, schedule=moody(plan))
    )
    rows = driver.run().all_rows()
    scored = Counter(
        (customer, as_of, op.ROW_KINDS[kind], fnv(row))
        for customer, as_of, kind, row in zip(
            rows.customer_id.tolist(), rows.as_of_ms.tolist(), rows.kind.tolist(), rows.X, strict=True
        )
        if kind != op.ENDED
    )
    ticks = {row[:2] for row in scored if row[2] == "tick"}
    offsets: dict[str, list[int]] = {}
    ids = []
    for key, value in driver.records("scores"):
        score = driver.task.codec.decode(value, "score")
        assert key == score["customer_id"].encode()
        found = tuple(score[name] for name in ("customer_id", "as_of_ms", "row_kind", "feature_hash"))
        assert scored[found] > 0
        scored[found] -= 1
        kind = op.ROW_KINDS.index(score["row_kind"])
        assert score["event_id"] == score_id(score["customer_id"], score["as_of_ms"], kind, score["stamps"])
        assert score["workload_hash"] == workload.hash[:16]
        before = offsets.get(score["customer_id"], [-1] * plan.n_sources)
        assert all(a <= b for a, b in zip(before, score["stamps"], strict=True))
        offsets[score["customer_id"]] = score["stamps"]
        ids.append(score["event_id"])
        ticks.discard(found[:2])
    assert not ticks  # every tick is published
    assert len(set(ids)) == len(ids)
    assert driver.records("latest-scores") == driver.records("scores")
