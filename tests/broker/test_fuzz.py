"""Bad payloads among good traffic: the good events do not notice, and every bad one is accounted for.

The bulk goes through the heart, in spans as they are fetched; a share through a broker and a worker.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.stage import publish
from schemas.codec import Codec
from schemas.partition import partition_of
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.workload import Workload, load_workload
from stream_app.plan import Plan
from tests.broker.engines import PROVE
from tests.broker.fuzz import fuzzed, reasons_add_up
from tests.broker.supervisor import Supervisor
from tests.broker.workers import WorkerProcess, read_all, state_of
from tests.streams import Driver, Logs, new_task, random_events

N_BULK = 900_000 if PROVE else 45_000
N_BROKER = 100_000 if PROVE else 5_000
N_GOOD = 4_000
STRANGER = b"nobody"  # key of the bad: whatever a payload says after all, it is not the event of this customer
Record = tuple[int, bytes | None, bytes | None]


def good_logs(workload: Workload, seed: int, n_partitions: int = 1) -> Logs:
    return Logs(workload, n_partitions).write(random_events(workload, N_GOOD, 150, seed, days=20))


def mixed(logs: Logs, n_bad: int, seed: int) -> Logs:
    """The same logs with bad payloads between the good, at random places."""
    random = np.random.default_rng(seed)
    made = Logs(logs.workload, logs.n_partitions)
    made.clock = logs.clock
    n_logs = len(logs.topics) * logs.n_partitions
    for i, topic in enumerate(logs.topics):
        values = [value for log in topic for _, _, value in log.records if value is not None]
        for partition, log in enumerate(topic):
            key = next(b"%s-%d" % (STRANGER, k) for k in range(100)
                       if partition_of(b"%s-%d" % (STRANGER, k), logs.n_partitions) == partition)  # fmt: skip
            part = n_bad // n_logs + (1 if i * logs.n_partitions + partition < n_bad % n_logs else 0)
            bad: list[Record] = [(1_600_000_000_000, key, value) for value in fuzzed(values, part, seed + i)]
            made.topics[i][partition].records = shuffled(log.records, bad, random)
    return made


def shuffled(good: list[Record], bad: list[Record], random: np.random.Generator) -> list[Record]:
    """Both in one log, each in its own order."""
    is_bad = np.arange(len(good) + len(bad)) < len(bad)
    random.shuffle(is_bad)
    goods, bads = iter(good), iter(bad)
    return [next(bads) if it else next(goods) for it in is_bad.tolist()]


def letters(records: Iterator[tuple[bytes, bytes]], codec: Codec) -> set[tuple[str, int, int]]:
    """(topic, partition, offset) of dead letters."""
    found = [codec.decode(value, "dead_letter") for _, value in records]
    places = {(letter["topic"], letter["partition"], letter["offset"]) for letter in found}
    assert len(places) == len(found)
    return places


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_good_events_do_not_notice_bad_payloads() -> None:
    workload = load_workload("subscription_churn")
    plan, share = Plan.from_workload(workload), 45_000
    codec, slowest = Codec(FileRegistry.for_workload(workload)), 0.0
    for round_number in range(N_BULK // share):
        good = good_logs(workload, round_number)
        alone = Driver(good, new_task(plan), seed=1).run()
        began = time.monotonic()
        among = Driver(mixed(good, share, round_number), new_task(plan), seed=2, longest_span=4000).run()
        slowest = max(slowest, time.monotonic() - began)
        assert among.task.state.event_part() == alone.task.state.event_part()
        counts = among.task.accounting
        assert counts.applied == alone.task.accounting.applied
        assert counts.adds_up()
        assert counts.n_in == alone.task.accounting.n_in + share
        n_bad = counts.n_refused - alone.task.accounting.n_refused + counts.duplicate - alone.task.accounting.duplicate
        assert n_bad == share
        assert len(letters(iter(among.records("dead-letters")), codec)) == counts.n_refused
    assert slowest < 120  # a payload that takes long is a hang


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_worker_goes_on_through_bad_payloads(settings: Settings, tmp_path: Path) -> None:
    two = replace(settings, partitions=2)
    workload = load_workload(two.workload)
    create_topics(two, workload)
    plan, good = Plan.from_workload(workload), good_logs(workload, 77, 2)
    logs = mixed(good, N_BROKER, 77)
    supervisor = Supervisor(WorkerProcess(two, tmp_path))
    supervisor.start()
    try:
        for i, topic in enumerate(workload.topics):
            for partition, log in enumerate(logs.topics[i]):
                name = two.topic_prefix + topic.name
                publish(two, ((name, partition, key or b"", value or b"") for _, key, value in log.records))
        n_events = sum(len(log.records) for topic in logs.topics for log in topic)
        supervisor.wait_until_done(n_events, "all events", 240)
        assert supervisor.ends == []
        status = supervisor.status()
        assert status["adds_up"]
        assert supervisor.worker.end(signal.SIGTERM) == 0
    finally:
        process = supervisor.worker.process
        if process is not None and process.poll() is None:
            supervisor.worker.end(signal.SIGKILL)
    codec, n_letters, n_refused, n_duplicate = Codec(FileRegistry.for_workload(workload)), 0, 0, 0
    for partition in range(2):
        found = state_of(two, plan, partition)
        alone = Driver(good, new_task(plan, partition, 2), seed=partition).run()
        assert found.state.event_part() == alone.task.state.event_part()
        n_refused += found.accounting.n_refused - alone.task.accounting.n_refused
        n_duplicate += found.accounting.duplicate - alone.task.accounting.duplicate
        records = read_all(two, two.topic_prefix + "dead-letters", partition)
        places = {codec.decode(value, "dead_letter")["event_id"] for _, _, value in records}
        n_letters += len(places)
        assert reasons_add_up(found.accounting.refused, len(places))
    assert n_refused + n_duplicate == N_BROKER
    assert n_letters >= n_refused
