"""A small company whose customers grow silent or fail to pay before they cancel, as batches, and a way to put batches into a lake."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow.parquet as pq
import pytest

from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.lake import Lake, LakeSlice
from schemas.lake_table import table_of
from schemas.workload import Workload, load_workload

FIRST_DAY = 19_700  # 2023-12-09


@pytest.fixture(scope="session")
def workload() -> Workload:
    return load_workload("subscription_churn")


@pytest.fixture(scope="session")
def company() -> Callable[..., list[EventBatch]]:
    return make_company


@pytest.fixture(scope="session")
def fill() -> Callable[[Lake, Workload, Sequence[EventBatch]], None]:
    return fill_lake


def make_company(
    workload: Workload, n_customers: int = 400, n_days: int = 200, seed: int = 0, signal: bool = True
) -> list[EventBatch]:
    """Batches by day of known time; with `signal` a leaver goes silent, or has payments fail, about three weeks before."""
    rng = np.random.default_rng(seed)
    events: dict[str, list[tuple[int, str, str]]] = {"usage": [], "billing": []}
    for c in range(n_customers):
        customer = f"customer-{c}"
        start = int(rng.integers(0, 20))
        leaves = start + int(rng.exponential(150)) + 20
        events["billing"].append((_ms(rng, start), customer, "subscribe"))
        if leaves < n_days:
            events["billing"].append((_ms(rng, leaves), customer, "cancel"))
        warned = leaves - int(rng.integers(10, 32))
        silent_from = warned if signal and c % 3 == 0 else leaves
        if signal and c % 3:
            failures = [day for day in range(max(warned, start), min(leaves, n_days)) if rng.random() < 0.2]
            events["billing"] += [(_ms(rng, day), customer, "payment_failed") for day in failures]
        rate = rng.uniform(0.2, 0.9)
        for day in range(start, min(n_days, silent_from)):
            if rng.random() < rate:
                events["usage"].append((_ms(rng, day), customer, "session" if rng.random() < 0.7 else "login"))
    batches = [_batch(workload, topic, rows) for topic, rows in events.items()]
    days = sorted({int(day) for batch in batches for day in np.unique(batch.known_time_ms // DAY_MS)})
    parts = [batch.take(batch.known_time_ms // DAY_MS == day) for day in days for batch in batches]
    return [part for part in parts if len(part)]


def _ms(rng: np.random.Generator, day: int) -> int:
    return (FIRST_DAY + day) * DAY_MS + int(rng.integers(0, DAY_MS))


def _batch(workload: Workload, name: str, rows: list[tuple[int, str, str]]) -> EventBatch:
    topic = workload.topic(name)
    rows = sorted(rows)
    return EventBatch(
        topic=name,
        event_id=np.array([f"{name}-{i}" for i in range(len(rows))], dtype=object),
        customer_id=np.array([customer for _, customer, _ in rows], dtype=object),
        event_time_ms=np.array([ms for ms, _, _ in rows]),
        known_time_ms=np.array([ms for ms, _, _ in rows]),
        kind=np.array([topic.kind_index[kind] for _, _, kind in rows]),
        values={},
    )


def fill_lake(lake: Lake, workload: Workload, batches: Sequence[EventBatch]) -> None:
    """One slice of partition 0 per topic."""
    for topic in workload.topics:
        mine = [batch for batch in batches if batch.topic == topic.name]
        if not mine:
            continue
        whole = EventBatch.concat(mine)
        days, files = whole.event_time_ms // DAY_MS, []
        for day in np.unique(days):
            rows = np.flatnonzero(days == day)
            path = lake.file(topic.name, int(day), 0, 0, len(whole) - 1)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table_of(topic, whole.take(rows), 0, rows), path)
            files.append(f"{path.parent.name}/{path.name}")
        lake.commit(LakeSlice(topic.name, 0, 0, len(whole) - 1, tuple(files), len(whole)))
