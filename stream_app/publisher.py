"""Sends records and waits until the broker has them. The only module of the stream that touches a Kafka producer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

import aiokafka
from aiokafka.errors import KafkaError

from schemas.errors import BrokerError
from schemas.settings import Settings

BATCH_BYTES = 900_000
SINGLE_BYTES = 16 * 1024 * 1024


def _security(settings: Settings) -> dict[str, Any]:
    """How aiokafka is told to reach a secured broker."""
    if settings.security_protocol == "PLAINTEXT":
        return {}
    found: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.security_protocol.endswith("SSL"):
        found["ssl_context"] = ssl.create_default_context(cafile=settings.ssl_ca_file or None)
    if settings.sasl_mechanism:
        found["sasl_mechanism"] = settings.sasl_mechanism
        found["sasl_plain_username"], found["sasl_plain_password"] = settings.sasl_username, settings.sasl_password
    return found


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
            **_security(self.settings),
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
                        await asyncio.sleep(0)  # a checkpoint of millions of scores must not stall the stream
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
