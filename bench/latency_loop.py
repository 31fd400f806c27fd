"""The loop that one would write by hand: confluent-kafka, a dict, one transaction each 50 ms, no model.

``python -m bench.latency_loop SECONDS``, of them between two commits: counts the events of a customer, and sends an
alert at each urgent one.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from bench.dataset import N_PARTITIONS
from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.workload import load_workload


def main() -> None:
    settings = Settings.from_env()
    commit_s = float(sys.argv[1])
    workload = load_workload(settings.workload)
    codec = Codec(FileRegistry.for_workload(workload))
    urgent = {kind.name for topic in workload.topics for kind in topic.kinds if kind.urgent}
    group = f"{settings.topic_prefix}hand"
    consumer = Consumer(
        settings.kafka_config()
        | {"group.id": group, "enable.auto.commit": False, "isolation.level": "read_committed", "fetch.wait.max.ms": 20}
    )
    names = [settings.topic_prefix + topic.name for topic in workload.topics]
    consumer.assign([TopicPartition(name, p, OFFSET_END) for name in names for p in range(N_PARTITIONS)])
    producer = Producer(settings.kafka_config() | {"transactional.id": group, "linger.ms": 0})
    producer.init_transactions(30)
    is_running = True

    def stop(*_: Any) -> None:
        nonlocal is_running
        is_running = False

    signal.signal(signal.SIGTERM, stop)
    consumer.poll(2.0)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    counts: Counter[str] = Counter()
    reached: dict[tuple[Any, Any], int] = {}
    alerts: list[tuple[bytes, bytes, Any]] = []
    committed_at = time.monotonic()
    while is_running:
        for message in consumer.consume(500, 0.005):
            if message.error() is None:
                event = codec.decode(message.value())
                reached[message.topic(), message.partition()] = int(message.offset() or 0) + 1
                customer = event["customer_id"]
                counts[customer] += 1
                if event["kind"] in urgent:
                    alert = _alert(codec, customer, counts[customer], event["event_time_ms"])
                    alerts.append((customer.encode(), alert, message.partition()))
        if reached and time.monotonic() - committed_at >= commit_s:
            committed_at = time.monotonic()
            producer.begin_transaction()
            for key, value, partition in alerts:
                producer.produce(settings.topic_prefix + "alerts", value, key, partition)
            positions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in reached.items()]
            producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata())
            producer.commit_transaction(30)
            alerts.clear()
            reached.clear()
    os._exit(0)


def _alert(codec: Codec, customer: str, number: int, as_of_ms: int) -> bytes:
    return codec.encode("alert", {
        "event_id": f"hand/{customer}/{number}", "alert_id": f"hand/{customer}", "customer_id": customer,
        "rule": "hand", "episode": number, "status": "opened", "as_of_ms": as_of_ms, "row_kind": "urgent",
        "score": 1.0, "threshold": 0.5, "model_version": "none", "reasons": [],
    })  # fmt: skip


if __name__ == "__main__":
    main()
