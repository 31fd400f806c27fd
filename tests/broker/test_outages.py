"""Apache Kafka stands still, is killed, or loses a leader under load: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from driftline.kafka_engine import KafkaEngine
from driftline.kafka_jars import missing
from schemas.settings import Settings
from schemas.topics import topic_for
from tests.broker.engines import MUST_HAVE_KAFKA, PROVE
from tests.broker.supervisor import Supervisor
from tests.broker.test_crash import Stage, check
from tests.broker.workers import wait_for

STILL_S = 20.0 if PROVE else 8.0
FIRST_DAY = date(2025, 1, 1).toordinal() - date(1970, 1, 1).toordinal()  # of the feed
N_LEADERS_LOST = 3 if PROVE else 1


@pytest.fixture(autouse=True)
def _kafka_is_there() -> None:
    if lacking := missing():
        unproven = f"needs {' and '.join(lacking)}; NOT PROVEN on Apache Kafka: outages"
        pytest.fail(unproven) if MUST_HAVE_KAFKA else pytest.skip(unproven)


class Outage:
    """A stage on a cluster of the test's own, under load."""

    def __init__(self, engine: KafkaEngine, folder: Path, n_nodes: int) -> None:
        settings = Settings(bootstrap=engine.bootstrap, home=folder / "home", topic_prefix="t-", replication=n_nodes)
        self.engine = engine
        self.stage = Stage(replace(settings, partitions=2), folder, "one")
        self.supervisor = Supervisor(self.stage.worker)
        self.stage.feed.day = FIRST_DAY + 18  # nobody can say how late a release is heard: told long before it counts
        self.stage.release()
        self.supervisor.start()
        self.stage.feed.start()

    def wait_for_more(self, what: str) -> None:
        """Wait until more events than now have come through."""
        before = self.supervisor.status().get("in", 0)
        wait_for(lambda: self.supervisor.status().get("in", 0) > before, f"events, {what}", 120)

    def finish(self) -> None:
        """Publish a last day, let the worker take all, and look at what there is."""
        feed = self.stage.feed
        wait_for(lambda: feed.day >= FIRST_DAY + 26, "days enough for an alert", 120)
        feed.is_last.set()
        feed.join(90)
        assert feed.error is None
        self.supervisor.wait_until_done(feed.n_events, "all events", 180)
        assert self.stage.worker.end(signal.SIGTERM) == 0, self.stage.worker.log_file.read_text()[-2000:]
        assert check(self.stage, self.stage.workload, is_once=True) > 0

    def end(self) -> None:
        process = self.stage.worker.process
        if process is not None and process.poll() is None:
            self.stage.worker.end(signal.SIGKILL)
        self.stage.feed.is_last.set()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_broker_that_stands_still_or_is_killed_shows_nowhere(tmp_path: Path) -> None:
    with KafkaEngine(folder=tmp_path / "kafka") as engine:
        outage = Outage(engine, tmp_path, 1)
        try:
            outage.wait_for_more("before any outage")
            pid = engine.pids[1]
            os.kill(pid, signal.SIGSTOP)
            time.sleep(STILL_S)  # that long on purpose
            os.kill(pid, signal.SIGCONT)
            outage.wait_for_more("after the broker stood still")
            engine.kill(1)
            time.sleep(2.0)
            engine.start_node(1)
            outage.wait_for_more("after the broker was killed")
            outage.finish()
        finally:
            outage.end()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cluster_that_loses_its_leader_shows_nothing(tmp_path: Path) -> None:
    with KafkaEngine(n_nodes=3, folder=tmp_path / "kafka") as engine:
        outage = Outage(engine, tmp_path, 3)
        try:
            outage.wait_for_more("before any outage")
            for partition in range(N_LEADERS_LOST):
                state = topic_for("state", outage.stage.workload, outage.stage.settings).name
                leader = engine.leader_of(state, partition % 2)
                assert leader is not None
                engine.kill(leader)
                outage.wait_for_more(f"after node {leader} was killed")
                engine.start_node(leader)
                outage.wait_for_more(f"after node {leader} came back")
            outage.finish()
        finally:
            outage.end()
