"""The state topic as the offline side uses it: what stands there, and writing a checkpoint; the topics' first offsets.

A checkpoint's marker goes out alone, once everything before it is acknowledged: without it nothing counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from offline.topic_reader import read_to_end
from schemas.errors import BrokerError
from schemas.settings import Settings
from schemas.topics import Topic
from stream_app.checkpoint import MARKER, Record

TIMEOUT_S = 120.0
MAX_RECORD_BYTES = 15 * 1024 * 1024


def read_state(settings: Settings, topic: Topic, partition: int, end: list[int]) -> Iterator[Record]:
    """Yield (key, value) of every record; ``end[0]`` is where the next one goes."""
    for messages in read_to_end(settings, topic, {partition: 0}):
        for message in messages:
            end[0] = (message.offset() or 0) + 1
            yield message.key() or b"", message.value() or b""


def write_checkpoint(settings: Settings, topic: Topic, partition: int, records: Sequence[Record]) -> None:
    """Append a checkpoint to its partition, the marker last.

    Raises
    ------
    BrokerError
        When a record was not accepted; then there is no marker, and readers pass over the rest.
    """
    config: dict[str, Any] = settings.kafka_config() | {
        "acks": "all",
        "max.in.flight": 1,  # order
        "message.max.bytes": MAX_RECORD_BYTES,
        "message.timeout.ms": int(TIMEOUT_S * 1000),
        "queue.buffering.max.kbytes": 64 * 1024,
        "log_level": 2,
    }
    producer = Producer(config)
    assert records[-1][0] == MARKER
    for part in (records[:-1], records[-1:]):
        _send(settings, producer, topic, partition, part)


def _send(settings: Settings, producer: Producer, topic: Topic, partition: int, records: Iterable[Record]) -> None:
    failures: list[str] = []

    def note(error: Any, _: Any) -> None:
        if error is not None:
            failures.append(error.str())

    for key, value in records:
        while not _is_queued(producer, topic, partition, key, value, note):
            producer.poll(0.1)
        producer.poll(0)
    if producer.flush(TIMEOUT_S) or failures:
        raise BrokerError(settings.bootstrap, f"{topic.name}: {failures[0] if failures else 'no acknowledgement'}")


def _is_queued(producer: Producer, topic: Topic, partition: int, key: bytes, value: bytes, note: Any) -> bool:
    try:
        producer.produce(topic.name, value, key, partition, on_delivery=note)
    except BufferError:
        return False
    return True


def bounds_of(settings: Settings, topics: Sequence[str], partition: int) -> list[tuple[int, int]]:
    """(first offset, end) of a partition of each topic, as the broker says.

    Raises
    ------
    BrokerError
        When it does not.
    """
    name = settings.topic_prefix + "driftline-offline"
    with closing(Consumer(settings.kafka_config() | {"group.id": name, "log_level": 2})) as consumer:
        try:
            return [consumer.get_watermark_offsets(TopicPartition(t, partition), timeout=30.0) for t in topics]
        except KafkaException as cause:
            raise BrokerError(settings.bootstrap, str(cause.args[0])) from cause
