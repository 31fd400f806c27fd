"""Events and clock on the embedded broker: every event once, in the right partition, the clock after them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from producers.errors import SinkError
from producers.kafka_sink import CLOCK, ENDS_HEADER, KafkaSink, TopicReader, TopicRecord
from producers.progress import read_progress
from producers.recording import RecordedDay, split_days
from producers.replay import replay
from schemas.codec import Codec
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.partition import partition_of
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.workload import Workload, load_workload

N_EVENTS = 30_000
N_DAYS = 6
FIRST_DAY = 20_000


@pytest.fixture(scope="module")
def workload() -> Workload:
    return load_workload("subscription_churn")


def recorded_days(n: int = N_EVENTS) -> tuple[RecordedDay, ...]:
    """Two topics over some days; event and known times differ."""
    known = FIRST_DAY * DAY_MS + np.arange(n, dtype=np.int64) * (N_DAYS * DAY_MS // n)
    customers = np.array([f"kunde-ü{row % 997}" for row in range(n)], dtype=object)
    kinds = np.zeros(n, dtype=np.int16)
    whole = {
        "usage": {"minutes": np.arange(n, dtype=float), "actions": np.full(n, np.nan)},
        "survey": {"csat": np.full(n, 4.0)},
    }
    batches = []
    for topic, values in whole.items():
        names = np.array([f"{topic}-{row}" for row in range(n)], dtype=object)
        batches.append(EventBatch(topic, names, customers, known - 1_000, known, kinds, values))
    return split_days([batches[0], batches[1].take(slice(0, n, 10))])


def read_all(settings: Settings, topic: str) -> list[TopicRecord]:
    with TopicReader(settings) as reader:
        return list(reader.read(topic, [0] * settings.partitions))


def check_topics(settings: Settings, workload: Workload, days: tuple[RecordedDay, ...]) -> None:
    """Every event exactly once, with its bytes, in its partition, in order; one clock for each day and partition."""
    codec = Codec(FileRegistry.for_workload(workload))
    for topic in ("usage", "survey"):
        events = EventBatch.concat([batch for day in days for batch in day.batches if batch.topic == topic])
        expected = {record["event_id"]: record for record in events.to_records(workload.topic(topic))}
        records = read_all(settings, topic)
        found = [(record.partition, codec.decode(record.value, topic)) for record in records]
        assert Counter(event["event_id"] for _, event in found) == Counter(list(expected))
        for partition, event in found:
            assert event == expected[event["event_id"]]
            assert partition == partition_of(event["customer_id"].encode(), settings.partitions)
    for partition in range(settings.partitions):
        clock = [codec.decode(r.value, CLOCK) for r in read_all(settings, CLOCK) if r.partition == partition]
        assert [record["day"] for record in clock] == list(range(FIRST_DAY + 1, FIRST_DAY + N_DAYS + 1))
        assert all(record["time_ms"] == record["day"] * DAY_MS for record in clock)


def test_every_event_is_in_its_partition_once_and_the_clock_says_so(settings: Settings, workload: Workload) -> None:
    create_topics(settings, workload)
    days = recorded_days()

    with KafkaSink(settings, workload) as sink:
        done = replay(days, sink, read_progress(settings, workload))

    assert done.n_events == sink.n_events == N_EVENTS * 11 // 10
    check_topics(settings, workload, days)


def test_the_clock_waits_for_the_days_events(settings: Settings, workload: Workload) -> None:
    """When a clock record can be read, every event of the days before it can be."""
    create_topics(settings, workload)
    days = recorded_days(2_000)
    n_seen = []

    class Looking(KafkaSink):
        def publish_clock(self, day: int, partitions: object = None) -> None:
            super().publish_clock(day)
            n_seen.append(len(read_all(settings, "usage")))

    with Looking(settings, workload) as sink:
        replay(days, sink, read_progress(settings, workload))

    per_day = [sum(len(b) for b in day.batches if b.topic == "usage") for day in days]
    assert n_seen == np.cumsum(per_day).tolist()


def test_progress_is_read_from_the_topics(settings: Settings, workload: Workload) -> None:
    create_topics(settings, workload)
    days = recorded_days(3_000)
    assert read_progress(settings, workload).is_fresh

    with KafkaSink(settings, workload) as sink:
        replay(days[:2], sink, read_progress(settings, workload))
        for batch in days[2].batches:
            sink.publish(batch.take(slice(0, 100)))

    held = read_progress(settings, workload)
    assert held.day == FIRST_DAY + 2
    assert sum(held.written["usage"].values()) == 100
    assert not held.is_fresh
    n_two_days = sum(len(b) for day in days[:2] for b in day.batches if b.topic == "usage")
    assert sum(held.ends["usage"]) == n_two_days + 100


@pytest.mark.parametrize("n_partitions_with_clock", [0, 1, 3])
def test_a_cut_between_events_and_clock_repeats_neither(
    n_partitions_with_clock: int, settings: Settings, workload: Workload
) -> None:
    create_topics(settings, workload)
    days = recorded_days(6_000)
    with KafkaSink(settings, workload) as sink:
        replay(days[:3], sink, read_progress(settings, workload))
        for batch in days[3].batches:
            sink.publish(batch)
        sink.publish_clock(FIRST_DAY + 4, range(n_partitions_with_clock))

    held = read_progress(settings, workload)
    with KafkaSink(settings, workload, held.ends) as sink:
        done = replay(days, sink, held)

    assert done.n_skipped == sum(map(len, days[3].batches))
    check_topics(settings, workload, days)


def test_a_cut_on_the_first_day_is_mended_without_any_clock(settings: Settings, workload: Workload) -> None:
    create_topics(settings, workload)
    days = recorded_days(6_000)
    with KafkaSink(settings, workload) as sink:
        for batch in days[0].batches:
            sink.publish(batch.take(slice(0, 70)))

    held = read_progress(settings, workload)
    with KafkaSink(settings, workload, held.ends) as sink:
        replay(days, sink, held)

    assert held.day is None
    check_topics(settings, workload, days)


@pytest.mark.parametrize("header", ['{"usage": [9999999, 0, 0, 0]}', '{"usage": [0, 0]}', '{"usage": 7}', "[1]", "?"])
def test_a_clock_record_that_is_wrong_about_the_topics_only_makes_a_resume_slower(
    header: str, settings: Settings, workload: Workload
) -> None:
    create_topics(settings, workload)
    days = recorded_days(3_000)

    class Wrong(KafkaSink):
        def _clock_headers(self) -> dict[str, str | bytes | None]:
            return {ENDS_HEADER: header}

    with Wrong(settings, workload) as sink:
        replay(days[:3], sink, read_progress(settings, workload))
        sink.publish(days[3].batches[0].take(slice(0, 50)))

    held = read_progress(settings, workload)
    with KafkaSink(settings, workload, held.ends) as sink:
        replay(days, sink, held)

    check_topics(settings, workload, days)


CHILD = """
import sys
from pathlib import Path
from producers.kafka_sink import KafkaSink
from producers.pace import Pace
from producers.progress import read_progress
from producers.replay import replay
from schemas.settings import Settings
from schemas.workload import load_workload
sys.path.insert(0, sys.argv[1])
import importlib.util
spec = importlib.util.spec_from_file_location("case", Path(sys.argv[1]) / "test_kafka_sink.py")
case = importlib.util.module_from_spec(spec)
spec.loader.exec_module(case)
settings, workload = Settings.from_env(), load_workload("subscription_churn")
held = read_progress(settings, workload)
with KafkaSink(settings, workload, held.ends) as sink:
    replay(case.recorded_days(), sink, held, pace=Pace(float(sys.argv[2])))
"""


def run_child(env: dict[str, str], speed: float, kill_after_s: float | None, settings: Settings) -> int:
    """A replay in a process of its own, killed some time after its first events can be read."""
    here = Path(__file__).resolve()
    root = here.parent.parent.parent
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(here.parent), str(speed)],
        env=os.environ | env | {"PYTHONPATH": str(root)},
        cwd=root,
    )
    try:
        if kill_after_s is not None:
            deadline = time.monotonic() + 60
            n_before = len(read_all(settings, "usage"))
            while len(read_all(settings, "usage")) == n_before:
                assert child.poll() is None, "the replay ended before it was killed"
                assert time.monotonic() < deadline
            time.sleep(kill_after_s)
            child.send_signal(signal.SIGKILL)
        return child.wait(60)
    finally:
        child.kill()


@pytest.mark.slow
def test_a_replay_killed_twice_writes_every_event_once(
    settings: Settings, settings_env: dict[str, str], workload: Workload
) -> None:
    create_topics(settings, workload)
    speed = 86_400.0 / 3  # three seconds for a day, which goes out in three pieces

    assert run_child(settings_env, speed, 0.7, settings) == -signal.SIGKILL
    n_first = len(read_all(settings, "usage"))
    assert run_child(settings_env, speed, 0.3, settings) == -signal.SIGKILL
    n_second = len(read_all(settings, "usage"))
    assert run_child(settings_env, speed * 1_000, None, settings) == 0

    assert 0 < n_first < n_second < N_EVENTS
    check_topics(settings, workload, recorded_days())


def test_records_that_nobody_takes_are_an_error(settings: Settings, workload: Workload) -> None:
    """A port where no broker is: the error names the topic, and the sink does not hang."""
    nowhere = replace(settings, bootstrap="127.0.0.1:9")

    sink = KafkaSink(nowhere, workload, delivery_ms=1_000)
    sink.publish(recorded_days(100)[0].batches[0])
    with pytest.raises(SinkError, match=f"topic {settings.topic_prefix}usage: .* not delivered"):
        sink.flush()


def test_a_full_queue_waits_instead_of_losing(settings: Settings, workload: Workload) -> None:
    create_topics(settings, workload)
    n = 250_000  # more than the producer's queue holds
    with KafkaSink(settings, workload) as sink:
        events = EventBatch(
            "usage",
            np.arange(n).astype(str),
            np.full(n, "one", dtype=object),
            np.full(n, FIRST_DAY * DAY_MS),
            np.full(n, FIRST_DAY * DAY_MS),
            np.zeros(n, dtype=np.int16),
            {},
        )
        sink.publish(events)
        sink.flush()

    with TopicReader(settings) as reader:
        offsets = [record.offset for record in reader.read("usage", [0] * settings.partitions)]
    assert offsets == list(range(n))
