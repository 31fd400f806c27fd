"""The consumer group: gives the partitions to whoever is a member, eagerly; a member that it cannot hear keeps its own
until it hears of the change itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.simulation.process import PARTITIONS, Process

if TYPE_CHECKING:
    from tests.simulation.world import World

PATIENCE_S, CALM_PATIENCE_S = 0.03, 1.0  # to give up on a member that restores is a fault, too


class Group:
    """One coordinator."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.generation, self.is_wanted, self.rebalances = 0, True, 0
        self.patience_s = PATIENCE_S
        self.owner: dict[int, Process] = {}

    def members(self) -> list[Process]:
        return [p for p in self.world.processes if p.is_alive and not p.is_cut_off]

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.001 + self.world.draw.random() * 0.01)
            if self.is_wanted and self.members():
                self.is_wanted = False
                await self._rebalance()

    async def _rebalance(self) -> None:
        self.generation += 1
        self.rebalances += 1
        asked = self.members()
        for process in asked:
            process.tell(self.generation, None)
        until = self.world.loop.time() + self.patience_s
        while any(p.is_alive and p.acknowledged < self.generation for p in asked):
            await asyncio.sleep(0.001)
            if self.world.may_have_two_owners and self.world.loop.time() > until:
                break
        joined = [p for p in asked if p in self.members() and p.acknowledged >= self.generation]
        for late in asked:  # thrown out; it hears of it when it comes back
            if late not in joined and late in self.members():
                self.is_wanted = True
        self._give(joined)

    def _give(self, joined: list[Process]) -> None:
        draw, shares = self.world.draw, {process: set[int]() for process in joined}
        if not joined:
            self.is_wanted = True
            return
        for partition in sorted(PARTITIONS):
            before = self.owner.get(partition)
            had_it = [p for p in joined if partition in p.assigned and p is not before]  # a zombie that came back
            likely = had_it or [p for p in joined if p is before] or joined
            self.owner[partition] = draw.choice(likely if draw.random() < 0.5 else joined)
            shares[self.owner[partition]].add(partition)
        for process, partitions in shares.items():
            process.tell(self.generation, partitions)
