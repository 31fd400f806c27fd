"""Producers: they write while workers run, each source in its own order, one source ahead of the other; the clock's
record of a day after everything known before that day.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from typing import TYPE_CHECKING

from stream_app.opcodes import DAY_MS
from tests.simulation.events import N_PARTITIONS, EventSet
from tests.simulation.fake_log import TopicLog

if TYPE_CHECKING:
    from tests.simulation.world import World


class Feed:
    """Writes an event set into the fake broker.

    Parameters
    ----------
    world
        Whose broker.
    is_backlog
        Everything is there before the first worker starts, without gaps.
    """

    def __init__(self, world: World, is_backlog: bool) -> None:
        self.events: EventSet = world.events
        self.draw: random.Random = world.draw
        self.is_backlog, self.is_done = is_backlog, False
        names = [*(topic.name for topic in self.events.workload.topics), "clock"]
        self.clock = len(names) - 1
        self.logs: list[list[TopicLog]] = [[world.broker.log(name, p) for p in range(N_PARTITIONS)] for name in names]
        self._written = [[0] * N_PARTITIONS for _ in names]
        self.gap_share = 0.0 if is_backlog else self.draw.choice((0.0, 0.02, 0.2))

    def fill(self) -> None:
        """All at once."""
        for source in range(self.clock + 1):
            for partition in range(N_PARTITIONS):
                self.write(source, partition, len(self.events.records(source, partition)))
        self.is_done = True

    async def run(self, seconds: float) -> None:
        """Day after day; the clock's records may come while the next day's events do."""
        days = self.events.logs.clock
        for n, day in enumerate(days):
            await self._write_day(day, seconds / len(days))
            owed = [p for p in range(N_PARTITIONS) if self.draw.random() < 0.3]
            for partition in sorted(set(range(N_PARTITIONS)) - set(owed)):
                self.write(self.clock, partition, n + 1)
            if n + 1 < len(days):
                await self._write_some(days[n + 1])
            for partition in owed:
                self.write(self.clock, partition, n + 1)
        self.is_done = True

    async def _write_day(self, day: int, seconds: float) -> None:
        """Everything known before ``day``, in pieces."""
        while True:
            open_ = [(s, p) for s in range(self.clock) for p in range(N_PARTITIONS) if self.left(s, p, day)]
            if not open_:
                return
            source, partition = self.draw.choice(open_)
            n = self._written[source][partition] + min(self.left(source, partition, day), self.draw.randint(1, 90))
            self.write(source, partition, n)
            await asyncio.sleep(self.draw.random() * seconds / 12)

    async def _write_some(self, day: int) -> None:
        for source in range(self.clock):
            for partition in range(N_PARTITIONS):
                n = min(self.left(source, partition, day), self.draw.choice((0, 1, 10)))
                self.write(source, partition, self._written[source][partition] + n)
        await asyncio.sleep(self.draw.random() * 0.02)

    def left(self, source: int, partition: int, day: int) -> int:
        """Records known before ``day`` that are not written yet."""
        records, begin = self.events.records(source, partition), self._written[source][partition]
        return bisect_left(records, day * DAY_MS, begin, key=lambda record: record[0]) - begin

    def written(self, source: int, partition: int) -> int:
        """Records that are written."""
        return self._written[source][partition]

    def write(self, source: int, partition: int, upto: int) -> None:
        """Write up to the ``upto``-th record of a topic-partition."""
        log, begin = self.logs[source][partition], self._written[source][partition]
        for timestamp, key, value in self.events.records(source, partition)[begin:upto]:
            if self.draw.random() < self.gap_share:
                log.skip(self.draw.randint(1, 3))
            log.append(key, value, timestamp)
        if upto > begin and self.gap_share and self.draw.random() < 0.3:
            log.skip(1)
        self._written[source][partition] = max(begin, upto)
