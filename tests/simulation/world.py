"""One life of a group of workers on a fake broker, from its seed."""

from __future__ import annotations

import asyncio
import contextvars
import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import stream_app.faults
import stream_app.owned
import stream_app.partition_task
import stream_app.state
import stream_app.status
import stream_app.transactions
import stream_app.worker
from schemas.settings import Settings
from schemas.topics import topic_for
from tests.simulation.chaos import Chaos
from tests.simulation.clients import FakeProducer, StateReader, Trouble
from tests.simulation.events import N_PARTITIONS, N_SETS, EventSet, event_set
from tests.simulation.fake_log import FakeBroker, TopicLog
from tests.simulation.feed import Feed
from tests.simulation.group import Group
from tests.simulation.process import Process, is_fail_stop
from tests.simulation.seeded_loop import SeededLoop

SETTINGS = Settings(partitions=N_PARTITIONS)
FEED_S = 0.5


class World:
    """A simulated cluster.

    Parameters
    ----------
    seed
        Everything follows from it.
    """

    def __init__(self, seed: int) -> None:
        self.seed, self.draw = seed, random.Random(seed)
        self.events: EventSet = event_set(seed // 2 % N_SETS)
        self.settings, self.loop = SETTINGS, SeededLoop(self.draw)
        self.is_exactly_once = seed % 2 == 0
        self.may_have_two_owners = self.is_exactly_once or self.draw.random() < 0.3
        self.may_clean = self.is_exactly_once  # elsewhere what a killed writer left would replace rows that count
        self.checkpoint_s = self.draw.choice((0.0, 0.01, 0.02, 0.04))
        self.longest_fetch = self.draw.choice((60, 200, 500))
        self._context = contextvars.copy_context()  # nobody's: what is planned in it outlives its planner
        self.broker = FakeBroker(self.draw, self.later)
        self.trouble = Trouble(self.draw, self.draw.choice((0.0, 0.02, 0.08)))
        self.trouble.fatal_left = self.draw.choice((0, 0, 1))
        self.processes: list[Process] = []
        self.group = Group(self)
        self.feed = Feed(self, is_backlog=self.draw.random() < 0.25)
        self.chaos = Chaos(self)
        self.errors: list[Exception] = []
        self.n_launched = 0

    def now_ms(self) -> float:
        return self.loop.time() * 1000

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.loop.call_later(seconds, call, context=self._context)

    # ---- processes ----
    def launch(self) -> None:
        self.n_launched += 1
        process = Process(self, self.n_launched)
        self.processes.append(process)
        process.start()
        self.group.is_wanted = True

    def kill(self, process: Process, why: str) -> None:
        """As kill -9 does: nothing of it runs any more."""
        self.chaos.happened[why] += 1
        self._gone(process)

    def left(self, process: Process) -> None:
        self._gone(process)

    def stopped(self, process: Process, error: Exception) -> None:
        """It stopped itself; an error that is none of ours ends the simulation."""
        if not process.is_alive:
            return
        if is_fail_stop(error, self):
            self.chaos.happened[type(error).__name__] += 1
        else:
            self.errors.append(error)
        self._gone(process)

    def _gone(self, process: Process) -> None:
        if not process.is_alive:
            return
        process.is_alive = False
        self.processes.remove(process)
        self.later(self.draw.random() * 0.03, self._notice)
        if not self.processes or self.draw.random() < 0.6:
            self.later(self.draw.random() * 0.04, self._replace)

    def _notice(self) -> None:
        self.group.is_wanted = True

    def _replace(self) -> None:
        if len(self.processes) < 3:
            self.launch()

    # ---- from beginning to end ----
    def run(self) -> World:
        with simulated(self):
            try:
                self.loop.run_until_complete(self._live())
            finally:
                self.loop.bury()
        if self.errors:
            raise self.errors[0]
        return self

    async def _live(self) -> None:
        if self.feed.is_backlog:
            self.feed.fill()
        else:
            self.loop.create_task(self.feed.run(FEED_S))
        self.begin(self.draw.randint(1, 3))
        await self.chaos.run(FEED_S / 4 if self.feed.is_backlog else FEED_S)
        await self.finish()

    def begin(self, n_workers: int) -> None:
        for _ in range(n_workers):
            self.launch()
        self.loop.create_task(self.group.run())

    async def finish(self) -> None:
        """Nothing goes wrong any more, until all is done."""
        self.chaos.calm()
        while not self.errors and not self._is_finished():
            await asyncio.sleep(0.02)
        self.broker.finish_all()

    def _is_finished(self) -> bool:
        if self.group.is_wanted or not self.feed.is_done:
            return False
        return all(
            (owner := self.group.owner.get(p)) is not None and owner.is_alive and owner.is_finished(p)
            for p in range(N_PARTITIONS)
        )

    def state_logs(self) -> list[TopicLog]:
        return [self.broker.log(self.topic("state"), p) for p in range(N_PARTITIONS)]

    def topic(self, role: str) -> str:
        return topic_for(role, self.events.workload, self.settings).name

    def digest(self) -> int:
        """Of every byte that was written and of the way that led there."""
        found = zlib.crc32(repr((self.loop.history, self.loop.turns, self.chaos.happened)).encode())
        for (topic, partition), log in sorted(self.broker.logs.items(), key=lambda item: item[0]):
            found = zlib.crc32(f"{topic}/{partition}".encode(), found)
            for entry in log.entries:
                found = zlib.crc32(b"" if entry is None else entry.value or b"", found)
        return found


async def _inline(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`asyncio.to_thread` without a thread: somewhere between two awaits."""
    draw = _world.draw
    await asyncio.sleep(draw.random() * 0.002)
    result = call(*args, **kwargs)
    await asyncio.sleep(draw.random() * 0.002 if draw.random() < 0.3 else 0)
    return result


_world: World  # whose turn it is; one at a time


@contextmanager
def simulated(world: World) -> Iterator[None]:
    """The stream's modules see the world's clock, broker and chance."""
    global _world
    _world = world
    worker, reader = stream_app.worker, StateReader(world.broker)
    clock = SimpleNamespace(
        monotonic=world.loop.time, time=world.loop.time, process_time=lambda: 0.0, sleep=world.loop.sleep
    )
    replaced: list[tuple[Any, str, Any]] = [
        (asyncio, "to_thread", _inline),
        (worker, "time", clock),
        (stream_app.owned, "time", clock),
        (stream_app.status, "time", clock),
        (stream_app.transactions, "time", clock),
        (stream_app.transactions, "Producer", lambda config: FakeProducer(config, world.broker, world.trouble)),
        (worker, "read_partition", reader.read_partition),
        (worker, "end_of", reader.end_of),
        (worker, "secrets", SimpleNamespace(randbits=world.draw.getrandbits)),
        (worker, "Plan", SimpleNamespace(from_workload=lambda workload: world.events.plan)),
        (worker, "FileRegistry", SimpleNamespace(for_workload=lambda workload: None)),
        (worker, "Codec", lambda registry: world.events.codec),
        (worker, "IDLE_S", 0.01),
        (stream_app.owned, "LIVE_MS", world.draw.choice((float("inf"), -float("inf")))),
        (stream_app.faults, "hook", world.chaos.reach),
        *small(),
    ]
    with ExitStack() as stack:
        for place, name, value in replaced:
            stack.enter_context(patch.object(place, name, value))
        yield


def small() -> list[tuple[Any, str, Any]]:
    """Little rooms, so that batches and sweeps take several steps, and states are made fast."""
    init = stream_app.state.PartitionState.__init__
    return [
        (stream_app.state, "ROWS_AT_ONCE", 12),
        (stream_app.partition_task, "SWEEP_SLOTS", 4),
        (stream_app.partition_task, "LIVE_SWEEP_SLOTS", 3),
        (stream_app.partition_task, "LIVE_TICKS", 8),
        (init, "__kwdefaults__", (init.__kwdefaults__ or {}) | {"capacity": 32}),
    ]
