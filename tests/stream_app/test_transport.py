"""What the consumer took from aiokafka is handed over, or sought back to: a rebalance in between loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from faust.types import TP

from stream_app.spans import PackedSpan, RecordSpan
from stream_app.transport import BatchConsumer

FIRST, SECOND = TP("a", 0), TP("b", 0)


def _span(begin: int, n: int) -> PackedSpan:
    return RecordSpan(
        np.arange(begin, begin + n, dtype=np.int64), np.full(n, 7, np.int64), [b"k"] * n, [b"v"] * n
    ).packed()


class _Consumer(BatchConsumer):
    """On a log of two topics instead of a broker: ``at`` is where aiokafka would go on."""

    def __init__(self, turn_after: int) -> None:
        self.at = {FIRST: 10, SECOND: 20}
        self.next_position, self.reached = dict(self.at), dict(self.at)
        self.flow_active, self.turn_after, self.n_taken = True, turn_after, 0
        self.app: Any = SimpleNamespace(
            consumer_generation_id=1, owner=SimpleNamespace(has_room=lambda tp, position: True)
        )
        self._thread: Any = SimpleNamespace(call_thread=self._call, _consumer=None)

    @property
    def should_stop(self) -> bool:
        return False

    def _get_active_partitions(self) -> Any:
        return set(self.at)

    async def _call(self, method: Any, positions: Mapping[TP, int]) -> None:
        self.at |= positions

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        found = {tp: _span(self.at[tp], 5) for tp in self.at}
        self.at = {tp: at + 5 for tp, at in self.at.items()}
        self.n_taken += 1
        if self.n_taken == 1 and self.turn_after == 0:
            self.app.consumer_generation_id += 1  # all was sought while this call waited
        return found


@pytest.mark.parametrize("turn_after", [0, 1, 2])
def test_what_was_taken_in_a_rebalance_comes_again(turn_after: int) -> None:
    consumer = _Consumer(turn_after)
    came: dict[TP, list[int]] = {FIRST: [], SECOND: []}

    async def read() -> None:
        n = 0
        for _ in range(3):
            async for tp, message in consumer.getmany(1.0):
                came[tp] += message.value.span.offsets.tolist()
                n += 1
                if n == turn_after:
                    consumer.app.consumer_generation_id += 1

    asyncio.run(read())
    for tp, begin in ((FIRST, 10), (SECOND, 20)):
        assert came[tp] == list(range(begin, consumer.at[tp]))
        assert len(came[tp]) >= 10
