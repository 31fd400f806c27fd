"""Every topic: its name, partitions, policy and record. Creating and looking at them is in `schemas.topic_admin`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from schemas.durations import DAY_MS
from schemas.errors import TopicError
from schemas.settings import Settings
from schemas.workload import Workload

FOREVER_MS = -1


@dataclass(frozen=True)
class Topic:
    """One topic as it should be.

    Parameters
    ----------
    role
        Name in the code: the event topic's name, or "clock", "scores", "latest-scores", "alerts", "drift",
        "retrain-signals", "model-releases", "dead-letters", "state", "journal", "summaries".
    name
        Name on the broker, prefix included.
    partitions, replication
        How it is made.
    cleanup
        delete keeps by time, compact keeps the newest record of a key.
    retention_ms
        For delete: how long; -1 for ever.
    schema
        Name in the registry of its records; None for bytes of our own.
    doc
        What it carries.
    is_internal
        Whether it is nobody's business but driftline's.
    max_message_bytes
        Longest record batch; None leaves the broker's default (1 MiB).
    """

    role: str
    name: str
    partitions: int
    replication: int
    cleanup: Literal["delete", "compact"]
    retention_ms: int
    schema: str | None
    doc: str
    is_internal: bool = False
    max_message_bytes: int | None = None

    def config(self) -> dict[str, str]:
        """Settings of the topic on the broker."""
        config: dict[str, str] = {"cleanup.policy": self.cleanup}
        if self.cleanup == "delete":
            config["retention.ms"] = str(self.retention_ms)
        if self.role == "state":  # what a killed writer left without a marker must not clean away what counts
            config["min.compaction.lag.ms"] = str(_HOUR_MS)
        if self.max_message_bytes is not None:
            config["max.message.bytes"] = str(self.max_message_bytes)
        if self.replication >= 3:
            config["min.insync.replicas"] = "2"
        return config


_KEPT_MS = 400 * DAY_MS
_HOUR_MS = 3_600_000
_LARGE_BYTES = 16 * 1024 * 1024

# role, partitions are those of the sources, cleanup, retention, schema, doc
_OUTPUTS: tuple[tuple[str, bool, Literal["delete", "compact"], int, str, str], ...] = (
    ("clock", True, "delete", _KEPT_MS, "clock", "Days that are complete."),
    ("scores", True, "delete", _KEPT_MS, "score", "Scores that say something new."),
    ("latest-scores", True, "compact", FOREVER_MS, "score", "The newest score of each customer."),
    ("alerts", True, "delete", _KEPT_MS, "alert", "Churn alerts, opened and closed."),
    ("drift", False, "delete", _KEPT_MS, "drift", "Comparisons with the reference."),
    ("retrain-signals", False, "compact", FOREVER_MS, "retrain_signal", "Retrain signals and where they stand."),
    ("model-releases", False, "compact", FOREVER_MS, "model_release", "Which model scores from which day."),
    ("dead-letters", True, "delete", 30 * DAY_MS, "dead_letter", "Records that were refused."),
)


def topics_for(workload: Workload, settings: Settings) -> tuple[Topic, ...]:
    """All topics of a workload: event topics in file order, outputs, then internal ones.

    Examples
    --------
    >>> from schemas.workload import load_workload
    >>> [t.name for t in topics_for(load_workload("subscription_churn"), Settings(topic_prefix="x."))][:2]
    ['x.usage', 'x.billing']
    """
    return (*_event_topics(workload, settings), *_output_topics(settings), *_internal_topics(workload, settings))


def topics_by_role(workload: Workload, settings: Settings) -> Mapping[str, Topic]:
    """`topics_for` by role."""
    return {topic.role: topic for topic in topics_for(workload, settings)}


def topic_for(role: str, workload: Workload, settings: Settings) -> Topic:
    """The topic of one role.

    Raises
    ------
    TopicError
        When there is no such role.
    """
    topics = topics_by_role(workload, settings)
    if role not in topics:
        raise TopicError(role, f"is not a topic of workload {workload.name}; there are {', '.join(topics)}")
    return topics[role]


def source_topics(workload: Workload, settings: Settings) -> tuple[str, ...]:
    """Broker names that a worker reads: the event topics in file order, then clock."""
    return tuple(settings.topic_prefix + name for name in (*(topic.name for topic in workload.topics), "clock"))


def _event_topics(workload: Workload, settings: Settings) -> list[Topic]:
    return [
        _topic(settings, topic.name, settings.partitions, "delete", FOREVER_MS, topic.name, topic.doc)
        for topic in workload.topics
    ]


def _output_topics(settings: Settings) -> list[Topic]:
    return [
        _topic(settings, role, settings.partitions if many else 1, cleanup, retention_ms, schema, doc)
        for role, many, cleanup, retention_ms, schema, doc in _OUTPUTS
    ]


def _internal_topics(workload: Workload, settings: Settings) -> list[Topic]:
    n = settings.partitions
    generation = f"state-{workload.hash[:8]}-{n}"
    return [
        _topic(settings, "state", n, "compact", FOREVER_MS, None, "Checkpoints.", name=generation, internal=True),
        _topic(settings, "journal", n, "delete", _KEPT_MS, None, "Slices taken, in order.", internal=True),
        _topic(settings, "probe", 1, "delete", _HOUR_MS, None, "Does the broker hide what was aborted?", internal=True),
        _topic(settings, "summaries", n, "delete", _KEPT_MS, "summary", "Counts for the aggregator.", internal=True),
    ]


def _topic(
    settings: Settings,
    role: str,
    partitions: int,
    cleanup: Literal["delete", "compact"],
    retention_ms: int,
    schema: str | None,
    doc: str,
    *,
    name: str | None = None,
    internal: bool = False,
) -> Topic:
    return Topic(
        role=role,
        name=settings.topic_prefix + (name or role),
        partitions=partitions,
        replication=settings.replication,
        cleanup=cleanup,
        retention_ms=retention_ms,
        schema=schema,
        doc=doc,
        is_internal=internal,
        max_message_bytes=_LARGE_BYTES if internal else None,
    )
