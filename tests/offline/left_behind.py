"""What a worker leaves of one partition, in memory: to be written to a broker whole, or with one fault in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xgboost
from confluent_kafka import Producer

from schemas.bundle import Bundle, write_bundle
from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topics import topics_by_role
from schemas.workload import Workload
from stream_app.model import BoosterModel, RuleModel
from stream_app.outputs import OutputBlock
from stream_app.partition_task import PartitionTask
from stream_app.plan import Plan
from stream_app.releases import ActiveModel, ModelSchedule
from stream_app.scoring import Scorer
from tests.streams import DAY_MS, Driver, Logs

Entry = tuple[int, bytes | None, bytes | None]  # timestamp, key, value


@dataclass
class LeftBehind:
    """Records of every topic by role; ``driver`` is the run that left them."""

    settings: Settings
    workload: Workload
    codec: Codec
    driver: Driver
    records: dict[str, list[Entry]] = field(default_factory=dict)

    def write(self) -> None:
        """Send everything to the broker; the topics exist."""
        topics = topics_by_role(self.workload, self.settings)
        producer = Producer(self.settings.kafka_config() | {"message.max.bytes": 16 << 20, "linger.ms": 20})
        for role, records in self.records.items():
            for stamp, key, value in records:
                partition = self.driver.task.partition
                producer.produce(topics[role].name, value, key, partition, timestamp=stamp)
            producer.flush(60)
        assert producer.flush(60) == 0

    def change(self, role: str, i: int, **fields: object) -> None:
        """Rewrite fields of an output record."""
        stamp, key, value = self.records[role][i]
        schema, record = self.codec.decode_named(value)
        self.records[role][i] = (stamp, key, self.codec.encode(schema, record | fields))


def run_worker(
    settings: Settings,
    workload: Workload,
    logs: Logs,
    partition: int,
    schedule: ModelSchedule | None = None,
    *,
    live_from_ms: int = 0,
    before_last: Callable[[PartitionTask], None] = lambda task: None,
    n_checkpoints: int | None = None,
) -> LeftBehind:
    """Run a partition to its end; ``before_last`` may hurt the state before one more checkpoint is taken.

    With ``n_checkpoints`` the worker dies behind so many, the outputs of the last one unpublished.
    """
    plan, codec = Plan.from_workload(workload), Codec(FileRegistry.for_workload(workload))
    schedule = schedule or ModelSchedule(ActiveModel(RuleModel(plan)))
    scorer = Scorer(plan, codec, schedule, settings.topic_prefix, live_from_ms)
    driver = Driver(logs, PartitionTask(plan, codec, partition, settings.partitions, scorer), seed=partition)
    driver.run()
    before_last(driver.task)
    driver.checkpoint()
    found = LeftBehind(settings, workload, codec, driver)
    for source, topic in enumerate(workload.topics):
        found.records[topic.name] = list(logs.topics[source][partition].records)
    days = [(day, codec.encode("clock", {"event_id": f"clock-{day}", "day": day, "time_ms": 0})) for day in logs.clock]
    found.records["clock"] = [(day * DAY_MS, b"clock", value) for day, value in days]
    _put_checkpoints(found, n_checkpoints)
    return found


def _put_checkpoints(found: LeftBehind, n_checkpoints: int | None) -> None:
    """As an at-least-once worker does: state, then outputs, the journal as the last of them."""
    roles = {topic.name: role for role, topic in topics_by_role(found.workload, found.settings).items()}
    journal = next(name for name, role in roles.items() if role == "journal")
    taken = found.driver.checkpoints[:n_checkpoints]
    for i, checkpoint in enumerate(taken):
        name = b"%d/%d" % (checkpoint.incarnation, checkpoint.number)
        checkpoint.outputs.append(OutputBlock.of(journal, [(name, checkpoint.journal)]))
        found.records.setdefault("state", []).extend((0, key, value) for key, value in checkpoint.encode())
        if n_checkpoints is not None and i == len(taken) - 1:
            return
        for block in checkpoint.outputs:
            found.records.setdefault(roles[block.topic], []).extend((0, key, value) for key, value in block)


def small_bundle(models_dir: Path, workload: Workload, version: str, seed: int) -> Bundle:
    """A booster of noise with splits on every feature."""
    plan, random = Plan.from_workload(workload), np.random.default_rng(seed)
    x = np.abs(random.normal(0, 8, (600, plan.n_features))).astype(np.float32)
    x[random.random(x.shape) < 0.2] = np.nan
    y = (random.random(600) < 0.4).astype(float)
    params = {"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "seed": seed}
    booster = xgboost.train(params, xgboost.DMatrix(x, y), 25)
    numbers = {kind: {"a": 0.8 + 0.1 * i, "b": 0.1 - 0.1 * i} for i, kind in enumerate(("tick", "event", "urgent"))}
    files = {
        "model.ubj": bytes(booster.save_raw("ubj")), "calibration.json": json.dumps(numbers).encode(),
        "threshold.json": json.dumps({"tick": 0.5, "event": 0.52, "urgent": 0.48}).encode(),
        "workload.toml": workload.text.encode(), "reference.json": b"{}", "evaluation.json": b"{}", "card.md": b"",
    }  # fmt: skip
    return write_bundle(
        models_dir, files, workload=workload.name, version=version, workload_hash=workload.hash, data_window={}
    )


def active(bundle: Bundle, workload: Workload) -> ActiveModel:
    """The bundle as a worker scores with it."""
    return ActiveModel(BoosterModel(bundle.manifest.version, bundle.files, Plan.from_workload(workload)))
