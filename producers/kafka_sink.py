"""Events into Kafka: a producer that loses nothing in silence, and a reader of what the topics already hold.

The only module of this folder that touches the Kafka client.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from producers.errors import SinkError
from schemas.batch_codec import BatchEncoder, keys_of
from schemas.codec import Codec
from schemas.durations import DAY_MS
from schemas.errors import BrokerError
from schemas.events import EventBatch
from schemas.partition import partitions_of
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.workload import Workload

CLOCK: Final = "clock"
ENDS_HEADER: Final = "driftline-ends"
"""Header of a clock record: event topic -> how far each partition reached (at least) when it was written, as JSON."""

_DELIVERY_MS: Final = 60_000
_SILENCE_S: Final = 30.0
_POLL_S: Final = 0.1


class KafkaSink:
    """Publishes events and clock records; `flush` returns only when the broker has acknowledged all of them.

    The producer is idempotent (acks from all replicas, order kept, no duplicates by retries). The partition is
    murmur2 of the key, set explicitly, because librdkafka's own default differs from Java's.

    Parameters
    ----------
    settings
        Broker, number of partitions and topic prefix.
    workload
        Event topics and their schemas.
    ends
        Event topic -> end offsets by partition, from which the sink counts on; None: the topics are empty.
    delivery_ms
        How long a record may wait for its acknowledgement.

    Examples
    --------
    ::

        with KafkaSink(settings, workload) as sink:
            sink.publish(batch)
            sink.flush()
    """

    def __init__(
        self,
        settings: Settings,
        workload: Workload,
        ends: Mapping[str, Sequence[int]] | None = None,
        *,
        delivery_ms: int = _DELIVERY_MS,
    ) -> None:
        self._settings = settings
        registry = FileRegistry.for_workload(workload)
        self._encoder, self._codec = BatchEncoder(workload, registry), Codec(registry)
        self._errors: list[tuple[str, str]] = []
        none = [0] * settings.partitions
        self._ends = {topic.name: np.array((ends or {}).get(topic.name, none)) for topic in workload.topics}
        self._producer = Producer(
            settings.kafka_config()
            | {
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": 20,
                "queue.buffering.max.messages": 200_000,
                "queue.buffering.max.kbytes": 256 * 1024,
                "delivery.timeout.ms": delivery_ms,
                "delivery.report.only.error": True,
                "on_delivery": self._on_failure,
                "error_cb": self._on_error,
                "log_level": 2,
            }
        )
        self.n_events = 0

    def publish(self, batch: EventBatch) -> None:
        """Hand over events; waits while the producer's queue is full.

        Raises
        ------
        SinkError
            When an earlier record was not delivered, or these cannot be taken.
        """
        if not len(batch):
            return
        values, keys = self._encoder.encode(batch), keys_of(batch)
        partitions = partitions_of(batch.customer_id, self._settings.partitions)
        topic, produce = self._settings.topic_prefix + batch.topic, self._producer.produce
        try:
            for value, key, partition in zip(values, keys, partitions.tolist(), strict=True):
                try:
                    produce(topic, value, key, partition)
                except BufferError:
                    self._produce_when_there_is_room(topic, value, key, partition)
        except KafkaException as cause:
            raise SinkError(topic, f"cannot take an event: {_say(cause)}") from cause
        self.n_events += len(batch)
        self._ends[batch.topic] += np.bincount(partitions, minlength=self._settings.partitions)
        self._check()

    def publish_clock(self, day: int, partitions: Sequence[int] | None = None) -> None:
        """Say that every event known before `day` 00:00 UTC has been written; waits for the acknowledgement.

        Parameters
        ----------
        day
            Days since 1970.
        partitions
            Where to say so; None is every partition.

        Raises
        ------
        SinkError
            When events before it, or the clock record, were not delivered.
        """
        self.flush()
        value = self._codec.encode(CLOCK, {"event_id": f"clock-{day}", "day": day, "time_ms": day * DAY_MS})
        headers = self._clock_headers()
        topic = self._settings.topic_prefix + CLOCK
        try:
            for partition in range(self._settings.partitions) if partitions is None else partitions:
                self._producer.produce(topic, value, CLOCK.encode(), partition, headers=headers)
        except KafkaException as cause:
            raise SinkError(topic, f"cannot take a clock record: {_say(cause)}") from cause
        self.flush()

    def flush(self) -> None:
        """Wait until every record is acknowledged.

        Raises
        ------
        SinkError
            When one was not.
        """
        while self._producer.flush(_POLL_S * 10):
            self._check()
        self._check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        else:
            self._producer.purge()

    def _clock_headers(self) -> dict[str, str | bytes | None]:
        ends = {name: ends.tolist() for name, ends in self._ends.items()}
        return {ENDS_HEADER: json.dumps(ends).encode()}

    def _produce_when_there_is_room(self, topic: str, value: bytes, key: bytes, partition: int) -> None:
        while True:
            self._producer.poll(_POLL_S)
            self._check()
            try:
                self._producer.produce(topic, value, key, partition)
            except BufferError:
                continue
            return

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._errors.append((message.topic() or "", error.str()))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._errors.append((self._settings.topic_prefix + "*", error.str()))

    def _check(self) -> None:
        if self._errors:
            topic, detail = self._errors[0]
            raise SinkError(topic, f"{len(self._errors)} record(s) not delivered, the first because: {detail}")


@dataclass(frozen=True)
class TopicRecord:
    """One record as it stands in a topic."""

    partition: int
    offset: int
    value: bytes | None
    headers: Mapping[str, bytes]


class TopicReader:
    """Reads topics to their true end.

    The end comes from the fetches themselves: some brokers answer a question for it with the last batch's begin.

    Parameters
    ----------
    settings
        Broker and topic prefix.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = Consumer(
            settings.kafka_config()
            | {
                "group.id": f"{settings.topic_prefix}driftline-replay",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
                "isolation.level": "read_committed",
                "log_level": 2,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def bounds(self, topic: str) -> list[tuple[int, int]]:
        """First offset and *at most* the end offset of every partition, as the broker answers."""
        name = self._settings.topic_prefix + topic
        try:
            return [
                self._consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=15.0)
                for partition in range(self._settings.partitions)
            ]
        except KafkaException as cause:
            raise BrokerError(self._settings.bootstrap, f"topic {name}: {_say(cause)}") from cause

    def read(self, topic: str, offsets: Sequence[int]) -> Iterator[TopicRecord]:
        """The records from one offset for each partition on, to the end at the time of reading.

        Raises
        ------
        BrokerError
            When the broker stops answering.
        """
        name = self._settings.topic_prefix + topic
        self._consumer.assign([TopicPartition(name, number, offset) for number, offset in enumerate(offsets)])
        open_partitions, heard = set(range(len(offsets))), time.monotonic()
        while open_partitions:
            for message in self._consumer.consume(10_000, _POLL_S):
                heard, error = time.monotonic(), message.error()
                if error is None:
                    yield _record(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(_partition(message))
                elif error.fatal() or not error.retriable():
                    raise BrokerError(self._settings.bootstrap, f"topic {name}: {error.str()}")
            if time.monotonic() - heard > _SILENCE_S:
                raise BrokerError(self._settings.bootstrap, f"topic {name}: no answer for {_SILENCE_S:.0f} s")


def _record(message: Message) -> TopicRecord:
    pairs: Any = message.headers() or []
    headers = {name: value for name, value in pairs if isinstance(value, bytes)}
    return TopicRecord(_partition(message), message.offset() or 0, message.value(), headers)


def _partition(message: Message) -> int:
    partition = message.partition()
    return -1 if partition is None else partition


def _say(cause: KafkaException) -> str:
    error: Any = cause.args[0]
    return str(error.str()) if isinstance(error, KafkaError) else str(cause)
