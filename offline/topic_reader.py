"""Reading topic partitions from an offset to their end, without a consumer group.

The end is where a fetch says it is (``enable.partition.eof``), never ListOffsets, which one broker answers too early.
The offline side touches confluent_kafka here, in `topic_writer` and, sharing no code, in ``verifier/logs.py``.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from offline.errors import OfflineError
from schemas.codec import Codec
from schemas.errors import BrokerError, TopicError
from schemas.settings import Settings
from schemas.topics import Topic
from stream_app.spans import RecordSpan

POLL_S = 0.1
MESSAGES_AT_ONCE = 5_000
QUIET_LIMIT_S = 30.0


class OffsetGoneError(OfflineError):
    """The offset asked for is not in the partition: deleted by retention, or beyond the end."""

    def __init__(self, partition: int, offset: int, end: int | None) -> None:
        self.partition = partition
        self.offset = offset
        self.end = end
        super().__init__(f"partition {partition}, offset {offset}")


def read_to_end(settings: Settings, topic: Topic, offsets: Mapping[int, int] | None = None) -> Iterator[list[Message]]:
    """Messages of a topic's partitions, each up to its end as it was when reached.

    Parameters
    ----------
    offsets
        Partition -> first offset; 0 takes the oldest there is. None reads all partitions from the begin.

    Raises
    ------
    OffsetGoneError
        When a positive first offset is not there.
    TopicError
        When the topic is missing.
    BrokerError
        When the broker cannot be reached or goes quiet.
    """
    starts = dict.fromkeys(range(topic.partitions), 0) if offsets is None else dict(offsets)
    with closing(_consumer(settings)) as consumer:
        _check_topic(settings, consumer, topic)
        consumer.assign(
            [TopicPartition(topic.name, p, first if first > 0 else OFFSET_BEGINNING) for p, first in starts.items()]
        )
        open_partitions = set(starts)
        quiet_s = 0.0
        while open_partitions:
            batch = consumer.consume(MESSAGES_AT_ONCE, POLL_S)
            messages = [message for message in batch if message.error() is None]
            for message in batch:
                if message.error() is not None:
                    _note(settings, topic, message, open_partitions, starts)
            if messages:
                yield messages
            quiet_s = 0.0 if batch else quiet_s + POLL_S
            if quiet_s:
                _check_not_beyond(consumer, topic, open_partitions, starts)
            if quiet_s >= QUIET_LIMIT_S:
                raise BrokerError(settings.bootstrap, f"{topic.name} sent nothing for {QUIET_LIMIT_S:.0f} s")


def read_records(settings: Settings, topic: Topic, codec: Codec) -> list[dict[str, Any]]:
    """All decodable records of a small topic, in offset order per partition, with ``_partition`` and ``_offset``."""
    records = []
    for messages in read_to_end(settings, topic):
        for message in messages:
            if message.value() is not None:
                record = codec.decode(message.value(), topic.schema)
                records.append(record | {"_partition": message.partition(), "_offset": message.offset()})
    return records


def raw_span(messages: Sequence[Message]) -> RecordSpan:
    """Messages of one topic-partition as the decoder takes them."""
    keys = [message.key() for message in messages]
    return RecordSpan(
        np.array([message.offset() for message in messages], dtype=np.int64),
        np.array([message.timestamp()[1] for message in messages], dtype=np.int64),
        [key.encode() if isinstance(key, str) else key for key in keys],
        [message.value() for message in messages],
    )


def is_reachable(settings: Settings, timeout_s: float = 1.0) -> bool:
    """Whether any broker accepts a connection; quicker to say no than the client, which keeps trying."""
    for address in settings.bootstrap.split(","):
        host, _, port = address.strip().split("://")[-1].rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout_s):
                return True
        except (OSError, ValueError):
            continue
    return False


def _consumer(settings: Settings) -> Consumer:
    return Consumer(
        settings.kafka_config()
        | {
            "group.id": settings.topic_prefix + "driftline-offline",  # needed by the client, never joined
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "allow.auto.create.topics": False,
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": 65_536,
            "log_level": 2,
        }
    )


def _check_topic(settings: Settings, consumer: Consumer, topic: Topic) -> None:
    try:
        found = consumer.list_topics(timeout=15.0).topics
    except KafkaException as cause:
        raise BrokerError(settings.bootstrap, str(cause.args[0])) from cause
    if topic.name not in found:
        raise TopicError(topic.name, "is not on the broker; run `driftline topics create`")
    if len(found[topic.name].partitions) != topic.partitions:
        raise TopicError(topic.name, f"has {len(found[topic.name].partitions)} partitions, declared {topic.partitions}")


def _note(
    settings: Settings, topic: Topic, message: Message, open_partitions: set[int], starts: Mapping[int, int]
) -> None:
    error, partition = message.error(), message.partition()
    assert error is not None
    if error.code() == KafkaError._PARTITION_EOF:
        open_partitions.discard(-1 if partition is None else partition)
    elif error.code() == KafkaError._AUTO_OFFSET_RESET and partition is not None:
        raise OffsetGoneError(partition, starts[partition], None)
    elif error.code() not in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN) and not error.retriable():
        raise BrokerError(settings.bootstrap, f"{topic.name}: {error.str()}")


def _check_not_beyond(consumer: Consumer, topic: Topic, open_partitions: set[int], starts: Mapping[int, int]) -> None:
    """Some brokers leave a fetch beyond the end empty for ever instead of refusing it."""
    for partition in open_partitions:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic.name, partition), cached=True)
        if 0 <= end < starts[partition]:
            raise OffsetGoneError(partition, starts[partition], end)
