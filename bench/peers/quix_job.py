"""Quix Streams: one dataframe of all topics, a stateful function for each event, and a sink that scores a checkpoint's
rows at once. State is the engine's own: RocksDB and a changelog topic.

Left out: the order between topics; the decisions about scores and alerts are kept in memory and not in the engine's
state (a sink has none). ``python -m bench.peers.quix_job job.json``
"""

from __future__ import annotations

import os
import sys
from functools import reduce
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from quixstreams import Application
from quixstreams.models.serializers import Deserializer
from quixstreams.models.topics import admin
from quixstreams.sinks.base import BatchingSink

from bench.peers.plain_job import PlainJob, Row

COMMIT_S = 1.0


class Avro(Deserializer):  # type: ignore[misc]
    """Confluent wire format, without a look at the id."""

    def __init__(self, job: PlainJob, topic: str) -> None:
        super().__init__()
        self.job, self.topic = job, topic

    def __call__(self, value: bytes, ctx: Any) -> dict[str, Any]:
        return self.job.decode(self.topic, value)


class Scores(BatchingSink):  # type: ignore[misc]
    """Scores what came since the last checkpoint; done when all of the prefix is there."""

    def __init__(self, job: PlainJob) -> None:
        super().__init__()
        self.job, self.n_written = job, 0
        self.producer = Producer({"bootstrap.servers": job.job["bootstrap"], "linger.ms": 20, "acks": "all"})

    def write(self, batch: Any) -> None:
        items = [item.value for item in batch]
        for role, key, value in self.job.decide([Row(*item) for item in items if item is not None]):
            self.producer.produce(self.job.topic(role), value, key)
        self.producer.flush()


def watch_topics() -> None:
    """The embedded broker does not tell how long it keeps a topic, which the engine insists on."""
    inspect = admin.TopicAdmin.inspect_topics

    def inspect_topics(self: Any, *arguments: Any, **named: Any) -> Any:
        found = inspect(self, *arguments, **named)
        for config in found.values():
            if config is not None:
                config.extra_config.setdefault("retention.ms", "-1")
        return found

    admin.TopicAdmin.inspect_topics = inspect_topics


def main() -> None:
    """Run one job."""
    watch_topics()
    job = PlainJob(Path(sys.argv[1]))
    app = Application(
        broker_address=job.job["bootstrap"], consumer_group=f"{job.prefix}quix-{os.getpid()}", commit_interval=COMMIT_S,
        auto_offset_reset="earliest", state_dir=str(job.path.parent / "quix"), loglevel="ERROR",
        consumer_extra_config={
            "session.timeout.ms": 10_000, "fetch.queue.backoff.ms": 10, "fetch.wait.max.ms": 20
        },
    )  # fmt: skip

    def apply(record: dict[str, Any], store: Any) -> Any:
        job.meter.begin()
        key = record["customer_id"]
        state = store.get("state") or job.first_state(key)
        row = job.apply(key, state, record)
        store.set("state", state)
        job.meter.n_events += 1
        return None if row is None else (row.key, row.as_of, row.kind, row.features)

    frames = [app.dataframe(app.topic(job.topic(name), value_deserializer=Avro(job, name))) for name in job.schemas]
    merged = reduce(lambda one, other: one.concat(other), frames)
    merged.apply(apply, stateful=True).sink(Scores(job))
    finish_when_saved(app, job)
    app.run()


def finish_when_saved(app: Any, job: PlainJob) -> None:
    """End the process after the checkpoint that holds the last event."""
    from quixstreams.checkpointing import Checkpoint

    commit = Checkpoint.commit

    def committed(self: Any, *arguments: Any, **named: Any) -> None:
        commit(self, *arguments, **named)
        if job.is_done:
            job.finish()

    Checkpoint.commit = committed


if __name__ == "__main__":
    main()
