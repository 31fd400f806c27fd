"""Follows small topics from their beginning: what a screen shows and a supervisor waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from schemas.codec import Codec
from schemas.errors import CodecError
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topics import topic_for
from schemas.workload import Workload


class Follower:
    """Reads every partition of some topics by role, without a group."""

    def __init__(self, settings: Settings, workload: Workload, roles: Sequence[str]) -> None:
        topics = {topic_for(role, workload, settings).name: topic_for(role, workload, settings) for role in roles}
        self._roles = {name: topic.role for name, topic in topics.items()}
        self._codec = Codec(FileRegistry.fixed())
        self._consumer = Consumer(
            settings.kafka_config()
            | {
                "group.id": f"{settings.topic_prefix}driftline-follow",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
            }
        )
        self._consumer.assign(
            [TopicPartition(t.name, p, OFFSET_BEGINNING) for t in topics.values() for p in range(t.partitions)]
        )

    def poll(self, timeout_s: float = 0.05) -> list[tuple[str, dict[str, Any]]]:
        """(role, record) of what came; records that cannot be read are left out."""
        found = []
        for message in self._consumer.consume(2000, timeout_s):
            if message.error() or message.value() is None:
                continue
            try:
                found.append((self._roles[str(message.topic())], self._codec.decode(message.value())))
            except CodecError:
                continue
        return found

    def close(self) -> None:
        """Leave the topics."""
        self._consumer.close()
