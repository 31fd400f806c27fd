"""Topics on the broker: create those that are missing, compare those that are there.

The only module of the contracts that uses the network.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.errors import BrokerError, TopicError
from schemas.settings import Settings
from schemas.topics import Topic, topics_for
from schemas.workload import Workload

_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class TopicState:
    """One declared topic and what the broker has.

    Parameters
    ----------
    topic
        As declared.
    n_partitions
        On the broker; None when the topic is missing.
    """

    topic: Topic
    n_partitions: int | None

    @property
    def verdict(self) -> str:
        """ok, missing, or what differs."""
        if self.n_partitions is None:
            return "missing"
        if self.n_partitions != self.topic.partitions:
            return f"has {self.n_partitions} partitions, declared {self.topic.partitions}"
        return "ok"


def describe_topics(settings: Settings, workload: Workload) -> tuple[TopicState, ...]:
    """Every declared topic beside what the broker has; never creates one.

    Raises
    ------
    BrokerError
        When the broker cannot be reached.
    """
    found = _partitions(settings, _admin(settings))
    return tuple(TopicState(topic, found.get(topic.name)) for topic in topics_for(workload, settings))


def create_topics(settings: Settings, workload: Workload) -> tuple[Topic, ...]:
    """Create what is missing; a second call creates nothing.

    Returns
    -------
    tuple of Topic
        Those that were created.

    Raises
    ------
    TopicError
        When a topic exists with another number of partitions, or the broker refuses one.
    BrokerError
        When the broker cannot be reached.
    """
    admin = _admin(settings)
    found = _partitions(settings, admin)
    missing = []
    for topic in topics_for(workload, settings):
        state = TopicState(topic, found.get(topic.name))
        if state.verdict == "missing":
            missing.append(topic)
        elif state.verdict != "ok":
            raise TopicError(topic.name, state.verdict)
    return tuple(topic for topic in missing if _is_created(settings, admin, topic))


def _admin(settings: Settings) -> AdminClient:
    config: dict[str, Any] = settings.kafka_config() | {"socket.timeout.ms": 10_000, "log_level": 2}
    return AdminClient(config)


def _partitions(settings: Settings, admin: AdminClient) -> Mapping[str, int]:
    """Topic -> partitions, of all topics: asking for one by name would create it on some brokers."""
    if all(_is_refused(address) for address in settings.bootstrap.split(",")):
        raise BrokerError(settings.bootstrap, "nobody listens there (connection refused)")
    try:
        metadata = admin.list_topics(timeout=_TIMEOUT_S)
    except KafkaException as cause:
        raise BrokerError(settings.bootstrap, _say(cause)) from cause
    return {name: len(topic.partitions) for name, topic in metadata.topics.items() if topic.error is None}


def _is_refused(address: str) -> bool:
    """Whether nobody listens at ``host:port``; the client itself would go on trying until its time is over."""
    host, _, port = address.strip().rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
    except ConnectionRefusedError:
        return True
    except (OSError, ValueError):
        return False  # the client may know better, and says what is wrong
    return False


def _is_created(settings: Settings, admin: AdminClient, topic: Topic) -> bool:
    new = NewTopic(topic.name, topic.partitions, topic.replication, config=topic.config())
    try:
        admin.create_topics([new], request_timeout=_TIMEOUT_S)[topic.name].result(_TIMEOUT_S)
    except KafkaException as cause:
        error = cause.args[0]
        if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        if error.code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN):
            raise BrokerError(settings.bootstrap, _say(cause)) from cause
        raise TopicError(topic.name, f"cannot be created: {_say(cause)}") from cause
    except TimeoutError as cause:
        raise BrokerError(settings.bootstrap, f"did not create {topic.name} within {_TIMEOUT_S:.0f} s") from cause
    return True


def _say(cause: KafkaException) -> str:
    error = cause.args[0]
    return str(error.str()) if isinstance(error, KafkaError) else str(cause)
