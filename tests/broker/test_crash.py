"""A worker ends at every named point, under load: nothing is lost, nothing comes twice, and nobody can tell."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.dataset import create_dataset
from bench.model_bundle import create_bundle, release_record
from bench.stage import publish
from schemas.bundle import Bundle
from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.topics import topic_for
from schemas.workload import Workload, load_workload
from stream_app.faults import POINTS
from stream_app.model import BoosterModel, RuleModel
from stream_app.plan import Plan
from stream_app.reference import Reference
from stream_app.releases import ActiveModel, ModelSchedule
from tests.broker.engines import PROVE, Engine
from tests.broker.test_kill import Feed
from tests.broker.workers import WorkerProcess, journals_of, logs_of, read_all, state_of, wait_for
from tests.streams import Driver, new_task, replay

# the longest way, in passes, that a worker goes before it ends there
PASSES = {"after_read": 40, "after_decode": 40, "after_apply": 30, "after_score": 30, "before_restore": 2,
          "mid_restore": 2, "model_swap": 2, "on_sigterm": 1, "on_second_sigterm": 1, "partition_lost": 1}  # fmt: skip
FEW = 5


class Stage:
    """A feed, a worker, and a model that is released in the middle."""

    def __init__(self, settings: Settings, folder: Path, instance: str | None) -> None:
        self.settings, self.folder = settings, folder
        self.workload = load_workload("subscription_churn")
        create_topics(settings, self.workload)
        self.bundle = create_bundle(settings.models_dir, create_dataset("uniform", 10_000, 1_000))
        self.feed = Feed(settings, self.workload)
        self.worker = WorkerProcess(settings, folder, instance)
        self.activate_day = 0

    def release(self) -> None:
        """Let the bundle score from a day that is ahead of every clock."""
        self.activate_day = self.feed.day + 25  # days are short here, and a model takes seconds to load
        codec = Codec(FileRegistry.for_workload(self.workload))
        record = release_record(self.bundle) | {"activate_day": self.activate_day}
        topic = topic_for("model-releases", self.workload, self.settings).name
        publish(self.settings, [(topic, 0, b"bench", codec.encode("model_release", record))])

    def is_busy(self) -> bool:
        """Whether the worker has taken events since it started."""
        status = self.worker.status()
        return status.get("first_event_s") is not None

    def run_into(self, point: str, passes: int) -> None:
        """Start the worker, and let it end at a point."""
        self.worker.start(f"{point}:{passes}")
        if point in ("on_sigterm", "on_second_sigterm", "partition_lost", "model_swap"):
            wait_for(self.is_busy, f"events before {point}", 120)
            self.provoke(point)
        assert self.worker.process is not None
        assert self.worker.process.wait(120) == -signal.SIGKILL, f"{point}:{passes}\n{self.worker.log_file.read_text()}"

    def provoke(self, point: str) -> None:
        """What leads to a point that the stream alone does not come by."""
        worker = self.worker
        assert worker.process is not None
        if point == "model_swap":
            self.release()
        elif point == "partition_lost":
            other = WorkerProcess(self.settings, self.folder, "other")
            other.start()
            worker.process.wait(120)
            other.end(signal.SIGTERM)
        else:
            worker.process.send_signal(signal.SIGTERM)
            while point == "on_second_sigterm" and worker.process.poll() is None:
                time.sleep(0.001)
                worker.process.send_signal(signal.SIGTERM)

    def finish(self) -> None:
        """Let an undisturbed worker take the rest."""
        self.worker.start()
        self.feed.is_last.set()
        self.feed.join(60)
        assert self.feed.error is None
        wait_for(lambda: self.worker.status().get("in", 0) == self.feed.n_events, "all events", 120)
        wait_for(lambda: self.worker.status()["partitions_unsaved"] == 0, "a checkpoint", 60)
        assert self.worker.status()["adds_up"]
        assert self.worker.end(signal.SIGTERM) == 0, self.worker.log_file.read_text()[-2000:]


def schedule_of(plan: Plan, bundle: Bundle, activate_day: int) -> ModelSchedule:
    """The rule, then the bundle from its day on."""
    schedule = ModelSchedule(ActiveModel(RuleModel(plan)))
    edges = Reference.decode(bundle.files["reference.json"]).edges
    model = BoosterModel("bench", bundle.files, plan)
    schedule.add(activate_day, ActiveModel(model, np.ascontiguousarray(edges, np.float32)))
    return schedule


def check(stage: Stage, workload: Workload, *, is_once: bool) -> int:
    """Compare with an undisturbed run and with a replay of the journal; returns how many alerts there were."""
    settings, plan, logs = stage.settings, Plan.from_workload(workload), logs_of(stage.settings, workload)
    n_alerts = 0
    for partition in range(settings.partitions):
        found = state_of(settings, plan, partition)
        undisturbed = Driver(logs, new_task(plan, partition, settings.partitions), seed=partition).run()
        assert found.state.event_part() == undisturbed.task.state.event_part()
        assert found.accounting == undisturbed.task.accounting
        schedule = schedule_of(plan, stage.bundle, stage.activate_day)
        task = new_task(plan, partition, settings.partitions, schedule)
        twin = replay(logs, task, journals_of(settings, workload, partition))
        differing = np.flatnonzero((found.state.rows != twin.task.state.rows).any(axis=1)).tolist()
        assert differing == [], f"rows of partition {partition}"
        for role in ("alerts", "scores"):
            came = Counter(value for _, _, value in read_all(settings, settings.topic_prefix + role, partition))
            wanted = Counter(value for _, value in twin.records(role))
            assert came == wanted if is_once else came.keys() == wanted.keys(), role
            n_alerts += sum(wanted.values()) if role == "alerts" else 0
    return n_alerts


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(3 if PROVE else 1))
def test_nothing_shows_wherever_a_worker_ends(engine: Engine, settings: Settings, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    stage = Stage(replace(settings, partitions=2), tmp_path, "one" if engine.has_transactions else None)
    stage.feed.start()
    points = [point for point in POINTS if engine.has_transactions or point != "mid_restore" or PROVE]
    chance.shuffle(points)
    for point in points:
        stage.run_into(point, chance.randint(1, PASSES.get(point, FEW)))
    stage.finish()
    assert check(stage, stage.workload, is_once=engine.has_transactions) > 0
