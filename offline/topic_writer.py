"""Writing a few records and waiting until the broker has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Producer

from schemas.codec import Codec
from schemas.errors import BrokerError
from schemas.settings import Settings
from schemas.topics import Topic

TIMEOUT_S = 30.0


def publish(settings: Settings, topic: Topic, codec: Codec, key: str, record: Mapping[str, Any]) -> None:
    """Write one record and return once it is acknowledged by all in-sync replicas.

    Raises
    ------
    BrokerError
        When it is not, within half a minute.
    """
    failures: list[str] = []
    producer = Producer(
        settings.kafka_config()
        | {"acks": "all", "partitioner": "murmur2_random", "message.timeout.ms": int(TIMEOUT_S * 1000), "log_level": 2}
    )
    producer.produce(
        topic.name,
        value=codec.encode(str(topic.schema), record),
        key=key.encode(),
        on_delivery=lambda error, _: failures.append(error.str()) if error is not None else None,
    )
    left = producer.flush(TIMEOUT_S + 5.0)
    if left or failures:
        raise BrokerError(settings.bootstrap, f"{topic.name}: {failures[0] if failures else 'no acknowledgement'}")
