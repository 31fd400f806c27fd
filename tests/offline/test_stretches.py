"""Stretches of a lake: the events, refusals and rows of the slow way, bit for bit, and those of the stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offline import stretches
from offline.history import read_history, read_known, read_stretches
from offline.training_set import read_outcomes
from schemas.errors import LakeError
from schemas.events import EventBatch
from schemas.lake import Lake, day_of
from schemas.lake_table import batch_of, lake_schema
from schemas.partition import partitions_of
from schemas.workload import Workload
from stream_app import opcodes as op
from stream_app.columns import Columns, columns_of
from stream_app.plan import Plan
from stream_app.recording import Rows, tick_rows
from tests.lives import tangled_events, with_silences
from tests.offline.lakes import commit, fill
from tests.streams import DAY_MS, Driver, Logs, new_task
from tests.workloads import named_workload

NAMES = ("subscription_churn", "lapse", "random-6")
N_PARTITIONS = 2
DAYS = 45
FIRST = 20_160


def unruly(workload: Workload, seed: int, with_infinities: bool = True) -> list[EventBatch]:
    """Silences, ties, late and too late events, values that are refused, and ids sent twice."""
    random = np.random.default_rng((seed, 3))
    found = []
    for batch in with_silences(tangled_events(workload, 300, 20, seed, days=DAYS), 20, seed, weeks=2):
        late = random.random(len(batch)) < 0.03
        known = batch.known_time_ms + np.where(late, workload.lateness_ms + DAY_MS, 0)
        infinite = random.random(len(batch)) < 0.02
        numbers = [f.name for f in workload.topic(batch.topic).fields if f.type == "number" and with_infinities]
        values = {name: np.where(infinite, np.inf, batch.values[name]) for name in numbers}
        batch = replace(batch, known_time_ms=known, values={**batch.values, **values})
        twice = random.integers(0, len(batch), len(batch) // 20)
        again = batch.take(np.concatenate([np.arange(len(batch)), twice]))
        delay = np.r_[np.zeros(len(batch), np.int64), random.integers(0, 3 * DAY_MS, len(twice))]
        found.append(replace(again, known_time_ms=again.known_time_ms + delay).sort())
    return found


# ---- the slow way: event by event, day by day -----------------------------------------------------------


def slowly(lake: Lake, workload: Workload, until_ms: int, refused: Counter[str]) -> Iterator[EventBatch]:
    """The definition: by day of known time and topic, sorted, the first of equal ids in a log, nothing refused."""
    plan = Plan.from_workload(workload)
    by_day: dict[tuple[int, int], list[tuple[Any, ...]]] = {}
    for source, topic in enumerate(workload.topics):
        for path in lake.files(topic.name, last_day=(until_ms - 1) // DAY_MS + 1):  # known ten minutes early at most
            table = pq.ParquetFile(path).read().cast(lake_schema(topic))
            batch, partition = batch_of(topic, table), table["partition"].to_pylist()
            columns = columns_of(plan, batch, table["offset"].to_numpy())
            for i in range(len(batch)):
                if columns.status[i] != op.PENDING:
                    refused[f"{topic.name}:refused"] += 1
                elif batch.known_time_ms[i] < until_ms:
                    key = (int(batch.known_time_ms[i]), partition[i], int(columns.offset[i]))
                    by_day.setdefault((key[0] // DAY_MS, source), []).append((*key, batch.take([i])))
    seen = set()
    for (_, source), events in sorted(by_day.items()):
        topic, kept = workload.topics[source], []
        for _, partition, _, event in sorted(events, key=lambda e: e[:3]):
            if topic.deduplicate and (source, partition, event.event_id[0]) in seen:
                refused[f"{topic.name}:duplicate"] += 1
                continue
            seen.add((source, partition, event.event_id[0]))
            kept.append(event)
        if kept:
            yield EventBatch.concat(kept)


def same_batch(a: EventBatch, b: EventBatch) -> None:
    assert a.topic == b.topic
    for name in ("event_id", "customer_id", "event_time_ms", "known_time_ms", "kind"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist(), name
    for name, column in a.values.items():
        assert [str(cell) for cell in column] == [str(cell) for cell in b.values[name]], name


def same_columns(a: Columns, b: Columns) -> None:
    for name in Columns.__dataclass_fields__:
        if name not in ("keys", "key_at", "offset"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name
    assert a.customers().to_bytes() == b.customers().to_bytes()


def same_rows(a: Rows, b: Rows) -> None:
    a, b = a.take(a.order()), b.take(b.order())
    assert a.customer_id.tolist() == b.customer_id.tolist()
    for name in ("as_of_ms", "kind"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    assert np.array_equal(a.X.view(np.uint32), b.X.view(np.uint32))


@pytest.mark.parametrize("name", NAMES)
def test_stretches_hold_what_the_slow_way_finds(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workload = named_workload(name)
    plan, lake = Plan.from_workload(workload), Lake(tmp_path)
    fill(lake, workload, unruly(workload, len(name)), N_PARTITIONS, 400)
    until_ms, slow_refused = (FIRST + DAYS - 3) * DAY_MS + 3_600_000, Counter[str]()
    slow = list(slowly(lake, workload, until_ms, slow_refused))
    days = [FIRST + 16, FIRST + 17, FIRST + 32]
    rows = tick_rows(plan, slow, days, event_sample=0.7, seed=3)
    assert len(rows) > 60
    assert any(what.endswith("refused") for what in slow_refused)
    for stretch_events in (60, 1_000_000):
        monkeypatch.setattr(stretches, "STRETCH_EVENTS", stretch_events)
        refused, again = Counter[str](), Counter[str]()
        fast = list(read_known(lake, workload, until_ms, refused))
        for batch, (other, columns) in zip(slow, fast, strict=True):
            same_batch(batch, other)
            same_columns(columns_of(plan, batch), columns)
        found = list(read_stretches(lake, workload, until_ms, again))
        assert sum(map(len, found)) == sum(map(len, slow))
        assert slow_refused == refused == again
        same_rows(rows, tick_rows(plan, found, days, event_sample=0.7, seed=3))
    same_rows(rows, tick_rows(plan, found, days, event_sample=0.7, seed=3))  # a stretch is not used up
    outcomes, span = read_outcomes(workload, found)
    slow_outcomes, slow_span = read_outcomes(workload, slow)
    assert span == slow_span
    asked = rows.customer_id, rows.as_of_ms, 2**62
    labels = slow_outcomes.labels(*asked)
    np.testing.assert_array_equal(outcomes.labels(*asked), labels)
    assert len(np.unique(labels[np.isfinite(labels)])) == 2


def test_rows_from_the_lake_are_those_that_the_stream_took(tmp_path: Path) -> None:
    """Every row of every score in the stream, ticks and events, through logs, spans and partitions."""
    workload = named_workload("subscription_churn")
    plan, lake = Plan.from_workload(workload), Lake(tmp_path)
    made = unruly(workload, 8, with_infinities=False)
    fill(lake, workload, made, N_PARTITIONS, 400)
    logs, taken = Logs(workload, N_PARTITIONS).write(made), []
    for partition in range(N_PARTITIONS):
        taken.append(Driver(logs, new_task(plan, partition, N_PARTITIONS), partition).run().all_rows())
    online = Rows.concat(taken)
    online = online.take(online.kind != op.ENDED)
    offline = tick_rows(plan, read_stretches(lake, workload), logs.clock, event_sample=1.0)
    assert len(online) > 200
    same_rows(online, offline)


def test_an_id_of_another_partition_is_another_event(tmp_path: Path) -> None:
    workload = named_workload("subscription_churn")
    topic, lake, refused = workload.topic("billing"), Lake(tmp_path), Counter[str]()
    ids = np.array(["same", "same", "own"], object)
    names = np.array([f"C{i}" for i in range(60)], object)
    home = partitions_of(names, N_PARTITIONS)
    customers = [names[home == 0][0], names[home == 1][0], names[home == 0][1]]
    moments = 20_160 * DAY_MS + np.arange(3)
    for partition in (0, 1):
        rows = home[[names.tolist().index(c) for c in customers]] == partition
        batch = EventBatch("billing", ids, np.array(customers, object), moments, moments, np.zeros(3), {}).take(rows)
        commit(lake, topic, batch, partition, 0)
    read = [e for batch in read_history(lake, workload, refused=refused) for e in batch.event_id]
    assert read == ["same", "same", "own"]
    assert not refused


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda t: t.set_column(3, "customer_id", pa.array([None] * len(t), pa.string())), "customer_id"),
        (lambda t: t.drop_columns(["event_time_ms"]), "has no column event_time_ms"),
        (lambda t: t.set_column(2, "event_id", pa.array([[1]] * len(t))), "cast"),
    ],
)
def test_a_file_of_another_shape_names_itself(
    broken: Callable[[pa.Table], pa.Table], says: str, tmp_path: Path
) -> None:
    workload = named_workload("subscription_churn")
    lake = Lake(tmp_path)
    fill(lake, workload, unruly(workload, 2), N_PARTITIONS, 400)
    path = lake.files("billing")[0]
    pq.write_table(broken(pq.ParquetFile(path).read()), path)
    with pytest.raises(LakeError, match=rf"{day_of(path.parent.name[10:]) and path.name}.*{says}"):
        list(read_stretches(lake, workload))
