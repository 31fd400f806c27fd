"""A worker as its users run it, and what it left on the broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topics import topic_for
from schemas.workload import Workload
from stream_app.partition_task import PartitionTask
from stream_app.plan import Plan
from stream_app.restore import restore
from stream_app.state_topic import read_partition
from tests.streams import Logs, new_task

Record = tuple[int, bytes | None, bytes | None]


def wait_for(is_so: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
    """Wait until a condition holds, with a deadline."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"waited {within_s:.0f} s for: {what}"
        time.sleep(0.02)


class WorkerProcess:
    """``driftline worker`` in a process of its own."""

    def __init__(self, settings: Settings, folder: Path, instance: str | None = None) -> None:
        self.arguments = [] if instance is None else ["--instance", instance]
        self.environment = {name: v for name, v in os.environ.items() if not name.startswith("DRIFTLINE_")} | {
            "DRIFTLINE_BOOTSTRAP": settings.bootstrap,
            "DRIFTLINE_HOME": str(settings.home),
            "DRIFTLINE_TOPIC_PREFIX": settings.topic_prefix,
            "DRIFTLINE_PARTITIONS": str(settings.partitions),
            "DRIFTLINE_WORKLOAD": settings.workload,
        }
        self.status_file = folder / f"{instance or 'worker'}.json"
        self.log_file = folder / f"{instance or 'worker'}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, crash_at: str = "") -> None:
        """Start it; its first status is that of this process. It ends where ``crash_at`` says."""
        self.status_file.unlink(missing_ok=True)
        with self.log_file.open("ab") as log:
            command = [sys.executable, "-m", "driftline", "worker", "--checkpoint", "0.2"]
            self.process = subprocess.Popen(
                [*command, "--status", str(self.status_file), *self.arguments],
                env=self.environment | {"DRIFTLINE_CRASH_AT": crash_at}, stdout=log, stderr=log,
            )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """Its newest counters; empty before the first."""
        assert self.process is not None
        assert self.process.poll() is None, self.log_file.read_text()[-2000:]
        try:
            found: dict[str, Any] = json.loads(self.status_file.read_text())
        except FileNotFoundError:
            return {}
        return found

    def is_ready(self) -> bool:
        """Whether it owns partitions."""
        return bool(self.status().get("partitions"))

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)


def read_all(settings: Settings, topic: str, partition: int) -> list[Record]:
    """Every record of a topic-partition: (timestamp, key, value)."""
    consumer = Consumer(
        settings.kafka_config()
        | {"group.id": f"{settings.topic_prefix}test", "enable.auto.commit": False, "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    found: list[Record] = []
    try:
        while True:
            for message in consumer.consume(5000, 5.0):
                if message.error():
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    return found
                found.append((message.timestamp()[1], message.key(), message.value()))
    finally:
        consumer.close()


def logs_of(settings: Settings, workload: Workload) -> Logs:
    """The source topics as they stand on the broker."""
    logs = Logs(workload, settings.partitions)
    codec = Codec(FileRegistry.for_workload(workload))
    for source, topic in enumerate(workload.topics):
        for partition in range(settings.partitions):
            logs.topics[source][partition].records = read_all(settings, settings.topic_prefix + topic.name, partition)
    clock = read_all(settings, topic_for("clock", workload, settings).name, 0)
    logs.clock = [int(codec.decode(value)["day"]) for _, _, value in clock]
    return logs


def state_of(settings: Settings, plan: Plan, partition: int) -> PartitionTask:
    """The partition as a restarted worker would find it."""
    topic = topic_for("state", plan.workload, settings).name
    task = new_task(plan, partition, settings.partitions)
    restore(task, read_partition(settings, topic, partition, [0]), topic)
    return task


def journals_of(settings: Settings, workload: Workload, partition: int) -> list[bytes]:
    """Journal records in order; one that was published again counts once."""
    records = read_all(settings, topic_for("journal", workload, settings).name, partition)
    return list({key: value or b"" for _, key, value in records}.values())
