"""Live traffic: events made at their moment, at a steady pace, and a subscriber that notes when alerts become readable.

Recorded time runs as the wall clock does, from a moment shortly before the midnight of `MIDNIGHT`: whatever carries a
moment of recorded time says by that when it was made.
"""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from bench.dataset import DAY, DAY_MS, N_PARTITIONS, Dataset
from schemas.batch_codec import BatchEncoder, keys_of
from schemas.codec import Codec
from schemas.events import EventBatch
from schemas.partition import partitions_of
from schemas.registry import FileRegistry
from schemas.settings import Settings

MIDNIGHT = (DAY + 1) * DAY_MS
SLICE_S = 0.01
EACH = 5  # slices between two sends of a topic: a client gathers for 50 ms, and topics do not go in lockstep
Alert = tuple[float, str, str]  # seconds from event to reader, row kind, status


class LiveFeed:
    """Publishes the day of a data set again, its times replaced by the moment of sending."""

    def __init__(
        self, settings: Settings, data: Dataset, events_per_s: int, seconds: float, midnight_after_s: float
    ) -> None:
        self.settings, self.events_per_s, self.seconds = settings, events_per_s, seconds
        self.offset_ms = 0  # recorded time minus wall time
        self.midnight_after_s = midnight_after_s
        self.latest_slice_s = 0.0  # how late the feed itself was
        self.n_sent = 0
        random = np.random.default_rng(3)
        self._day = [batch.take(random.permutation(len(batch))) for batch in data.day]
        self._n_sent = [0] * len(self._day)
        self._encoder = BatchEncoder(data.workload)
        self._codec = Codec(FileRegistry.for_workload(data.workload))
        self._producer = Producer(
            settings.kafka_config() | {"linger.ms": 0, "acks": "all", "enable.idempotence": True, "log_level": 0}
        )

    def warm(self) -> None:
        """Compile the encoder."""
        for batch in self._day:
            self._encoder.encode(batch.take(slice(0, 2)))

    def run(self) -> None:
        """Send at the pace, and the clock at midnight; returns behind the last event."""
        began = time.time()
        self.offset_ms = MIDNIGHT - int((began + self.midnight_after_s) * 1000)
        n_slices, has_clock = int(self.seconds / SLICE_S), False
        for i in range(n_slices):
            wait = began + i * SLICE_S - time.time()
            time.sleep(max(0.0, wait))
            self.latest_slice_s = max(self.latest_slice_s, -wait)
            if not has_clock and time.time() - began >= self.midnight_after_s:
                has_clock = True
                self._send_clock()
            self._send(i, n_slices)
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    def _send(self, i: int, n_slices: int) -> None:
        share = self.events_per_s * self.seconds / sum(map(len, self._day))
        for n, batch in enumerate(self._day):
            if i % EACH == n % EACH or i == n_slices - 1:
                due = int((i + 1) * len(batch) * share / n_slices)
                part = batch.take(np.arange(self._n_sent[n], due) % len(batch))
                self._n_sent[n] = due
                if len(part):
                    self._publish(part, f"{i}")

    def _publish(self, part: EventBatch, name: str) -> None:
        now = np.full(len(part), int(time.time() * 1000) + self.offset_ms, np.int64)
        ids = np.array([f"{part.topic}-live-{name}-{j}" for j in range(len(part))], object)
        part = replace(part, event_time_ms=now, known_time_ms=now, event_id=ids)
        partitions = partitions_of(part.customer_id, N_PARTITIONS)
        topic = self.settings.topic_prefix + part.topic
        for key, value, partition in zip(keys_of(part), self._encoder.encode(part), partitions.tolist(), strict=True):
            self._producer.produce(topic, value, key, partition)
        self.n_sent += len(part)

    def _send_clock(self) -> None:
        content: dict[str, Any] = {"event_id": "clock-live", "day": DAY + 1, "time_ms": MIDNIGHT}
        record = self._codec.encode("clock", content)
        for partition in range(N_PARTITIONS):
            self._producer.produce(self.settings.topic_prefix + "clock", record, b"clock", partition)


class AlertWatch:
    """A ``read_committed`` subscriber in a process of its own."""

    def __init__(self, settings: Settings) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_watch, args=(settings, theirs), daemon=True)
        self._process.start()
        assert self._pipe.recv() == "ready"

    def stop(self, offset_ms: int) -> list[tuple[float, Alert]]:
        """(Moment of recorded time in ms, alert) of everything that came."""
        self._pipe.send("stop")
        seen: list[tuple[float, float, str, str]] = self._pipe.recv()
        self._process.join(10)
        return [(as_of, ((at + offset_ms - as_of) / 1000, kind, status)) for at, as_of, kind, status in seen]


def _watch(settings: Settings, pipe: Connection) -> None:
    codec = Codec(FileRegistry.fixed())
    consumer = Consumer(
        settings.kafka_config()
        | {"group.id": f"{settings.topic_prefix}latency", "enable.auto.commit": False,
           "isolation.level": "read_committed", "fetch.wait.max.ms": 100}
    )  # fmt: skip
    topic = f"{settings.topic_prefix}alerts"
    consumer.assign([TopicPartition(topic, p, OFFSET_END) for p in range(N_PARTITIONS)])
    consumer.poll(2.0)
    pipe.send("ready")
    seen: list[tuple[float, float, str, str]] = []
    while not pipe.poll():
        for message in consumer.consume(500, 0.02):
            if message.error() is None:
                at = time.time() * 1000
                alert = codec.decode(message.value(), "alert")
                seen.append((at, alert["as_of_ms"], alert["row_kind"], alert["status"]))
    pipe.recv()
    pipe.send(seen)
    consumer.close()
