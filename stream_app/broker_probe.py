"""Does the broker keep the promises of transactions? Asked by doing: an aborted record must stay invisible.

Some brokers answer all transaction requests and hide nothing, so their word alone is worth nothing.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from schemas.settings import Settings

DEADLINE_S = 20.0


def has_transactions(settings: Settings, topic: str) -> bool:
    """Whether ``read_committed`` hides what was aborted on this broker; writes two small records to ``topic``.

    Blocking: call it in an executor thread.
    """
    name = uuid.uuid4().hex
    producer = Producer(
        settings.kafka_config()
        | {"transactional.id": f"{settings.topic_prefix}driftline-probe-{name}", "linger.ms": 0, "log_level": 0}
    )
    try:
        producer.init_transactions(DEADLINE_S)
        first = _write(producer, topic, f"{name}/aborted")
        producer.abort_transaction(DEADLINE_S)
        _write(producer, topic, f"{name}/committed")
        producer.commit_transaction(DEADLINE_S)
    except (KafkaException, RuntimeError):
        return False
    return _first_visible(settings, topic, first, name) == f"{name}/committed"


def _write(producer: Producer, topic: str, content: str) -> int:
    """Offset of one record in a transaction that stays open."""
    places: list[int] = []

    def keep(error: Any, message: Any) -> None:
        if error is None:
            places.append(message.offset())

    producer.begin_transaction()
    producer.produce(topic, content.encode(), b"probe", 0, on_delivery=keep)
    producer.flush(DEADLINE_S)
    if not places:
        raise RuntimeError("the probe was not taken")
    return places[0]


def _first_visible(settings: Settings, topic: str, first: int, name: str) -> str | None:
    consumer = Consumer(
        settings.kafka_config()
        | {
            "group.id": f"{settings.topic_prefix}driftline-probe",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "log_level": 0,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, first)])
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                content = (message.value() or b"").decode(errors="replace")
                if content.startswith(name):
                    return content
    finally:
        consumer.close()
    return None
