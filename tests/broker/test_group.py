"""Workers come, go and are killed under load: nothing is lost, nothing comes twice, and no partition stays alone."""

from __future__ import annotations

import signal
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from schemas.settings import Settings
from tests.broker.engines import PROVE, Engine
from tests.broker.test_crash import Stage, check
from tests.broker.test_outages import FIRST_DAY
from tests.broker.workers import WorkerProcess, wait_for

N_PARTITIONS = 6  # a multiple of 2 and 3: the assignor may leave a worker without any otherwise
N_ROUNDS = 3 if PROVE else 1  # of a join, a leave and a kill


class Group:
    """Workers of one group on one stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.workers: list[WorkerProcess] = []
        self._n_started = 0

    def join(self) -> None:
        """One more worker, with a name and files of its own."""
        self._n_started += 1
        worker = WorkerProcess(self.stage.settings, self.stage.folder, f"w{self._n_started}")
        worker.start()
        self.workers.append(worker)
        self.settle("a worker joined")

    def leave(self) -> None:
        """The oldest one ends politely."""
        assert self.workers.pop(0).end(signal.SIGTERM) == 0
        self.settle("a worker left")

    def kill(self) -> None:
        """The oldest one dies, and nobody takes its name."""
        self.workers.pop(0).end(signal.SIGKILL)
        self.settle("a worker was killed")

    def is_shared_out(self) -> bool:
        """Whether every partition has one owner, and every worker a partition, as they see it."""
        owned = [worker.status().get("partitions", []) for worker in self.workers]
        return all(owned) and sorted(chain(*owned)) == list(range(N_PARTITIONS))

    def settle(self, what: str) -> None:
        """Wait until every partition has one owner, each worker something to do, and events come through."""
        wait_for(self.is_shared_out, f"partitions to find owners, {what}", 180)
        before = self.taken()
        wait_for(lambda: self.taken() > before, f"events, {what}", 120)

    def taken(self) -> int:
        """Events that the present owners' states hold."""
        return sum(worker.status().get("in", 0) for worker in self.workers)

    def finish(self) -> None:
        """Let the last day come, wait until all is taken and saved, and end all workers."""
        feed = self.stage.feed
        wait_for(lambda: feed.day >= FIRST_DAY + 26, "days enough for an alert", 120)
        feed.is_last.set()
        feed.join(60)
        assert feed.error is None
        wait_for(lambda: self.taken() == feed.n_events, "all events", 180)
        wait_for(lambda: all(worker.status()["partitions_unsaved"] == 0 for worker in self.workers), "checkpoints")
        for worker in self.workers:
            assert worker.end(signal.SIGTERM) == 0, worker.log_file.read_text()[-2000:]

    def end(self) -> None:
        for worker in self.workers:
            if worker.process is not None and worker.process.poll() is None:
                worker.end(signal.SIGKILL)
        self.stage.feed.is_last.set()


@pytest.mark.parametrize("engine", ["kafka"], indirect=True)  # a group of the embedded broker may stand still
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_workers_come_and_go_and_nobody_can_tell(engine: Engine, settings: Settings, tmp_path: Path) -> None:
    stage = Stage(replace(settings, partitions=N_PARTITIONS), tmp_path, None)
    group = Group(stage)
    try:
        stage.feed.day = FIRST_DAY + 18
        stage.release()
        stage.feed.start()
        for _ in range(3):
            group.join()
        for _ in range(N_ROUNDS):
            group.kill()
            group.join()
            group.leave()
            group.join()
        group.finish()
    finally:
        group.end()
    assert check(stage, stage.workload, is_once=engine.has_transactions) > 0
