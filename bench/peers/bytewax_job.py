"""Bytewax: one source over all topics, a stateful step that takes a customer's events of a batch, a step that scores
the batch's rows at once, a sink. State is the engine's own: snapshots at the end of each epoch, in SQLite.

Left out: the order between topics beyond a batch; the decisions about scores and alerts are kept in memory and not in
the engine's state. ``python -m bench.peers.bytewax_job job.json``
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax._bytewax import cli_main
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir

from bench.peers.plain_job import PlainJob, Row
from bench.plain_state import State

BATCH = 10_000
EPOCH = timedelta(seconds=1)


class Customers(op.StatefulBatchLogic):  # type: ignore[misc]
    """One customer."""

    def __init__(self, job: PlainJob, resumed: bytes | None) -> None:
        self.job = job
        self.state: State | None = pickle.loads(resumed) if resumed else None

    def on_batch(self, values: list[dict[str, Any]]) -> tuple[Iterable[tuple[int, list[Row]]], bool]:
        values.sort(key=lambda record: record["known_time_ms"])
        key = values[0]["customer_id"]
        if self.state is None:
            self.state = self.job.first_state(key)
        rows = [self.job.apply(key, self.state, record) for record in values]
        return [(len(values), [row for row in rows if row is not None])], False

    def snapshot(self) -> bytes:
        return pickle.dumps(self.state, 5)


class LastSeen(StatelessSinkPartition):  # type: ignore[misc]
    """Ends the process when what was produced for the last event is on the broker."""

    def __init__(self, job: PlainJob, inner: Any) -> None:
        self.job, self.inner = job, inner

    def write_batch(self, items: list[Any]) -> None:
        self.inner.write_batch([item for item in items if item is not None])
        if self.job.is_done:
            self.job.finish()

    def close(self) -> None:
        self.inner.close()


class Sink(DynamicSink):  # type: ignore[misc]
    """The Kafka sink, watched."""

    def __init__(self, job: PlainJob) -> None:
        self.job = job
        self.inner = KafkaSink([job.job["bootstrap"]], None, {"linger.ms": "20"})

    def build(self, step_id: str, worker_index: int, worker_count: int) -> LastSeen:
        return LastSeen(self.job, self.inner.build(step_id, worker_index, worker_count))


def flow_of(job: PlainJob) -> Dataflow:
    """The job as a dataflow."""
    skip = len(job.prefix)

    def decode(messages: list[Any]) -> list[tuple[str, dict[str, Any]]]:
        job.meter.begin()
        records = [job.decode(message.topic[skip:], message.value) for message in messages]
        return [(record["customer_id"], record) for record in records]

    def score(items: list[tuple[str, tuple[int, list[Row]]]]) -> list[Any]:
        outputs = job.decide([row for _, (_, rows) in items for row in rows])
        job.meter.n_events += sum(n for _, (n, _) in items)
        found: list[Any] = [
            KafkaSinkMessage(key.encode(), value, topic=job.topic(role)) for role, key, value in outputs
        ]
        return [*found, None]

    flow = Dataflow("churn")
    settings = {"fetch.queue.backoff.ms": "10", "fetch.wait.max.ms": "20"}
    topics = [job.topic(name) for name in job.schemas]
    source = KafkaSource([job.job["bootstrap"]], topics, batch_size=BATCH, add_config=settings)
    keyed = op.flat_map_batch("decode", op.input("in", flow, source), decode)
    rows = op.stateful_batch("customers", keyed, lambda resumed: Customers(job, resumed))
    op.output("out", op.flat_map_batch("score", rows, score), Sink(job))
    return flow


def main() -> None:
    """Run one job."""
    job = PlainJob(Path(sys.argv[1]))
    folder = job.path.parent / "bytewax"
    folder.mkdir()
    init_db_dir(folder, 1)
    cli_main(flow_of(job), epoch_interval=EPOCH, recovery_config=RecoveryConfig(folder))


if __name__ == "__main__":
    main()
