"""The logs of one partition on the broker, as records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from confluent_kafka import Consumer, KafkaException, TopicPartition

from offline.topic_reader import read_to_end
from offline.verifier.events import Record
from schemas.errors import BrokerError
from schemas.settings import Settings
from schemas.topics import topics_by_role
from schemas.workload import Workload

TIMEOUT_S = 30.0


class PartitionLogs:
    """Reads topics by role, committed records alone."""

    def __init__(self, settings: Settings, workload: Workload, partition: int) -> None:
        self.settings, self.partition = settings, partition
        self.topics = topics_by_role(workload, settings)

    def read(self, role: str) -> Iterator[Record]:
        """Records from the first that is kept to the end as it is when reached."""
        for messages in read_to_end(self.settings, self.topics[role], {self.partition: 0}):
            for message in messages:
                yield Record(message.offset() or 0, message.timestamp()[1], message.key(), message.value())

    def bounds(self, *roles: str) -> dict[str, tuple[int, int]]:
        """(first offset that is kept, end as the broker says) of topics."""
        config = {"group.id": self.settings.topic_prefix + "driftline-offline", "log_level": 2}
        with closing(Consumer(self.settings.kafka_config() | config)) as consumer:
            return {role: self._bounds(consumer, self.topics[role].name) for role in roles}

    def _bounds(self, consumer: Consumer, topic: str) -> tuple[int, int]:
        try:
            begin, end = consumer.get_watermark_offsets(TopicPartition(topic, self.partition), timeout=TIMEOUT_S)
        except KafkaException as cause:
            raise BrokerError(self.settings.bootstrap, f"topic {topic}: {cause.args[0]}") from cause
        return int(begin), int(end)
