"""What the worker's deliveries talk to: a transactional producer, a plain one, and the reader of the state topic."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from schemas.errors import BrokerError
from schemas.settings import Settings
from tests.simulation.fake_log import FakeBroker, TopicLog

Record = tuple[bytes, bytes]


class Trouble:
    """Which calls of a producer go wrong, and how.

    Parameters
    ----------
    draw
        Of this world.
    share
        Of calls that go wrong in a way that calling again mends.
    """

    def __init__(self, draw: random.Random, share: float) -> None:
        self.draw, self.share, self.happened = draw, share, Counter[str]()
        self.fatal_left = 0
        self.next: list[str] = []  # what is certain to happen, in order

    def choose(self, *kinds: str) -> str:
        """One of ``kinds``, or nothing."""
        if self.next and self.next[0] in kinds:
            self.happened[self.next[0]] += 1
            return self.next.pop(0)
        if self.fatal_left and self.draw.random() < 0.02:
            self.fatal_left -= 1
            self.happened["refused for good"] += 1
            return "fatal"
        if not kinds or self.draw.random() >= self.share:
            return ""
        kind = self.draw.choice(kinds)
        self.happened[kind] += 1
        return kind

    def stop(self) -> None:
        self.share, self.fatal_left, self.next = 0.0, 0, []


def _error(code: int, *, retriable: bool = False, abort: bool = False, fatal: bool = False) -> KafkaException:
    return KafkaException(KafkaError(code, "simulated", fatal, retriable, abort))


class FakeProducer:
    """A librdkafka producer with a transactional id, as `stream_app.transactions` uses it."""

    def __init__(self, config: dict[str, Any], broker: FakeBroker, trouble: Trouble) -> None:
        self.broker, self.trouble, self.name = broker, trouble, str(config["transactional.id"])
        self._epoch, self._must_abort, self._is_ended = -1, False, ""
        self._waiting: list[tuple[TopicLog, bytes, bytes, Any]] = []

    def init_transactions(self, timeout: float) -> None:
        self._call(lambda: self.broker.fence(self.name), "again before", "again after")
        self._epoch = self.broker.epochs[self.name]

    def begin_transaction(self) -> None:
        self._check()
        self._call(lambda: None, "again before")
        self._is_ended = ""

    def produce(self, topic: str, value: bytes, key: bytes, partition: int, on_delivery: Any = None) -> None:
        if self.trouble.draw.random() < 0.05 and self.trouble.choose("queue full"):
            raise BufferError
        self._waiting.append((self.broker.log(topic, partition), key, value, on_delivery))
        if self.trouble.draw.random() < 0.1:
            self._send()

    def poll(self, timeout: float) -> int:
        return 0

    def flush(self, timeout: float) -> int:
        self._send()
        return 0

    def commit_transaction(self, timeout: float) -> None:
        if self._is_ended == "committed":
            return
        self._check()
        self._send()
        self._check()
        self._call(lambda: self._end("committed"), "again before", "again after", "abort", "abort")

    def abort_transaction(self, timeout: float) -> None:
        if self._is_ended == "aborted":
            return
        self._check_epoch()
        self._waiting = []
        self._call(lambda: self._end("aborted"), "again before", "again after")

    def _end(self, status: Any) -> None:
        self.broker.end(self.name, status)
        self._is_ended, self._must_abort = status, False

    def _call(self, effect: Callable[[], Any], *kinds: str) -> None:
        kind = self.trouble.choose(*kinds)
        if kind == "fatal":
            raise _error(KafkaError.TOPIC_AUTHORIZATION_FAILED, fatal=True)
        if kind == "abort":
            self._must_abort = True
            raise _error(KafkaError.INVALID_TXN_STATE, abort=True)
        if kind == "again before":
            raise _error(KafkaError._TIMED_OUT, retriable=True)
        effect()
        if kind == "again after":  # done, but the answer was lost
            raise _error(KafkaError._TIMED_OUT, retriable=True)

    def _check_epoch(self) -> None:
        if self.broker.epochs.get(self.name) != self._epoch:
            raise _error(KafkaError._FENCED, fatal=True)

    def _check(self) -> None:
        self._check_epoch()
        if self._must_abort:
            raise _error(KafkaError._STATE, abort=True)

    def _send(self) -> None:
        """What waits reaches the log, unless this producer is fenced."""
        if self.broker.epochs.get(self.name) != self._epoch:
            return
        waiting, self._waiting = self._waiting, []
        for log, key, value, told in waiting:
            offset = log.append(key, value, 0, self.broker.transaction(self.name))
            if told is not None:
                told(None, _Delivered(offset))


class _Delivered:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset


class FakePublisher:
    """A producer without transactions: batches in order, each sent again when its answer was lost."""

    def __init__(self, broker: FakeBroker, trouble: Trouble) -> None:
        self.broker, self.trouble = broker, trouble

    async def publish(self, topic: str, partition: int, records: Iterable[Record]) -> int:
        log, left, last = self.broker.log(topic, partition), list(records), -1
        while left:
            n = len(left) if self.trouble.draw.random() < 0.6 else self.trouble.draw.randint(1, len(left))
            batch, left = left[:n], left[n:]
            await asyncio.sleep(self.trouble.draw.random() * 0.002)
            kind = self.trouble.choose("sent twice")
            if kind == "fatal":
                raise BrokerError("simulated", f"topic {topic}: a record was not accepted")
            for _ in range(2 if kind == "sent twice" else 1):
                for key, value in batch:
                    last = log.append(key, value)
            await asyncio.sleep(0)
        return last


class StateReader:
    """`stream_app.state_topic` on the fake log."""

    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker

    def read_partition(self, _: Settings, topic: str, partition: int, position: list[int]) -> Iterator[Record]:
        log = self.broker.log(topic, partition)
        position[0] = log.stable
        for entry in log.read(0):
            yield entry.key or b"", entry.value or b""

    def end_of(self, _: Settings, topic: str, partition: int) -> int:
        return self.broker.log(topic, partition).stable
