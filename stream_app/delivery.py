"""How the parts of a checkpoint reach the broker: the promise to subscribers depends on it.

`AtLeastOnce` here, for every broker; `stream_app.transactions.ExactlyOnce` where the broker has transactions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from stream_app import faults
from stream_app.checkpoint import Record, claim
from stream_app.outputs import OutputBlock
from stream_app.publisher import Publisher


class Delivery(Protocol):
    """Writes checkpoints of the partitions that this worker owns."""

    name: str
    carries_outputs: bool  # whether a checkpoint must hold its outputs, to publish them again

    async def open(self, partition: int) -> None:
        """Become the only writer of a partition, before its state is read."""
        ...

    async def claim(self, partition: int, incarnation: int) -> None:
        """Where `open` shuts nobody out: let readers pass over what earlier incarnations write from now on."""
        ...

    async def commit(self, partition: int, records: Sequence[Record], outputs: Sequence[OutputBlock]) -> int:
        """Write state records, the marker as the last of them, and outputs; returns where the state topic then ends.

        Raises
        ------
        BrokerError
            When the broker did not take everything.
        FencedStop
            When another worker has opened the partition since.
        """
        ...

    async def publish(self, partition: int, outputs: Sequence[OutputBlock]) -> None:
        """Publish outputs of a restored checkpoint again."""
        ...

    async def close(self, partition: int) -> None:
        """Let go of a partition."""
        ...


class AtLeastOnce:
    """State, then its marker, then what it caused; after a crash the newest checkpoint's outputs come again.

    Parameters
    ----------
    publisher
        Started by its owner.
    state
        Name of the state topic.
    """

    name = "at least once"
    carries_outputs = True

    def __init__(self, publisher: Publisher, state: str) -> None:
        self.publisher, self.state = publisher, state

    async def open(self, partition: int) -> None:
        """Nothing fences another writer here: one owner for each partition is assumed."""

    async def claim(self, partition: int, incarnation: int) -> None:
        await self.publisher.publish(self.state, partition, [claim(incarnation)])

    async def commit(self, partition: int, records: Sequence[Record], outputs: Sequence[OutputBlock]) -> int:
        half = len(records) // 2
        await self.publisher.publish(self.state, partition, records[:half])
        faults.reach("checkpoint_half")
        await self.publisher.publish(self.state, partition, records[half:-1])
        faults.reach("checkpoint_before_offsets")
        # a batch of its own: some brokers tell the end of a log from the beginning of its last batch
        marker = await self.publisher.publish(self.state, partition, records[-1:])
        faults.reach("output_unacknowledged")
        await self.publish(partition, outputs)
        faults.reach("output_acknowledged")
        return marker + 1

    async def publish(self, partition: int, outputs: Sequence[OutputBlock]) -> None:
        by_topic: dict[str, list[OutputBlock]] = {}
        for block in outputs:
            by_topic.setdefault(block.topic, []).append(block)
        await asyncio.gather(*(self._publish(partition, blocks) for blocks in by_topic.values()))

    async def _publish(self, partition: int, blocks: Sequence[OutputBlock]) -> None:
        for block in blocks:
            await self.publisher.publish(block.topic, partition, block)

    async def close(self, partition: int) -> None:
        """Nothing is held."""
