"""A small company whose customers grow silent or fail to pay before they cancel, and ways to put it somewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from schemas.batch_codec import BatchEncoder, keys_of
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.lake import Lake, LakeSlice
from schemas.lake_table import table_of
from schemas.partition import partition_of
from schemas.settings import Settings
from schemas.topics import topic_for
from schemas.workload import Workload, load_workload

FIRST_DAY = 19_700  # 2023-12-09


@pytest.fixture(scope="session")
def workload() -> Workload:
    return load_workload("subscription_churn")


@pytest.fixture(scope="session")
def company() -> Callable[..., list[EventBatch]]:
    return make_company


@pytest.fixture(scope="session")
def send() -> Callable[[Settings, Workload, Sequence[EventBatch]], None]:
    return send_events


@pytest.fixture(scope="session")
def fill() -> Callable[[Lake, Workload, Sequence[EventBatch]], None]:
    return fill_lake


def make_company(
    workload: Workload,
    n_customers: int = 400,
    n_days: int = 200,
    seed: int = 0,
    signal: bool = True,
    drift_day: int = 1 << 20,
) -> list[EventBatch]:
    """Batches by day of known time; with `signal` leavers go silent, or payments fail, about three weeks before.

    Who leaves after `drift_day` does neither, but opens tickets. New customers keep coming.
    """
    rng = np.random.default_rng(seed)
    events: dict[str, list[tuple[int, str, str]]] = {"usage": [], "billing": [], "support": []}
    for c in range(n_customers):
        customer, start = f"customer-{c}", int(rng.integers(0, max(20, n_days - 120)))
        leaves = start + int(rng.exponential(150)) + 20
        warned = leaves - int(rng.integers(10, 32)) if signal else leaves
        silent_from = warned if c % 3 == 0 and leaves < drift_day else leaves
        events["billing"].append((_ms(rng, start), customer, "subscribe"))
        if leaves < n_days:
            events["billing"].append((_ms(rng, leaves), customer, "cancel"))
        for day in range(max(warned, start), min(leaves, n_days)):
            if rng.random() < 0.2 and leaves >= drift_day:
                events["support"].append((_ms(rng, day), customer, "ticket_opened"))
            elif rng.random() < 0.2 and c % 3 and leaves < drift_day:
                events["billing"].append((_ms(rng, day), customer, "payment_failed"))
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


def send_events(settings: Settings, workload: Workload, batches: Sequence[EventBatch]) -> None:
    """Publish batches to their topics, keyed and partitioned as every producer does."""
    producer, encoder = Producer(settings.kafka_config()), BatchEncoder(workload)
    for batch in batches:
        name = topic_for(batch.topic, workload, settings).name
        for key, value in zip(keys_of(batch), encoder.encode(batch), strict=True):
            producer.produce(name, value=value, key=key, partition=partition_of(key, settings.partitions))
            producer.poll(0)
    assert producer.flush(30) == 0
