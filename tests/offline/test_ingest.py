"""Every offset reaches the lake exactly once, wherever the process dies."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer

from offline import ingest as ingesting
from offline.errors import IngestError
from offline.ingest import ingest
from schemas import lake_writer
from schemas.errors import TopicError
from schemas.events import EventBatch
from schemas.lake import Lake, LakeSlice
from schemas.lake_table import read_lake
from schemas.partition import partition_of
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.topics import topic_for
from schemas.workload import Workload


class Killed(BaseException):
    """Stands for a process that ends here."""


@pytest.fixture
def sent(settings: Settings, workload: Workload, company: Any, send: Any) -> list[EventBatch]:
    create_topics(settings, workload)
    batches: list[EventBatch] = company(workload, n_customers=40, n_days=60)
    send(settings, workload, batches)
    return batches


def _ids_in_lake(settings: Settings, workload: Workload) -> Counter[str]:
    lake = Lake(settings.lake_dir)
    return Counter(e for topic in workload.topics for e in read_lake(topic, lake.files(topic.name)).event_id)


def _ids_of(batches: list[EventBatch]) -> Counter[str]:
    return Counter(e for batch in batches for e in batch.event_id)


def test_a_second_run_takes_only_what_is_new(
    settings: Settings, workload: Workload, sent: list[EventBatch], send: Any
) -> None:
    assert ingest(settings, workload).n_events == sum(map(len, sent))
    assert ingest(settings, workload).n_slices == 0
    more = sent[-1].take(slice(0, 1))
    send(settings, workload, [more])
    assert ingest(settings, workload).n_events == 1
    assert _ids_in_lake(settings, workload) == _ids_of([*sent, more])


@pytest.mark.parametrize("seed", range(4))
def test_death_at_any_point_leaves_no_duplicate_and_no_hole(
    settings: Settings, workload: Workload, sent: list[EventBatch], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(ingesting, "MAX_WAITING", 200)  # many slices
    write, commit = lake_writer.write_parquet, Lake.commit

    def dying_write(path: Path, table: Any) -> None:
        fate = rng.random()
        if fate < 0.03:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f".{path.name}.tmp").write_bytes(b"PAR1 half a file")
            raise Killed
        write(path, table)
        if fate > 0.97:
            raise Killed

    def dying_commit(self: Lake, done: LakeSlice) -> None:
        fate = rng.random()
        if fate < 0.2:
            raise Killed
        commit(self, done)
        if fate > 0.8:
            raise Killed

    monkeypatch.setattr(lake_writer, "write_parquet", dying_write)
    monkeypatch.setattr(Lake, "commit", dying_commit)
    n_deaths = 0
    while n_deaths < 12:
        try:
            ingest(settings, workload)
            break
        except Killed:
            n_deaths += 1
            expected = _ids_of(sent)
            assert not _ids_in_lake(settings, workload) - expected, "more than was sent"
    monkeypatch.undo()
    ingest(settings, workload)
    assert n_deaths > 0
    assert _ids_in_lake(settings, workload) == _ids_of(sent)
    left = [p for p in Path(settings.lake_dir).rglob("*") if p.suffix == ".tmp"]
    assert not left


def test_a_killed_process_is_continued(
    settings: Settings, workload: Workload, sent: list[EventBatch], settings_env: dict[str, str], repository: Path
) -> None:
    code = (
        "from offline import ingest as i; from schemas.settings import Settings; from schemas.workload import *;"
        "i.MAX_WAITING = 100; i.ingest(Settings.from_env(), load_workload('subscription_churn'))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | settings_env, cwd=repository)
    deadline = time.monotonic() + 60
    commits = Path(settings.lake_dir)
    while not list(commits.glob("*/_commits/*.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    ingest(settings, workload)
    assert _ids_in_lake(settings, workload) == _ids_of(sent)


def test_bad_records_are_counted_and_step_over(settings: Settings, workload: Workload, send: Any, sent: Any) -> None:
    producer = Producer(settings.kafka_config())
    topic = topic_for("billing", workload, settings)
    home = partition_of(b"customer-1", settings.partitions)
    for key, value, partition in (
        (b"customer-1", b"nonsense", home),
        (b"customer-1", b"\0\xff\xff\xff\xffxx", home),
        (b"customer-1", None, home),
        (None, b"\0", home),
    ):
        producer.produce(topic.name, value=value, key=key, partition=partition)
    billing = next(batch for batch in sent if batch.topic == "billing")
    from schemas.batch_codec import BatchEncoder

    value = BatchEncoder(workload).encode(billing)[0]
    right = partition_of(str(billing.customer_id[0]).encode(), settings.partitions)
    producer.produce(topic.name, value=value, key=b"somebody else", partition=right)
    producer.produce(
        topic.name,
        value=value,
        key=str(billing.customer_id[0]).encode(),
        partition=(right + 1) % settings.partitions,
    )
    assert producer.flush(30) == 0
    done = ingest(settings, workload)
    assert done.n_events == sum(map(len, sent))
    assert +done.refused == {"wrong_magic": 2, "unknown_schema": 1, "null_value": 1, "key_mismatch": 1, "misrouted": 1}
    assert ingest(settings, workload).n_slices == 0


def test_a_record_without_known_time_takes_the_brokers(settings: Settings, workload: Workload, send: Any) -> None:
    create_topics(settings, workload)
    from schemas.events import NO_TIME_MS

    now_ms = time.time_ns() // 1_000_000
    batch = EventBatch("billing", ["e"], ["c"], np.array([now_ms]), np.array([NO_TIME_MS]), np.array([0]), {})  # type: ignore[arg-type]
    send(settings, workload, [batch])
    ingest(settings, workload)
    read = read_lake(workload.topic("billing"), Lake(settings.lake_dir).files("billing"))
    assert abs(int(read.known_time_ms[0]) - now_ms) < 60_000


def test_a_lake_ahead_of_the_topic_is_an_error_not_a_hole(
    settings: Settings, workload: Workload, sent: list[EventBatch]
) -> None:
    Lake(settings.lake_dir).commit(LakeSlice("billing", 0, 0, 10_000_000, (), 0))
    with pytest.raises(IngestError, match="billing/0 at offset 10000001"):
        ingest(settings, workload)


def test_a_missing_topic_says_how_to_make_it(settings: Settings, workload: Workload) -> None:
    with pytest.raises(TopicError, match="driftline topics create"):
        ingest(settings, workload)
