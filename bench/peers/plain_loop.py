"""The loop without columns: confluent-kafka, fastavro and a dict of Python states, a batch at a time.

Every second the states that changed go to a changelog as JSON. Topics are ordered by known time within a batch alone,
and no offsets are committed. ``python -m bench.peers.plain_loop job.json``
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from bench.peers.plain_job import PlainJob
from bench.plain_state import State

BATCH = 10_000
CHECKPOINT_S = 1.0


class Loop:
    """States, and the two ends of Kafka."""

    def __init__(self, job: PlainJob) -> None:
        self.job, base = job, {"bootstrap.servers": job.job["bootstrap"]}
        self.states: dict[str, State] = {}
        self.partition: dict[str, int] = {}
        self.dirty: set[str] = set()
        self.producer = Producer(base | {"linger.ms": 20, "acks": "all", "queue.buffering.max.messages": 1_000_000})
        self.consumer = Consumer(
            base
            | {"group.id": f"{job.prefix}plain", "enable.auto.commit": False}
            | {"fetch.wait.max.ms": 20, "fetch.queue.backoff.ms": 10}
        )
        self.consumer.assign([TopicPartition(job.topic(t), p, 0) for t in job.schemas for p in range(job.partitions)])

    def run(self) -> None:
        saved_at = time.monotonic()
        while not self.job.is_done:
            self.apply([m for m in self.consumer.consume(BATCH, 0.05) if m.error() is None])
            if time.monotonic() - saved_at >= CHECKPOINT_S:
                self.checkpoint()
                saved_at = time.monotonic()
        self.checkpoint()
        self.job.finish()

    def apply(self, messages: list[Message]) -> None:
        """A batch: decode, order, update, score."""
        if not messages:
            return
        job, skip = self.job, len(self.job.prefix)
        job.meter.begin()
        events = []
        for message in messages:
            value, topic = message.value(), message.topic()
            assert value is not None
            assert topic is not None
            record = job.decode(topic[skip:], value)
            self.partition[record["customer_id"]] = message.partition() or 0
            events.append(record)
        events.sort(key=lambda record: record["known_time_ms"])
        rows = []
        for record in events:
            key = record["customer_id"]
            state = self.states.get(key)
            if state is None:
                state = self.states[key] = job.first_state(key)
            row = job.apply(key, state, record)
            if row is not None:
                rows.append(row)
            self.dirty.add(key)
        job.meter.n_events += len(events)
        for role, key, encoded in job.decide(rows):
            self.produce(role, key, encoded)

    def checkpoint(self) -> None:
        for key in self.dirty:
            self.produce("changelog", key, json.dumps(self.states[key] | self.job.decisions.get(key, {})).encode())
        self.dirty.clear()
        self.producer.flush()

    def produce(self, role: str, key: str, value: bytes) -> None:
        while True:
            try:
                self.producer.produce(self.job.topic(role), value, key, self.partition[key])
                return
            except BufferError:
                self.producer.poll(0.05)


if __name__ == "__main__":
    Loop(PlainJob(Path(sys.argv[1]))).run()
