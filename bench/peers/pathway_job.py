"""Pathway: tables of raw records, grouped by customer, a reducer that takes a customer's records of an engine batch,
and a subscriber that scores the batch's rows at once and writes them. State is the engine's own, persisted to a folder.

Left out: the order between topics beyond an engine batch; the decisions about scores and alerts are kept in memory.
``python -m bench.peers.pathway_job job.json``
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pathway as pw
from confluent_kafka import Producer

from bench.peers.plain_job import PlainJob, Row
from bench.plain_state import State

COMMIT_MS = 500
SNAPSHOT_MS = 1000


@dataclass
class Customer:
    """A customer's state, and what its newest batch of records led to."""

    state: State
    n_records: int = 0
    rows: list[Row] = field(default_factory=list)


class Subscriber:
    """Gathers an engine batch, then scores it."""

    def __init__(self, job: PlainJob) -> None:
        self.job, self.n, self.rows = job, 0, list[Row]()
        self.producer = Producer({"bootstrap.servers": job.job["bootstrap"], "linger.ms": 20, "acks": "all"})

    def on_change(self, key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        if is_addition:
            customer: Customer = row["customer"].value
            self.n += customer.n_records
            self.rows += customer.rows

    def on_time_end(self, time: int) -> None:
        job = self.job
        for role, key, value in job.decide(self.rows):
            self.producer.produce(job.topic(role), value, key)
        self.producer.flush()
        job.meter.n_events += self.n
        self.n, self.rows = 0, []
        if job.is_done:
            job.finish()


def create_table(job: PlainJob) -> Any:
    """Customers, updated by what the topics bring."""
    settings = {
        "bootstrap.servers": job.job["bootstrap"], "group.id": f"{job.prefix}pathway-{os.getpid()}",
        "auto.offset.reset": "earliest", "session.timeout.ms": "10000", "fetch.queue.backoff.ms": "10",
        "fetch.wait.max.ms": "20",
    }  # fmt: skip
    tables = []
    for name in job.schemas:
        table = pw.io.kafka.read(
            settings, topic=job.topic(name), format="raw", autocommit_duration_ms=COMMIT_MS, name=name
        )
        tables.append(table.select(table.key, table.data, topic=name))
    merged = tables[0].concat_reindex(*tables[1:])

    @pw.reducers.stateful_many  # type: ignore[untyped-decorator]
    def apply(old: Any, records: Any) -> Any:
        job.meter.begin()
        events = [job.decode(topic, data) for (data, topic), _ in records]
        events.sort(key=lambda record: record["known_time_ms"])
        key = events[0]["customer_id"]
        state = job.first_state(key) if old is None else old.value.state
        rows = [job.apply(key, state, record) for record in events]
        return pw.PyObjectWrapper(Customer(state, len(events), [row for row in rows if row is not None]))

    return merged.groupby(merged.key).reduce(merged.key, customer=apply(merged.data, merged.topic))


def main() -> None:
    """Run one job."""
    job = PlainJob(Path(sys.argv[1]))
    subscriber = Subscriber(job)
    pw.io.subscribe(create_table(job), on_change=subscriber.on_change, on_time_end=subscriber.on_time_end)
    folder = pw.persistence.Backend.filesystem(str(job.path.parent / "pathway"))
    persistence = pw.persistence.Config(folder, snapshot_interval_ms=SNAPSHOT_MS)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE, persistence_config=persistence)


if __name__ == "__main__":
    main()
