"""Checkpoints as Kafka transactions: state, positions, journal and outputs become visible together or not at all.

One librdkafka producer for each partition, its transactional id made of application and partition: opening it fences
whoever wrote there before. Blocking calls run in executor threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.errors import BrokerError
from schemas.settings import Settings
from stream_app import faults
from stream_app.checkpoint import Record
from stream_app.errors import FencedStop
from stream_app.outputs import OutputBlock

TIMEOUT_MS = 45_000  # of a transaction; an outage of half a minute stays within it
DEADLINE_S = 120.0  # of everything about one checkpoint
RETRY_S = 0.1
_FENCED = {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED}


class ExactlyOnce:
    """One transaction for each checkpoint; a ``read_committed`` subscriber sees every output once.

    Parameters
    ----------
    settings
        Of this process.
    application
        Name that all workers of the workload share.
    state
        Name of the state topic.
    """

    name = "exactly once"
    carries_outputs = False

    def __init__(self, settings: Settings, application: str, state: str) -> None:
        self.settings, self.application, self.state = settings, application, state
        self._producers: dict[int, Producer] = {}

    async def open(self, partition: int) -> None:
        """Fence the partition's last writer; its open transaction is aborted."""
        self._producers.pop(partition, None)
        self._producers[partition] = await asyncio.to_thread(self._open, partition)

    async def commit(self, partition: int, records: Sequence[Record], outputs: Sequence[OutputBlock]) -> int:
        producer = self._producers[partition]
        return await asyncio.to_thread(self._commit, producer, partition, records, outputs)

    async def publish(self, partition: int, outputs: Sequence[OutputBlock]) -> None:
        """Outputs that a checkpoint carries were written without transactions: again, in one."""
        if outputs:
            await self.commit(partition, [], outputs)

    async def claim(self, partition: int, incarnation: int) -> None:
        """`open` has shut everybody else out."""

    async def close(self, partition: int) -> None:
        producer = self._producers.pop(partition, None)
        if producer is not None:
            await asyncio.to_thread(producer.flush, 1.0)

    # ---- in a thread ----
    def _open(self, partition: int) -> Producer:
        producer = Producer(
            self.settings.kafka_config()
            | {
                "transactional.id": f"{self.application}-{partition}",
                "transaction.timeout.ms": TIMEOUT_MS,
                "linger.ms": 0,
                "batch.size": 1 << 20,
                "batch.num.messages": 100_000,
                "message.max.bytes": 16 << 20,
                "queue.buffering.max.messages": 2_000_000,
                "queue.buffering.max.kbytes": 1 << 20,
                "delivery.report.only.error": False,
                "log_level": 2,
            }
        )
        self._persist(partition, lambda: producer.init_transactions(30.0))
        return producer

    def _commit(
        self, producer: Producer, partition: int, records: Sequence[Record], outputs: Sequence[OutputBlock]
    ) -> int:
        """Write all in one transaction; an aborted one is written again."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                self._persist(partition, producer.begin_transaction)
                marker = self._produce(producer, partition, records, outputs)
                self._persist(partition, lambda: producer.commit_transaction(30.0))
                return marker() + 2  # behind the marker and the transaction's own
            except KafkaException as cause:
                error = cause.args[0]
                if not error.txn_requires_abort() or time.monotonic() > deadline:
                    raise self._told(partition, error) from cause
                self._persist(partition, lambda: producer.abort_transaction(30.0))
                time.sleep(RETRY_S)

    def _produce(
        self, producer: Producer, partition: int, records: Sequence[Record], outputs: Sequence[OutputBlock]
    ) -> Callable[[], int]:
        """Hand everything to the producer; returns a reading of the marker's offset, known after the commit."""
        places: list[int] = []

        def keep(error: KafkaError | None, message: Any) -> None:
            if error is None:
                places.append(message.offset())

        for i, (key, value) in enumerate(records):
            if i == len(records) // 2:
                faults.reach("checkpoint_half")
            if i == len(records) - 1:
                faults.reach("checkpoint_before_offsets")
            _send(producer, self.state, value, key, partition, keep if i == len(records) - 1 else None)
        for block in outputs:
            for key, value in block:
                _send(producer, block.topic, value, key, partition, None)
        faults.reach("output_unacknowledged")
        if faults.hook is not None:
            producer.flush(30.0)
            faults.reach("output_acknowledged")
        return lambda: places[-1] if places else -2

    def _persist(self, partition: int, call: Callable[[], Any]) -> None:
        """Call until it succeeds, or fails in a way that calling again does not mend."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                call()
                return
            except KafkaException as cause:
                error = cause.args[0]
                if error.txn_requires_abort():
                    raise
                if not error.retriable() or time.monotonic() > deadline:
                    raise self._told(partition, error) from cause
                time.sleep(RETRY_S)

    def _told(self, partition: int, error: KafkaError) -> Exception:
        if error.code() in _FENCED:
            return FencedStop(self.state, partition)
        return BrokerError(
            self.settings.bootstrap, f"partition {partition}: a transaction could not be finished ({error.str()})"
        )


def _send(producer: Producer, topic: str, value: bytes, key: bytes, partition: int, keep: Any) -> None:
    while True:
        try:
            producer.produce(topic, value, key, partition, on_delivery=keep)
            return
        except BufferError:
            producer.poll(0.05)
