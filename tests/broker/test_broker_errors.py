"""A broker that answers with errors, late, or not at all: no position passes an output that was not delivered.

On librdkafka's mock cluster, at least once: it has no transactions. What a worker cannot survive ends it with one line,
and the next one goes on.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from producers.kafka_sink import KafkaSink
from producers.simulate import SimulationConfig, simulate
from schemas.settings import Settings
from schemas.workload import load_workload
from stream_app.plan import Plan
from tests.broker.engines import PROVE
from tests.broker.mock_cluster import OUTPUTS, SOURCES, MockCluster
from tests.broker.supervisor import Supervisor
from tests.broker.test_kill import replayed
from tests.broker.workers import WorkerProcess, logs_of, read_all, state_of, wait_for
from tests.streams import Driver, new_task

HANG_UP = -195
# What a broker may say, after the protocol's list; the first of each are tried in every run.
PRODUCE = (6, 7, HANG_UP, 3, 19, 20, 2, 5, 13, 14, 15, 16, 56, 74, 75, 84, 89)
ENDS = {2, 13, 74, 75, 84, 89}  # of those, the ones that aiokafka's producer does not take up again
PRODUCE_FATAL = (29, 10, 1, 17, 18, 21, 31, 32, 35, 38, 42, 43, 44, 45, 46, 47, 59, 76, 87, 90, -1)
FETCH = (6, 7, HANG_UP, 3, 2, 5, 9, 13, 56, 70, 71, 74, 75, 76, 78, 89, 100, -1)
FETCH_FATAL = (29, 1, 17, 35, 42, 58, 87)
COMMIT = (16, 30, HANG_UP, 3, 7, 12, 14, 15, 22, 24, 25, 27, 28, 29, 42, 82, -1)
HEARTBEAT = (27, 16, HANG_UP, 14, 15, 22, 25)
JOIN = (16, HANG_UP, 14, 15, 25, 79)
JOIN_FATAL = (30, 23, 24, 26, 35, 42, 81, 82, -1)
DOWN_S = 30.0 if PROVE else 8.0


class Trial:
    """A worker on the mock cluster, and a feed that waits for it day by day."""

    def __init__(self, cluster: MockCluster, folder: Path) -> None:
        self.cluster = cluster
        self.settings = Settings(bootstrap=cluster.bootstrap, home=folder / "home", partitions=2, topic_prefix="t-")
        self.workload = load_workload("subscription_churn")
        cluster.create_topics(self.settings, self.workload)
        cluster.lead_group(f"t-driftline-{self.workload.name}", OUTPUTS)
        config = SimulationConfig(n_customers=40, n_days=400, start_day=date(2025, 1, 1), seed=5, shuffled_share=0.1)
        self._days = simulate(config)
        self._sink = KafkaSink(self.settings, self.workload)
        self.n_events = 0
        self.worker = WorkerProcess(self.settings, folder)
        self.worker.environment["DRIFTLINE_DELIVERY"] = "at-least-once"
        self.supervisor = Supervisor(self.worker)

    def begin(self) -> None:
        """Start the worker and wait until it has taken a first day."""
        self.worker.start()
        self.publish()
        self.settle("before any fault", 180)

    def publish(self, n_days: int = 1) -> None:
        """Some more days, all of them on the broker."""
        for _ in range(n_days):
            day = next(self._days)
            for batch in day.batches:
                self._sink.publish(batch)
            self._sink.publish_clock(day.day + 1)
            self.n_events += day.n_events
        self._sink.flush()

    def settle(self, what: str, within_s: float = 120.0) -> None:
        self.supervisor.wait_until_done(self.n_events, f"all events, {what}", within_s)

    def try_each(self, broker: int, request: str, codes: Sequence[int], n_times: int = 2) -> set[int]:
        """Let requests fail with each code in turn, a day on its way; the codes that ended the worker."""
        ended = set()
        for code in codes:
            n_ends = len(self.supervisor.ends)
            self.cluster.fail(broker, request, [code] * n_times)
            self.publish()
            self.settle(f"{request} fails with {code}")
            wait_for(lambda: self.has_failed_all(broker, request), f"{request} to fail with {code}")
            if len(self.supervisor.ends) > n_ends:
                ended.add(code)
        return ended

    def has_failed_all(self, broker: int, request: str) -> bool:
        self.supervisor.status()  # starts it again where that is what is missing
        return self.cluster.n_left(broker, request) == 0

    def restart_into(self, codes: Sequence[int]) -> None:
        """Start a worker that hears these codes when it wants to join."""
        assert self.worker.end(signal.SIGTERM) == 0, self.worker.log_file.read_text()[-2000:]
        self.cluster.fail(OUTPUTS, "join", codes)
        self.publish()
        self.worker.start()
        self.settle(f"join fails with {codes}")
        assert self.cluster.n_left(OUTPUTS, "join") == 0

    def finish(self) -> None:
        """End the worker and compare what it left with an undisturbed run, and with a replay of its journal."""
        self.publish(20)  # the rule opens an alert after fourteen silent days
        self.settle("undisturbed")
        assert self.worker.end(signal.SIGTERM) == 0, self.worker.log_file.read_text()[-2000:]
        check(self.settings)


def check(settings: Settings) -> None:
    """State as if nothing had happened; every output of the journal is there, and no other."""
    workload = load_workload(settings.workload)
    plan, logs, n_alerts = Plan.from_workload(workload), logs_of(settings, workload), 0
    for partition in range(settings.partitions):
        found = state_of(settings, plan, partition)
        undisturbed = Driver(logs, new_task(plan, partition, settings.partitions), seed=partition).run()
        assert found.positions == [len(topic[partition].records) for topic in logs.topics]
        assert found.state.event_part() == undisturbed.task.state.event_part()
        assert found.accounting == undisturbed.task.accounting
        twin = replayed(settings, plan, logs, partition)
        assert np.array_equal(found.state.rows, twin.task.state.rows)
        for role in ("alerts", "scores", "latest-scores"):
            came = {value for _, _, value in read_all(settings, settings.topic_prefix + role, partition)}
            wanted = {value for _, value in twin.records(role)}
            assert came == wanted, role
            n_alerts += len(wanted) if role == "alerts" else 0
    assert n_alerts > 0


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    with MockCluster() as cluster:
        started = Trial(cluster, tmp_path)
        yield started
        process = started.worker.process
        if process is not None and process.poll() is None:
            started.worker.end(signal.SIGKILL)


def some(codes: Sequence[int], n: int) -> Sequence[int]:
    """The first of them, or all."""
    return codes if PROVE else codes[:n]


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_errors_of_a_running_broker_lose_nothing(trial: Trial) -> None:
    trial.begin()
    assert trial.try_each(OUTPUTS, "produce", some(PRODUCE, 6)) <= ENDS
    assert not trial.try_each(SOURCES, "fetch", some(FETCH, 6))
    assert not trial.try_each(OUTPUTS, "heartbeat", some(HEARTBEAT, 2), n_times=1)
    assert not trial.try_each(OUTPUTS, "commit", some(COMMIT, 2), n_times=1)
    for broker, request, codes in ((OUTPUTS, "produce", PRODUCE_FATAL), (SOURCES, "fetch", FETCH_FATAL)):
        assert trial.try_each(broker, request, some(codes, 1), n_times=1), "these end it"
    trial.finish()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_errors_of_a_group_lose_nothing(trial: Trial) -> None:
    trial.begin()
    trial.restart_into(some(JOIN, 4))
    assert trial.supervisor.ends == []
    for n, code in enumerate(some(JOIN_FATAL, 1), 1):
        trial.restart_into([code])
        assert len(trial.supervisor.ends) == n  # no zombie that lives outside its group
    trial.finish()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_slow_broker_and_one_that_goes_away_lose_nothing(trial: Trial) -> None:
    trial.begin()
    for round_trip_ms in (30, 300, 3000) if PROVE else (30, 300):
        trial.cluster.delay(round_trip_ms)
        trial.publish()
        trial.settle(f"round trips of {round_trip_ms} ms")
    trial.cluster.delay(0)
    for broker in (OUTPUTS, SOURCES, -1):
        trial.publish()
        trial.cluster.go_down(broker)
        time.sleep(DOWN_S if broker == -1 else 2.0)  # that long on purpose
        trial.cluster.come_up(broker)
        trial.settle(f"after broker {broker} was down")
    trial.finish()
