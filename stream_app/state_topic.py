"""Reads a partition of the state topic to its true end. The only module of the stream that touches confluent-kafka's
consumer for state.

Blocking: call it in an executor thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.errors import BrokerError
from schemas.settings import Settings
from stream_app.checkpoint import Record

QUIET_S = 0.3
DEADLINE_S = 120.0


def read_partition(settings: Settings, topic: str, partition: int, position: list[int]) -> Iterator[Record]:
    """Yield (key, value) of every record; ``position[0]`` is where the log ended when all were read.

    Some brokers report an end below the true one, so reading goes on until it is both reached and quiet.

    Raises
    ------
    BrokerError
        When the broker does not answer.
    """
    consumer = Consumer(
        settings.kafka_config()
        | {
            "group.id": f"{settings.topic_prefix}driftline-restore",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 65_536,
        }
    )
    try:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30.0)
        position[0] = first
        consumer.assign([TopicPartition(topic, partition, first)])
        quiet_since, deadline = time.monotonic(), time.monotonic() + DEADLINE_S
        while True:
            for message in consumer.consume(5000, 0.1):
                if message.error():
                    raise KafkaException(message.error())
                position[0] = (message.offset() or 0) + 1
                quiet_since = time.monotonic()
                yield message.key() or b"", message.value() or b""
            now = time.monotonic()
            if position[0] >= end and (end == first or now - quiet_since > QUIET_S):
                return
            if now - quiet_since > QUIET_S and now > deadline:
                raise BrokerError(
                    settings.bootstrap, f"topic {topic} partition {partition}: stopped short of offset {end}"
                )
    except KafkaException as cause:
        raise BrokerError(settings.bootstrap, f"topic {topic} partition {partition}: {cause.args[0]}") from cause
    finally:
        consumer.close()


def end_of(settings: Settings, topic: str, partition: int) -> int:
    """Where the partition ends, as the broker says; right when its last batch holds one record, as after a marker."""
    consumer = Consumer(settings.kafka_config() | {"group.id": f"{settings.topic_prefix}driftline-restore"})
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30.0)[1])
    except KafkaException as cause:
        raise BrokerError(settings.bootstrap, f"topic {topic} partition {partition}: {cause.args[0]}") from cause
    finally:
        consumer.close()
