"""The same cluster, disturbed by rules that hypothesis chooses and shrinks; the laws are those of the seeds."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from stream_app import faults
from tests.simulation.events import N_PARTITIONS
from tests.simulation.feed import Feed
from tests.simulation.laws import check
from tests.simulation.world import World, simulated


class Cluster(RuleBasedStateMachine):
    """Workers on a fake broker, between two rules."""

    @initialize(seed=st.integers(0, 1 << 30), is_exactly_once=st.booleans(), n_workers=st.integers(1, 3))
    def begin(self, seed: int, is_exactly_once: bool, n_workers: int) -> None:
        self.stack = ExitStack()
        self.world = World(seed * 2 + (not is_exactly_once))
        self.world.trouble.stop()
        self.world.checkpoint_s = 0.02
        self.feed = self.world.feed = Feed(self.world, is_backlog=False)
        self.day = 0
        self.stack.enter_context(simulated(self.world))
        self.stack.callback(self.world.loop.bury)
        self.world.loop.run_until_complete(self._begin(n_workers))

    async def _begin(self, n_workers: int) -> None:
        self.world.begin(n_workers)

    def _pass(self, turns: int, seconds: float = 0.0) -> None:
        async def wait() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            await asyncio.sleep(seconds)

        self.world.loop.run_until_complete(wait())
        if self.world.errors:
            raise self.world.errors[0]

    # ---- the stream ----
    @rule(source=st.integers(0, 1), partition=st.integers(0, N_PARTITIONS - 1), n=st.integers(1, 200))
    def events_come(self, source: int, partition: int, n: int) -> None:
        self._write(source, partition, n)

    def _write(self, source: int, partition: int, n: int) -> None:
        day = self.world.events.logs.clock[self.day]
        written = self.feed.written(source, partition)
        self.feed.write(source, partition, written + min(n, self.feed.left(source, partition, day)))

    @precondition(lambda self: self.day + 1 < len(self.world.events.logs.clock))
    @rule()
    def day_ends(self) -> None:
        for partition in range(N_PARTITIONS):
            for source in range(self.feed.clock):
                self._write(source, partition, 1 << 30)
            self.feed.write(self.feed.clock, partition, self.day + 1)
        self.day += 1

    # ---- the workers ----
    @rule(turns=st.integers(1, 60))
    def step(self, turns: int) -> None:
        self._pass(turns)

    @rule(ms=st.integers(1, 60))
    def time_passes(self, ms: int) -> None:
        self._pass(0, ms / 1000)

    @rule()
    def checkpoint_is_due(self) -> None:
        for process in self.world.processes:
            for owned in process.worker.owned.values():
                owned._next_checkpoint_at = 0.0

    @rule(which=st.integers(0, 2))
    def crash(self, which: int) -> None:
        if self.world.processes:
            self.world.kill(self.world.processes[which % len(self.world.processes)], "killed")

    @rule(point=st.sampled_from(faults.POINTS), passes=st.integers(1, 3))
    def crash_at(self, point: str, passes: int) -> None:
        self.world.chaos.arm(point, passes)

    # ---- the group and the broker ----
    @rule()
    def rebalance(self) -> None:
        self.world.chaos.rebalance()

    @rule()
    def join(self) -> None:
        self.world.chaos.join()

    @rule()
    def told_to_stop(self) -> None:
        self.world.chaos.stop()

    @precondition(lambda self: self.world.may_have_two_owners)
    @rule()
    def zombie(self) -> None:
        self.world.chaos.cut_off()

    @precondition(lambda self: self.world.is_exactly_once)
    @rule()
    def fence(self) -> None:
        self.world.chaos.ghost()

    @rule(kind=st.sampled_from(("abort", "again before", "again after", "sent twice")))
    def broker_answers_badly(self, kind: str) -> None:
        self.world.trouble.next = [kind]

    def teardown(self) -> None:
        with self.stack:
            while self.day + 1 < len(self.world.events.logs.clock):
                self.day_ends()
            self.day_ends()
            self.feed.is_done = True
            self.world.loop.run_until_complete(self.world.finish())
            if self.world.errors:
                raise self.world.errors[0]
            check(self.world)


Cluster.TestCase.settings = hypothesis.settings(
    max_examples=25, stateful_step_count=30, suppress_health_check=list(hypothesis.HealthCheck)
)
TestCluster = Cluster.TestCase
