"""The watch process: reads what the workers counted, lets the aggregator judge, publishes drift records and signals.

It keeps nothing. On every start it reads the summaries from the beginning and judges them again; what the output
topics already hold is not published twice, and days that they show as judged decide nothing anew. Signals are on the
broker before the drift records that led to them. The only clock here bounds how long a call may wait; nothing is
decided by it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from schemas.bundle import read_bundle, released_bundle_dir
from schemas.codec import Codec
from schemas.durations import DAY_MS
from schemas.errors import BrokerError, TopicError
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.signatures import Trust
from schemas.topics import topic_for
from schemas.workload import Workload
from stream_app.aggregate import DRIFT, SIGNALS, Aggregator, Output
from stream_app.detectors import fast_loop_detector
from stream_app.errors import ModelError
from stream_app.judge import Thresholds
from stream_app.policy import RetrainPolicy
from stream_app.pulse import Shape
from stream_app.reference import Reference

RULE: Final = "rule"
SUMMARIES: Final = "summaries"
RELEASES: Final = "model-releases"
SCHEMAS: Final = {DRIFT: "drift", SIGNALS: "retrain_signal", RELEASES: "model_release", SUMMARIES: "summary"}
_POLL_S: Final = 0.5
_TIMEOUT_S: Final = 30.0
_BATCH: Final = 500

log = logging.getLogger(__name__)


class Topics:
    """Reads whole topics, all partitions, from their beginning, without a group."""

    def __init__(self, settings: Settings, workload: Workload, codec: Codec, roles: Sequence[str]) -> None:
        self._settings, self._codec = settings, codec
        self._roles = {topic_for(role, workload, settings).name: role for role in roles}
        self._consumer = Consumer(
            settings.kafka_config()
            | {
                "group.id": f"{settings.topic_prefix}driftline-watch",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 50,
                "log_level": 2,
            }
        )
        partitions = [TopicPartition(*at, OFFSET_BEGINNING) for name in self._roles for at in self._partitions(name)]
        self._unread = {(at.topic, at.partition) for at in partitions}
        self._positions: dict[tuple[str, int], int] = {}
        self._consumer.assign(partitions)

    @property
    def is_at_end(self) -> bool:
        """Whether every partition has been read to where it ended when last asked."""
        return not self._unread

    def read(self, timeout_s: float = _POLL_S) -> list[tuple[str, dict[str, Any]]]:
        """Next records as (role, record), in order within a partition; empty when none came in time."""
        found = []
        for message in self._consumer.consume(_BATCH, timeout_s):
            record = self._record(message)
            found += [record] if record else []
        return found

    def read_to_end(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """All records up to the end of every partition."""
        while not self.is_at_end:
            yield from self.read()

    def read_new(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What has been written by now: the end is asked for first."""
        for (topic, partition), position in self._positions.items():
            end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_S)[1]
            if position < end:
                self._unread.add((topic, partition))
        yield from self.read_to_end()

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _record(self, message: Message) -> tuple[str, dict[str, Any]] | None:
        topic, at = message.topic() or "", (message.topic() or "", message.partition() or 0)
        error, offset = message.error(), message.offset() or 0
        if error is None:
            self._unread.add(at)
            self._positions[at] = offset + 1
            return None if message.value() is None else (self._roles[topic], self._decode(topic, message))
        if error.code() != KafkaError._PARTITION_EOF:
            raise BrokerError(self._settings.bootstrap, f"reading {topic}: {error.str()}")
        self._unread.discard(at)
        self._positions[at] = offset
        return None

    def _decode(self, topic: str, message: Message) -> dict[str, Any]:
        return self._codec.decode(message.value(), SCHEMAS[self._roles[topic]])

    def _partitions(self, name: str) -> list[tuple[str, int]]:
        try:
            metadata = self._consumer.list_topics(timeout=_TIMEOUT_S)
        except KafkaException as cause:
            raise BrokerError(self._settings.bootstrap, str(cause.args[0])) from cause
        if name not in metadata.topics:
            raise TopicError(name, "is not there; create it with driftline topics create")
        return [(name, partition) for partition in metadata.topics[name].partitions]


class References:
    """References of released models, by version; the records of the release topic say where their bundles are."""

    def __init__(self, settings: Settings) -> None:
        self._models_dir, self._trust = settings.models_dir, Trust.of(settings)
        self._releases: dict[str, Mapping[str, Any]] = {}
        self._loaded: dict[str, Reference] = {}

    def update(self, release: Mapping[str, Any]) -> None:
        """Take a release record."""
        self._releases[release["version"]] = release

    def __call__(self, version: str) -> Reference | None:
        """Reference of a model version, None for the rule.

        Raises
        ------
        ModelError
            When no release names the version, or its bundle has no usable reference.
        """
        if version == RULE:
            return None
        if version not in self._loaded:
            self._loaded[version] = self._load(version)
        return self._loaded[version]

    def _load(self, version: str) -> Reference:
        if version not in self._releases:
            raise ModelError(version, "has scored, but no release names it")
        release = self._releases[version]
        path = released_bundle_dir(self._models_dir, release["path"])
        bundle = read_bundle(path, release["bundle_id"], self._trust)
        return Reference.decode(bundle.files["reference.json"], f"{release['path']}/reference.json")


class Outbox:
    """Publishes each record once: not again what the topics hold, signals before drift records."""

    def __init__(self, settings: Settings, workload: Workload, codec: Codec) -> None:
        self._settings, self._codec = settings, codec
        self._names = {role: topic_for(role, workload, settings).name for role in (DRIFT, SIGNALS)}
        self._known: set[str] = set()
        self._failed: list[str] = []
        self._producer = Producer(
            settings.kafka_config() | {"acks": "all", "linger.ms": 5, "partitioner": "murmur2_random", "log_level": 2}
        )

    def learn(self, record: Mapping[str, Any]) -> None:
        """Take note that a record is on its topic already."""
        self._known.add(record["event_id"])

    def publish(self, outputs: Iterable[Output]) -> int:
        """Send what is new and wait until the broker has it; how many there were."""
        new = [output for output in outputs if output.record["event_id"] not in self._known]
        for role in (SIGNALS, DRIFT):
            self._send([output for output in new if output.topic == role])
        return len(new)

    def _send(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            value = self._codec.encode(SCHEMAS[output.topic], output.record)
            self._produce(self._names[output.topic], output.key.encode(), value)
            self.learn(output.record)
        left = self._producer.flush(_TIMEOUT_S)
        if left or self._failed:
            reason = self._failed[0] if self._failed else f"{left} records were not acknowledged"
            raise BrokerError(self._settings.bootstrap, reason)

    def _produce(self, topic: str, key: bytes, value: bytes) -> None:
        while True:
            try:
                return self._producer.produce(topic, value, key, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(_POLL_S)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append(f"writing {message.topic()}: {error.str()}")


class Watch:
    """The process.

    Parameters
    ----------
    policy
        What may open a signal; its cool-down is the workload's when None.
    """

    def __init__(self, settings: Settings, workload: Workload, policy: RetrainPolicy | None = None) -> None:
        self._settings, self._workload = settings, workload
        self._codec = Codec(FileRegistry.for_workload(workload))
        self._policy = policy or dataclasses.replace(
            RetrainPolicy(), cool_down_days=-(-workload.watch.cool_down_ms // DAY_MS)
        )
        self._references = References(settings)
        self._outbox = Outbox(settings, workload, self._codec)

    def run(self, is_stopped: Callable[[], bool], *, once: bool = False) -> int:
        """Watch until stopped, or until the end of the summaries when `once`; how many records were published."""
        decided_through, signals = self._read_back()
        aggregator = self._aggregator(decided_through)
        for signal in signals:
            aggregator.update_signal(signal)
        summaries = Topics(self._settings, self._workload, self._codec, [SUMMARIES])
        control = Topics(self._settings, self._workload, self._codec, [SIGNALS, RELEASES])
        try:
            return self._follow(aggregator, summaries, control, is_stopped, once)
        finally:
            summaries.close()
            control.close()

    def _follow(
        self, aggregator: Aggregator, summaries: Topics, control: Topics, is_stopped: Callable[[], bool], once: bool
    ) -> int:
        n_published = 0
        while not is_stopped():
            batch = summaries.read()
            for role, record in control.read_new():  # after the summaries: their model's release is there by now
                aggregator.update_signal(record) if role == SIGNALS else self._references.update(record)
            outputs = [output for _, summary in batch for output in aggregator.update(summary)]
            if summaries.is_at_end:
                outputs += aggregator.overdue()
            n_published += self._outbox.publish(outputs)
            if once and summaries.is_at_end and not batch:
                break
        return n_published

    def _read_back(self) -> tuple[int | None, list[dict[str, Any]]]:
        """What earlier runs published: last judged day and all signals."""
        topics = Topics(self._settings, self._workload, self._codec, [DRIFT, SIGNALS, RELEASES])
        decided_through, signals = None, []
        try:
            for role, record in topics.read_to_end():
                if role == RELEASES:
                    self._references.update(record)
                    continue
                self._outbox.learn(record)
                if role == SIGNALS:
                    signals.append(record)
                elif is_decided(record):
                    decided_through = max(record["day"], decided_through or 0)
        finally:
            topics.close()
        log.info("read back: judged through day %s, %d signal records", decided_through, len(signals))
        return decided_through, signals

    def _aggregator(self, decided_through: int | None) -> Aggregator:
        return Aggregator(
            Shape.from_workload(self._workload, self._settings.partitions),
            self._references,
            thresholds=Thresholds.from_workload(self._workload),
            policy=self._policy,
            detector=fast_loop_detector,
            decided_through=decided_through,
        )


def is_decided(drift: Mapping[str, Any]) -> bool:
    """Whether this drift record shows that its day was judged as a whole (fast-loop records come between)."""
    return bool(drift["share"] >= 1.0 and drift["scope"] in ("feature", "performance", "calibration"))
