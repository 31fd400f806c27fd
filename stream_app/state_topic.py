"""Reads a partition of the state topic to its true end. The only module of the stream that touches confluent-kafka's
consumer for state.

Blocking: call it in an executor thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import BrokerError
from schemas.settings import Settings
from stream_app.checkpoint import Record

DEADLINE_S = 120.0


def read_partition(settings: Settings, topic: str, partition: int, position: list[int]) -> Iterator[Record]:
    """Yield (key, value) of every record; ``position[0]`` is where the log ended when all were read.

    Some brokers report an end below the true one, so reading goes on until that is reached and a fetch found nothing
    more.

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
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 65_536,
        }
    )
    try:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30.0)
        position[0] = first
        consumer.assign([TopicPartition(topic, partition, first)])
        deadline = time.monotonic() + DEADLINE_S
        while True:
            for message in consumer.consume(5000, 0.1):
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                position[0] = message.offset() or 0  # of the end too: behind what a transaction left there
                if error is None:
                    position[0] += 1
                    deadline = time.monotonic() + DEADLINE_S
                    yield message.key() or b"", message.value() or b""
                elif position[0] >= end:
                    return
            if time.monotonic() > deadline:
                raise BrokerError(
                    settings.bootstrap, f"topic {topic} partition {partition}: stopped short of offset {end}"
                )
    except KafkaException as cause:
        raise BrokerError(settings.bootstrap, f"topic {topic} partition {partition}: {cause.args[0]}") from cause
    finally:
        consumer.close()


def end_of(settings: Settings, topic: str, partition: int) -> int:
    """Where the partition ends, as the broker says; right when its last batch holds one record, as after a marker."""
    name = f"{settings.topic_prefix}driftline-restore"
    consumer = Consumer(settings.kafka_config() | {"group.id": name, "isolation.level": "read_committed"})
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30.0)[1])
    except KafkaException as cause:
        raise BrokerError(settings.bootstrap, f"topic {topic} partition {partition}: {cause.args[0]}") from cause
    finally:
        consumer.close()
