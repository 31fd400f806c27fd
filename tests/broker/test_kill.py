"""Whatever happens to a worker, its state is that of one that was never disturbed, and no alert is lost."""

from __future__ import annotations

import random
import signal
import threading
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from producers.kafka_sink import KafkaSink
from producers.simulate import SimulationConfig, simulate
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.workload import Workload, load_workload
from stream_app.plan import Plan
from tests.broker.engines import Engine
from tests.broker.workers import WorkerProcess, journals_of, logs_of, read_all, state_of, wait_for
from tests.streams import Driver, Logs, new_task, replay

FIRST_DAY = (date(2025, 1, 1) - date(1970, 1, 1)).days
DAYS_TO_AN_ALERT = 26  # nobody is scored before 14 days


class Feed(threading.Thread):
    """Publishes simulated days at a steady pace until told that the last one may come."""

    def __init__(self, settings: Settings, workload: Workload) -> None:
        super().__init__(daemon=True)
        self.settings, self.workload = settings, workload
        self.is_last = threading.Event()
        self.n_events = 0
        self.day = 0  # the newest that the clock has begun
        self.error: BaseException | None = None

    def run(self) -> None:
        config = SimulationConfig(n_customers=600, n_days=400, start_day=date(2025, 1, 1), seed=5, shuffled_share=0.1)
        try:
            with KafkaSink(self.settings, self.workload) as sink:
                for day in simulate(config):
                    for batch in day.batches:
                        sink.publish(batch)
                    sink.publish_clock(day.day + 1)
                    self.day = day.day + 1
                    self.n_events += day.n_events
                    if self.is_last.is_set():
                        return
                    time.sleep(0.7)
        except BaseException as error:
            self.error = error


def disturb(settings: Settings, folder: Path, number: signal.Signals, n_times: int) -> tuple[Workload, int]:
    """Run a worker under load, end it at random moments, then let it finish; returns the events published."""
    workload = load_workload("subscription_churn")
    create_topics(settings, workload)
    feed, worker, chance = Feed(settings, workload), WorkerProcess(settings, folder), random.Random(11)
    worker.start()
    feed.start()
    for _ in range(n_times):
        before = worker.status().get("in", 0)
        wait_for(worker.is_ready, "partitions", 120)
        wait_for(lambda before=before: worker.status().get("in", 0) > before, "events", 120)  # type: ignore[misc]
        time.sleep(chance.random() * 1.5)  # the moment is random on purpose
        worker.end(number)
        worker.start()
    wait_for(
        lambda: feed.day >= FIRST_DAY + DAYS_TO_AN_ALERT or feed.error is not None, "days enough for an alert", 120
    )
    feed.is_last.set()
    feed.join(60)
    assert feed.error is None
    wait_for(lambda: worker.status().get("in", 0) == feed.n_events, "all events", 120)
    wait_for(lambda: is_settled(worker.status(), feed.day), "the last day's ticks", 120)
    assert worker.status()["adds_up"], worker.status()
    assert worker.end(signal.SIGTERM) == 0, worker.log_file.read_text()[-2000:]
    return workload, feed.n_events


def is_settled(status: dict[str, Any], day: int) -> bool:
    """Whether the ticks of ``day`` are taken and saved: a worker that ends between them takes the others up later."""
    return bool(status["clock_day"] == day and status["partitions_unsaved"] == 0)


def check_nothing_lost(settings: Settings, workload: Workload, n_events: int) -> None:
    """Event parts equal an undisturbed run's, decisions a replay of the journal, alerts all there and no others."""
    plan, logs = Plan.from_workload(workload), logs_of(settings, workload)
    assert sum(len(log.records) for topic in logs.topics for log in topic) == n_events
    n_alerts = 0
    for partition in range(settings.partitions):
        found = state_of(settings, plan, partition)
        undisturbed = Driver(logs, new_task(plan, partition, settings.partitions), seed=partition).run()
        assert found.state.event_part() == undisturbed.task.state.event_part()
        assert found.accounting == undisturbed.task.accounting
        twin = replayed(settings, plan, logs, partition)
        assert np.array_equal(found.state.rows, twin.task.state.rows)
        alerts = read_all(settings, settings.topic_prefix + "alerts", partition)
        assert {value for _, _, value in alerts} == {value for _, value in twin.records("alerts")}
        n_alerts += len(alerts)
    assert n_alerts > 0


def replayed(settings: Settings, plan: Plan, logs: Logs, partition: int) -> Driver:
    """A fresh task that takes exactly the slices that the worker took."""
    task = new_task(plan, partition, settings.partitions)
    return replay(logs, task, journals_of(settings, plan.workload, partition))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_lose_nothing(settings: Settings, engine: Engine, tmp_path: Path) -> None:
    two = replace(settings, partitions=2)
    check_nothing_lost(two, *disturb(two, tmp_path, signal.SIGKILL, engine.n_disturbances))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_graceful_restarts_lose_nothing(settings: Settings, engine: Engine, tmp_path: Path) -> None:
    two = replace(settings, partitions=2)
    check_nothing_lost(two, *disturb(two, tmp_path, signal.SIGTERM, engine.n_disturbances))
