"""One arithmetic: rows of the stream, through bytes and partitions, are those of a recording, bit for bit."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.registry import CPUDispatcher

from producers.simulate import SimulationConfig, simulate
from producers.sources import read_events
from schemas.events import EventBatch
from schemas.partition import partitions_of
from schemas.workload import Workload, load_workload
from stream_app import opcodes as op
from stream_app.plan import Plan
from stream_app.recording import Recorder, Rows, tick_rows
from tests.lives import tangled_events, with_silences
from tests.streams import DAY_MS, Driver, Logs, new_task
from tests.workloads import named_workload


def streamed(plan: Plan, batches: Sequence[EventBatch], n_partitions: int, seed: int = 0) -> tuple[Rows, list[int]]:
    """Every row that the stream scores, and the clock days."""
    logs = Logs(plan.workload, n_partitions).write(batches)
    parts = []
    for partition in range(n_partitions):
        driver = Driver(logs, new_task(plan, partition, n_partitions), seed + partition).run()
        assert driver.task.accounting.applied == driver.task.accounting.n_in
        parts.append(driver.all_rows())
    rows = Rows.concat(parts)
    return rows.take(rows.kind != op.ENDED), logs.clock


def in_order(rows: Rows) -> Rows:
    """By customer, then as they came: the order of one customer's rows is that of its events."""
    return rows.take(np.argsort(rows.customer_id.astype(str), kind="stable"))


def check_equal(online: Rows, offline: Rows) -> None:
    online, offline = in_order(online), in_order(offline)
    assert online.customer_id.tolist() == offline.customer_id.tolist()
    assert np.array_equal(online.as_of_ms, offline.as_of_ms)
    assert np.array_equal(online.kind, offline.kind)
    differ = (online.X.view(np.uint32) != offline.X.view(np.uint32)).any(axis=0)
    assert not differ.any(), np.flatnonzero(differ)


def by_day(batches: Sequence[EventBatch], seed: int) -> list[EventBatch]:
    """The same events as a history is read: topics of a day in any order, days ascending, a day cut into pieces."""
    random = np.random.default_rng(seed)
    pieces = []
    for batch in batches:
        days = batch.known_time_ms // DAY_MS
        for day in np.unique(days).tolist():
            mine = np.flatnonzero(days == day)
            pieces += [(day, batch.take(part)) for part in np.array_split(mine, random.integers(1, 3)) if len(part)]
    order = random.permutation(len({piece[1].topic for piece in pieces}))
    rank = {topic: int(order[i]) for i, topic in enumerate(sorted({piece[1].topic for piece in pieces}))}
    return [piece for _, piece in sorted(pieces, key=lambda p: (p[0], rank[p[1].topic]))]


def check_parity(workload: Workload, batches: Sequence[EventBatch], partitions: Sequence[int] = (1, 3, 8)) -> int:
    """Online in every number of partitions equals offline, ticks of every day and all event rows."""
    plan = Plan.from_workload(workload)
    online, clock = streamed(plan, batches, partitions[0])
    offline = tick_rows(plan, by_day(batches, 1), clock, event_sample=1.0)
    check_equal(online, offline)
    for n in partitions[1:]:
        check_equal(streamed(plan, batches, n, seed=n)[0], offline)
    few = tick_rows(plan, by_day(batches, 2), clock[::7])  # other cut-offs leave no trace in a row
    check_equal(online.take((online.kind == op.TICK) & np.isin(online.as_of_ms // DAY_MS, clock[::7])), few)
    return len(online)


# ---- made-up events -------------------------------------------------------------------------------------


def test_simulated_days() -> None:
    config = SimulationConfig(n_customers=80, n_days=75, start_day=date(2025, 2, 1), seed=3, shuffled_share=0.3)
    days = [batch for day in simulate(config) for batch in day.batches]
    assert check_parity(load_workload("subscription_churn"), days) > 5_000


@pytest.mark.parametrize("name", ["subscription_churn", "lapse", "silence", "random-6", "random-7"])
def test_tangled_events(name: str) -> None:
    workload = named_workload(name)
    batches = with_silences(tangled_events(workload, 400, 20, 7, days=100), 20, 7, weeks=8)
    assert check_parity(workload, batches) > 500


def test_a_sample_of_event_rows_is_part_of_all_of_them() -> None:
    workload = named_workload("subscription_churn")
    plan = Plan.from_workload(workload)
    batches = tangled_events(workload, 600, 15, 8)
    whole = in_order(tick_rows(plan, batches, [], event_sample=1.0))
    some = in_order(tick_rows(plan, batches, [], event_sample=0.3, seed=5))
    again = in_order(tick_rows(plan, batches, [], event_sample=0.3, seed=5))
    rows = {(c, m, k, x.tobytes()) for c, m, k, x in zip(*(vars(whole)[f] for f in vars(whole)), strict=True)}
    chosen = {(c, m, k, x.tobytes()) for c, m, k, x in zip(*(vars(some)[f] for f in vars(some)), strict=True)}
    assert chosen < rows
    assert 0.2 * len(whole) < len(some) < 0.4 * len(whole)
    check_equal(some, again)


# ---- real logs ------------------------------------------------------------------------------------------


def read_log(repository: Path, example: str, folder: str) -> tuple[Workload, list[EventBatch]]:
    data = repository.parent / "shared" / "data" / folder
    if not data.is_dir():
        pytest.skip(f"the log {folder!r} is not at hand: no folder {data}")
    workload = load_workload(repository / "examples" / f"{example}.toml")
    return workload, [batch for day in read_events(workload, data) for batch in day.batches]


def some_of(batches: Sequence[EventBatch], one_in: int, until_day: int | None = None) -> list[EventBatch]:
    """Every ``one_in``-th customer by hash, up to a day."""
    kept = []
    for batch in batches:
        mine = partitions_of(batch.customer_id, one_in) == 0
        if until_day is not None:
            mine &= batch.known_time_ms < until_day * DAY_MS
        kept.append(batch.take(mine))
    return [batch for batch in kept if len(batch)]


def shuffled(batches: Sequence[EventBatch], lateness_ms: int, seed: int) -> list[EventBatch]:
    """The same events, each known at a random moment within the lateness."""
    random = np.random.default_rng(seed)
    whole: dict[str, list[EventBatch]] = {}
    for batch in batches:
        whole.setdefault(batch.topic, []).append(batch)
    found = []
    for topic in whole.values():
        batch = EventBatch.concat(topic)
        delay = np.where(random.random(len(batch)) < 0.3, random.integers(0, lateness_ms, len(batch)), 0)
        found.append(replace(batch, known_time_ms=batch.known_time_ms + delay).sort())
    return found


@pytest.mark.parametrize(
    ("example", "folder", "one_in", "until"),
    [
        ("subscription_usage", "subscription_usage", 24, "2020-05-15"),
        ("online_retail", "online_retail", 60, None),
        ("cdnow", "cdnow", 120, None),
    ],
)
def test_real_logs(repository: Path, example: str, folder: str, one_in: int, until: str | None) -> None:
    workload, batches = read_log(repository, example, folder)
    until_day = None if until is None else (date.fromisoformat(until) - date(1970, 1, 1)).days
    some = shuffled(some_of(batches, one_in, until_day), workload.lateness_ms, 4)
    assert check_parity(workload, some) > 1_500


# ---- nothing is compiled for a workload -----------------------------------------------------------------


def dispatchers() -> dict[str, Any]:
    """Every compiled function of the stream and of the contracts under it."""
    found = {}
    for package in ("stream_app", "schemas"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if "kernel" in module.name:
                for name, value in vars(importlib.import_module(f"{package}.{module.name}")).items():
                    if isinstance(value, CPUDispatcher):
                        found[f"{package}.{module.name}.{name}"] = value
    return found


def test_a_workload_that_nobody_has_seen_compiles_nothing() -> None:
    plan = Plan.from_workload(named_workload("subscription_churn"))
    batches = tangled_events(plan.workload, 200, 9, 1, days=40)
    streamed(plan, batches, 1)
    tick_rows(plan, batches, [20_170], event_sample=1.0)
    before = {name: len(dispatcher.signatures) for name, dispatcher in dispatchers().items()}
    for entry in ("kernel.apply", "kernel.sweep", "decode_kernel.decode_events", "decode_kernel.scale_column"):
        assert before[f"stream_app.{entry}"] == 1, entry  # whatever ran before in this process shares one form too
    assert before["stream_app.decide_kernel.decide"] == 1
    for name in ("lapse", "silence", "random-101", "random-102", "random-103"):
        workload = named_workload(name)
        plan = Plan.from_workload(workload)
        batches = tangled_events(workload, 100, 5, 2, days=30)
        rows, _ = streamed(plan, batches, 2)
        assert len(rows)
        recorder = Recorder(plan, [20_170], event_sample=0.5)
        for batch in batches:
            recorder.update(batch)
        recorder.finish()
    after = {name: len(dispatcher.signatures) for name, dispatcher in dispatchers().items()}
    assert after == before
