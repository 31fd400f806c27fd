"""Does the broker keep the promises of transactions? Asked by doing: an aborted record must stay invisible.

Some brokers answer all transaction requests and hide nothing, so their word alone is worth nothing.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from schemas.errors import BrokerError
from schemas.settings import Settings

DEADLINE_S = 20.0
_NOT_THERE = {KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION}


def has_transactions(settings: Settings, topic: str) -> bool:
    """Whether ``read_committed`` hides what was aborted on this broker; writes two small records to ``topic``.

    Blocking: call it in an executor thread.

    Raises
    ------
    BrokerError
        When the broker gave no answer to go by: a worker must not promise less because of a bad moment.
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
        visible = _first_visible(settings, topic, first, name)
    except KafkaException as cause:
        error = cause.args[0]
        if error.code() in _NOT_THERE:
            return False
        raise _unknown(settings, error.str()) from cause
    if visible is None:
        raise _unknown(settings, f"topic {topic} did not show what was committed")
    return visible == f"{name}/committed"


def _unknown(settings: Settings, why: str) -> BrokerError:
    return BrokerError(
        settings.bootstrap,
        f"cannot tell whether it has transactions ({why}); start again, or choose by DRIFTLINE_DELIVERY=at-least-once",
    )


def _write(producer: Producer, topic: str, content: str) -> int:
    """Offset of one record in a transaction that stays open; KafkaException when it is not taken."""
    places: list[int] = []

    def keep(error: Any, message: Any) -> None:
        if error is None:
            places.append(message.offset())

    producer.begin_transaction()
    producer.produce(topic, content.encode(), b"probe", 0, on_delivery=keep)
    producer.flush(DEADLINE_S)
    if not places:
        raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))
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
