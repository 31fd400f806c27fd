"""The stage: topics on the broker, the events in them, and the state that a worker starts from."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.dataset import DAY, DAY_MS, N_PARTITIONS, Dataset, Log
from bench.heart import Heart
from bench.model_bundle import create_bundle, release_record
from driftline.broker import EmbeddedBroker
from schemas.bundle import Bundle, read_bundle
from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.topics import topic_for
from schemas.workload import Workload
from stream_app import opcodes as op
from stream_app.checkpoint import MARKER, Record

OUTPUTS = ("scores", "latest-scores", "alerts", "drift", "dead-letters", "state", "journal", "summaries")
TIMEOUT_S = 60.0


@dataclass(frozen=True, eq=False)
class Stage:
    """One key distribution, ready on the broker."""

    data: Dataset
    settings: Settings
    bundle: Bundle
    start: Mapping[int, list[Record]]  # state topic records by partition: the prelude applied
    decisions: Mapping[
        str, list[int]
    ]  # customer -> step, score, band, episode, open since, closed at after the prelude

    @property
    def workload(self) -> Workload:
        return self.data.workload

    def environment(self) -> dict[str, str]:
        """Variables of a worker on this stage."""
        return {
            "DRIFTLINE_BOOTSTRAP": self.settings.bootstrap,
            "DRIFTLINE_HOME": str(self.settings.home),
            "DRIFTLINE_TOPIC_PREFIX": self.settings.topic_prefix,
        }

    def reset(self) -> None:
        """Forget what a worker wrote, and put the state after the prelude back."""
        names = [topic_for(role, self.workload, self.settings).name for role in OUTPUTS]
        recreate(self.settings, self.workload, names)
        state = topic_for("state", self.workload, self.settings).name
        for partition, records in self.start.items():
            assert records[-1][0] == MARKER
            publish(self.settings, ((state, partition, key, value) for key, value in records[:-1]))
            publish(self.settings, [(state, partition, *records[-1])])  # a batch of its own tells the log's true end


def set_stage(data: Dataset, keys: str, broker: EmbeddedBroker, home: Path) -> Stage:
    """Load a data set under the prefix of its keys."""
    settings = Settings(bootstrap=broker.bootstrap, home=home, partitions=N_PARTITIONS, topic_prefix=f"{keys}.")
    bundle_dir = settings.models_dir / data.workload.name / "bench"
    bundle = read_bundle(bundle_dir) if bundle_dir.exists() else create_bundle(settings.models_dir, data)
    create_topics(settings, data.workload)
    prelude, day = data.logs
    for logs in (prelude, day):
        publish(settings, records_of(settings, logs))
    codec = Codec(FileRegistry.for_workload(data.workload))
    publish(settings, _clocks(data.workload, settings, codec))
    releases = topic_for("model-releases", data.workload, settings).name
    publish(settings, [(releases, 0, b"bench", codec.encode("model_release", release_record(bundle)))])
    heart = Heart.of(data, bundle, settings.topic_prefix)
    heart.apply(prelude, DAY, lambda checkpoint: None)
    return Stage(data, settings, bundle, heart.state_records(), _decisions(heart))


def _decisions(heart: Heart) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for task in heart.tasks:
        state, at = task.state, task.plan.decision_at
        slots = np.arange(state.n_slots, dtype=np.int64)
        part = state.s64.reshape(-1, state.row64)[: state.n_slots, at + op.STEP : at + op.N_DECISION + op.N_RULE]
        found |= {key.decode(): row for key, row in zip(state.customer_ids(slots), part.tolist(), strict=True)}
    return found


def recreate(settings: Settings, workload: Workload, names: list[str]) -> None:
    """Delete topics and create those of the workload again, empty."""
    delete_topics(settings, names)
    create_topics(settings, workload)


def recreate_named(settings: Settings, names: list[str], n_partitions: int) -> None:
    """Delete topics that are no workload's and create them again, empty."""
    admin = delete_topics(settings, names)
    for future in admin.create_topics([NewTopic(name, n_partitions, 1) for name in names]).values():
        future.result(30)


def delete_topics(settings: Settings, names: list[str]) -> AdminClient:
    admin = AdminClient(settings.kafka_config() | {"log_level": 2})
    there = set(admin.list_topics(timeout=10).topics)
    wanted = [name for name in names if name in there]
    if wanted:
        for future in admin.delete_topics(wanted, operation_timeout=30).values():
            future.result(30)
    deadline = time.monotonic() + 30
    while set(names) & set(admin.list_topics(timeout=10).topics) and time.monotonic() < deadline:
        time.sleep(0.05)
    return admin


def publish(settings: Settings, records: Iterable[tuple[str, int, bytes, bytes]]) -> None:
    """Write (topic, partition, key, value) records and wait until the broker has them all."""
    failures: list[str] = []
    producer = Producer(
        settings.kafka_config()
        | {
            "acks": "all", "enable.idempotence": True, "compression.type": "lz4", "linger.ms": 20, "log_level": 2,
            "batch.size": 1 << 20, "message.max.bytes": 16 << 20, "queue.buffering.max.messages": 500_000,
            "delivery.report.only.error": True,
            "on_delivery": lambda error, _: failures.append(str(error)) if error else None,
        }
    )  # fmt: skip
    for topic, partition, key, value in records:
        while True:
            try:
                producer.produce(topic, value, key, partition)
                break
            except BufferError:
                producer.poll(0.05)
    left = producer.flush(TIMEOUT_S)
    if left or failures:
        raise RuntimeError(f"{left} records were not taken by the broker: {failures[:1]}")


def records_of(settings: Settings, logs: Mapping[tuple[str, int], Log]) -> Iterable[tuple[str, int, bytes, bytes]]:
    for (topic, partition), log in logs.items():
        for key, value in zip(log.keys, log.values, strict=True):
            yield settings.topic_prefix + topic, partition, key, value


def _clocks(workload: Workload, settings: Settings, codec: Codec) -> list[tuple[str, int, bytes, bytes]]:
    name = topic_for("clock", workload, settings).name
    records: list[tuple[str, int, bytes, bytes]] = []
    for day in (DAY, DAY + 1):
        content: dict[str, Any] = {"event_id": f"clock-{day}", "day": day, "time_ms": day * DAY_MS}
        records += [(name, partition, b"clock", codec.encode("clock", content)) for partition in range(N_PARTITIONS)]
    return records
