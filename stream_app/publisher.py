"""Sends records and waits until the broker has them. The only module of the stream that touches a Kafka producer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import aiokafka
from aiokafka.errors import KafkaError

from schemas.errors import BrokerError
from schemas.settings import Settings

BATCH_BYTES = 900_000
SINGLE_BYTES = 16 * 1024 * 1024


class Publisher:
    """Publishes in whole batches to partitions named by the caller."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._producer: Any = None

    async def start(self) -> None:
        """Connect; BrokerError when nobody answers."""
        self._producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=self.settings.bootstrap,
            max_batch_size=BATCH_BYTES,
            max_request_size=SINGLE_BYTES,
            linger_ms=0,
            acks="all",
            request_timeout_ms=30_000,
        )
        try:
            await self._producer.start()
        except (KafkaError, OSError) as cause:
            raise BrokerError(self.settings.bootstrap, f"cannot be reached ({cause})") from cause

    async def stop(self) -> None:
        """Close the connection."""
        if self._producer is not None:
            await self._producer.stop()

    async def publish(self, topic: str, partition: int, records: Iterable[tuple[bytes, bytes]]) -> int:
        """Send records in order and wait for all of them; return the offset of the last one.

        Raises
        ------
        BrokerError
            When a record was not accepted.
        """
        futures = []
        batch = self._producer.create_batch()
        try:
            for key, value in records:
                if batch.append(key=key, value=value, timestamp=None) is None:
                    if batch.record_count():
                        futures.append(await self._producer.send_batch(batch, topic, partition=partition))
                        batch = self._producer.create_batch()
                    if batch.append(key=key, value=value, timestamp=None) is None:
                        raise BrokerError(
                            self.settings.bootstrap, f"topic {topic}: a record of {len(value)} bytes is too large"
                        )
            if batch.record_count():
                futures.append(await self._producer.send_batch(batch, topic, partition=partition))
            done = await asyncio.gather(*futures)
        except KafkaError as cause:
            raise BrokerError(self.settings.bootstrap, f"topic {topic}: a record was not accepted ({cause})") from cause
        return int(done[-1].offset) if done else -1
