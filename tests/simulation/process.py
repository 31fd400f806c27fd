"""A worker process: the real `StreamWorker` and what Faust and aiokafka do around it."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from faust.types import TP

from stream_app import faults
from stream_app.delivery import AtLeastOnce
from stream_app.ends import Ends
from stream_app.errors import FencedStop
from stream_app.spans import RecordSpan
from stream_app.transactions import ExactlyOnce
from stream_app.transport import FetchedBatch
from stream_app.worker import StreamWorker, WorkerOptions
from tests.simulation.clients import FakePublisher
from tests.simulation.events import N_PARTITIONS
from tests.simulation.seeded_loop import OWNER

if TYPE_CHECKING:
    from tests.simulation.world import World

Work = Callable[[], Coroutine[Any, Any, None]]


class Consumer:
    """Fetches from the partitions of one process, and knows when their logs were last seen empty."""

    def __init__(self, process: Process) -> None:
        self.process, self.world = process, process.world
        self.next_position: dict[TP, int] = {}
        self.reached: dict[TP, int] = {}
        self.ends = Ends()
        self.queue: deque[tuple[TP, FetchedBatch]] = deque()
        self.late: list[tuple[TP, FetchedBatch]] = []
        self.arrived = asyncio.Event()
        self.generation, self.is_active = 0, False

    def assign(self, positions: dict[TP, int]) -> None:
        self.next_position, self.reached = dict(positions), dict(positions)
        self.queue += self.late
        self.late = []
        self.arrived.set()
        self.generation += 1
        self.is_active = True

    def revoke(self) -> None:
        self.is_active = False
        self.generation += 1
        if self.world.draw.random() < 0.5:
            self.late += self.queue  # what is on its way arrives after the next assignment
        if self.world.draw.random() < 0.8:
            self.queue.clear()

    async def fetch(self) -> None:
        draw = self.world.draw
        while True:
            await asyncio.sleep(0.001 + draw.random() * 0.006)
            if not self.is_active:
                continue
            generation, at_ms = self.generation, self.world.now_ms()
            room = [tp for tp in sorted(self.next_position) if draw.random() < 0.7]
            room = [tp for tp in room if self.process.worker.has_room(tp, self.next_position[tp])]
            looks = [(tp, *self._look(tp)) for tp in room]
            await asyncio.sleep(draw.random() * 0.003)
            if generation == self.generation:
                for tp, records, scanned, stable in looks:
                    self._take(tp, records, scanned, stable, at_ms)

    def _look(self, tp: TP) -> tuple[list[Any], int, int]:
        """Records, how far the log was read for them, and its last stable offset."""
        log = self.world.broker.log(tp.topic, tp.partition)
        records = log.read(self.next_position[tp], self.world.longest_fetch)
        is_cut = len(records) == self.world.longest_fetch
        return records, records[-1].offset + 1 if is_cut else log.stable, log.stable

    def _take(self, tp: TP, records: list[Any], scanned: int, stable: int, at_ms: float) -> None:
        if records:
            begin, self.next_position[tp] = self.next_position[tp], records[-1].offset + 1
            batch = FetchedBatch(span_of(records), begin, self.next_position[tp], self.world.now_ms())
            self.queue.append((tp, batch))
            self.arrived.set()
        self.reached[tp] = scanned
        self.ends.note(tp, stable, at_ms)

    def empty_at(self, tp: TP, position: int) -> float | None:
        is_whole = self.next_position.get(tp) == position
        return self.ends.empty_at(tp, self.reached[tp] if is_whole else position)

    async def log_begin(self, tp: TP) -> int:
        await asyncio.sleep(self.world.draw.random() * self.world.draw.choice((0.002, 0.002, 0.1)))
        return 0

    async def deliver(self) -> None:
        """What the agent does."""
        while True:
            while not self.queue:
                self.arrived.clear()
                await self.arrived.wait()
            tp, batch = self.queue.popleft()
            await self.process.worker.receive(tp.topic, tp.partition, batch)
            await asyncio.sleep(0)


class Process:
    """Runs until it is stopped, killed, or stops itself."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.is_alive, self.is_stalled, self.is_cut_off, self.is_leaving = True, False, False, False
        self.parked: list[asyncio.Handle] = []
        self.acknowledged = -1  # the group's generation whose revocation is done
        self.assigned: set[int] = set()
        self._commands: deque[tuple[int, set[int] | None]] = deque()
        self._told = asyncio.Event()
        self._context = contextvars.copy_context()
        self._context.run(OWNER.set, self)
        self.worker = self._context.run(self._new_worker)
        self.consumer = Consumer(self)

    def _new_worker(self) -> StreamWorker:
        world = self.world
        worker = StreamWorker(world.settings, world.events.workload, WorkerOptions(world.checkpoint_s))
        if world.is_exactly_once:
            worker.delivery = ExactlyOnce(world.settings, "driftline", worker.state)
        else:
            worker.publisher = cast(Any, FakePublisher(world.broker, world.trouble))
            worker.delivery = AtLeastOnce(worker.publisher, worker.state)
        world.events.schedule_into(worker.schedule)
        worker.status.content = {"simulated": True}
        return worker

    def start(self) -> None:
        self.worker.empty_at, self.worker.log_begin = self.consumer.empty_at, self.consumer.log_begin
        for work in (self.worker.run, self.consumer.fetch, self.consumer.deliver, self._obey):
            self.spawn(work)

    def spawn(self, work: Work) -> None:
        self.world.loop.create_task(self._guard(work), context=self._context.copy())

    async def _guard(self, work: Work) -> None:
        """Fail-stop, as the app does."""
        try:
            await work()
        except Exception as error:
            self.world.stopped(self, error)

    # ---- the group ----
    def tell(self, generation: int, partitions: set[int] | None) -> None:
        """Take away everything (None), or give partitions."""
        self._commands.append((generation, partitions))
        self._told.set()

    async def _obey(self) -> None:
        while True:
            while not self._commands:
                self._told.clear()
                await self._told.wait()
            generation, partitions = self._commands.popleft()
            if partitions is None:
                self.consumer.revoke()
                await self.worker.settle()
                self.acknowledged = generation
            else:
                tps = {TP(topic, p) for p in partitions for topic in self.worker.topics}
                positions = await self.worker.positions(tps)
                self.consumer.assign(dict(positions))
                self.assigned = partitions

    # ---- its end ----
    async def stop(self) -> None:
        """SIGTERM."""
        self.is_leaving = True  # still a member of the group, and asked to rest like the others
        await self.worker.drain()
        self.world.left(self)

    def stop_at_once(self) -> None:
        """A second SIGTERM: the app ends the process where it stands."""
        self._context.copy().run(faults.reach, "on_second_sigterm")
        self.world.kill(self, "second SIGTERM")

    # ---- at the end ----
    def is_finished(self, partition: int) -> bool:
        """Everything there is was applied, and a checkpoint says so."""
        owned = self.worker.owned.get(partition)
        if owned is None or owned.is_paused or owned.task.is_touched or owned.task.is_sweeping or owned.writing:
            return False
        positions = [*owned.task.positions, owned.task.clock_position]
        return not any(
            self.world.broker.log(topic, partition).read(position, 1)
            for topic, position in zip(self.worker.topics, positions, strict=True)
        )


def is_fail_stop(error: Exception, world: World) -> bool:
    """Whether a worker may stop itself with this error here."""
    from schemas.errors import BrokerError

    if isinstance(error, FencedStop):
        return True
    return isinstance(error, BrokerError) and world.trouble.happened["refused for good"] > 0


PARTITIONS = set(range(N_PARTITIONS))


def span_of(records: list[Any]) -> RecordSpan:
    """Records as the transport hands them over."""
    n = len(records)
    return RecordSpan(
        np.fromiter((r.offset for r in records), np.int64, n),
        np.fromiter((r.timestamp for r in records), np.int64, n),
        [r.key for r in records],
        [r.value for r in records],
    )
