"""A stretch of a stream's life put on a broker: its logs, what it scored, and the models that did."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xgboost
from confluent_kafka import Producer

from offline.topic_writer import publish
from schemas.bundle import Bundle, write_bundle
from schemas.codec import Codec
from schemas.events import EventBatch
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topics import topic_for
from schemas.workload import Workload
from stream_app.model import BoosterModel, RuleModel
from stream_app.plan import Plan
from stream_app.recording import tick_rows
from stream_app.reference import Reference
from stream_app.releases import ActiveModel, ModelSchedule
from tests.lives import tangled_events, with_silences
from tests.streams import DAY_MS, Driver, Logs, new_task

FIRST_DAY = 20_160
SWAPS = {"v0001": FIRST_DAY + 20, "v0002": FIRST_DAY + 40}
Produced = tuple[int, bytes | None, bytes | None]


def unruly_events(workload: Workload, n: int, n_customers: int, seed: int, days: int = 60) -> list[EventBatch]:
    """Shuffled, late, too late, silent, and some that are sent twice."""
    random = np.random.default_rng((seed, 9))
    found = []
    for batch in with_silences(tangled_events(workload, n, n_customers, seed, days=days), n_customers, seed):
        too_late = random.random(len(batch)) < 0.02
        known = batch.known_time_ms + np.where(too_late, workload.lateness_ms + DAY_MS, 0)
        twice = random.integers(0, len(batch), len(batch) // 30)
        whole = replace(batch, known_time_ms=known).take(np.concatenate([np.arange(len(batch)), twice]))
        again = np.r_[np.zeros(len(batch), np.int64), random.integers(0, 3 * DAY_MS, len(twice))]
        found.append(replace(whole, known_time_ms=whole.known_time_ms + again).sort())
    return found


def write_model(settings: Settings, plan: Plan, batches: list[EventBatch], version: str, seed: int) -> Bundle:
    """A bundle of a few trees on rows of ``batches`` with made-up labels."""
    rows = tick_rows(plan, batches, [], event_sample=1.0)
    random = np.random.default_rng(seed)
    y = (random.random(len(rows)) < 0.3).astype(np.float64)
    params = {"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "seed": seed}
    booster = xgboost.train(params, xgboost.DMatrix(rows.X, y), 25)
    by_kind = {"tick": 0.9, "event": 1.1, "urgent": 1.3}
    files = {
        "model.ubj": bytes(booster.save_raw("ubj")),
        "calibration.json": _json({kind: {"a": a, "b": -0.1} for kind, a in by_kind.items()}),
        "threshold.json": _json(dict.fromkeys(by_kind, 0.3)),
        "workload.toml": plan.workload.text.encode(),
    }
    scores = BoosterModel(version, files, plan).score(rows.X, rows.kind.astype(np.int64))
    reference = Reference.build(plan.columns, rows.X, rows.as_of_ms, scores, y, horizon_days=30)
    files |= {
        "reference.json": _json(reference.as_json()),
        "evaluation.json": _json({}),
        "card.md": b"# Made up\n",
    }
    return write_bundle(
        settings.models_dir, files, workload=plan.workload.name, version=version, workload_hash=plan.workload.hash,
        data_window={"seed": seed},
    )  # fmt: skip


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def release(settings: Settings, workload: Workload, bundle: Bundle, day: int) -> None:
    """Publish the release of a bundle, from a day on."""
    version = bundle.manifest.version
    record = {
        "event_id": f"{version}:{day}", "version": version, "bundle_id": bundle.manifest.bundle_id,
        "path": f"{workload.name}/{version}", "activate_day": day, "status": "release", "signal_id": None,
        "released_as_of_ms": 0,
    }  # fmt: skip
    topic = topic_for("model-releases", workload, settings)
    publish(settings, topic, Codec(FileRegistry.fixed()), f"{version}:{day}", record)


def produce(settings: Settings, topic: str, partition: int, records: Iterable[Produced]) -> None:
    """Append records to a partition, in order."""
    producer = Producer(settings.kafka_config() | {"acks": "all", "max.in.flight": 1})
    for stamp, key, value in records:
        while True:
            try:
                producer.produce(topic, value, key, partition, timestamp=max(stamp, 1))
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0


@dataclass
class Past:
    """A run: its logs and one driver for each partition."""

    logs: Logs
    drivers: list[Driver]

    def scores(self, partition: int) -> list[tuple[bytes, bytes]]:
        return self.drivers[partition].records("scores")


def live(settings: Settings, plan: Plan, batches: list[EventBatch], bundles: dict[str, Bundle]) -> Past:
    """Stream the events in spans of random length; the models score from their days on."""
    logs = Logs(plan.workload, settings.partitions).write(batches)
    for partitions in logs.topics:
        for log in partitions:
            log.records[7:7] = [(log.records[0][0], b"?", b"no record"), (log.records[0][0], None, None)]
    drivers = []
    for partition in range(settings.partitions):
        schedule = ModelSchedule(ActiveModel(RuleModel(plan)))
        for version, bundle in bundles.items():
            schedule.add(SWAPS[version], ActiveModel(BoosterModel(version, bundle.files, plan)))
        task = new_task(plan, partition, settings.partitions, schedule)
        drivers.append(Driver(logs, task, partition, 60).run())
    return Past(logs, drivers)
