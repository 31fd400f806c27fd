"""What goes wrong, when, and how often: drawn from the seed."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from stream_app import faults
from tests.simulation.group import CALM_PATIENCE_S
from tests.simulation.process import Process
from tests.simulation.seeded_loop import OWNER

if TYPE_CHECKING:
    from tests.simulation.world import World


class Died(BaseException):
    """The process ends at a named point."""


class Chaos:
    """Disturbs a world a few times while its events are written.

    ``happened`` counts what did; ``reached`` and ``died_at`` the named points.
    """

    def __init__(self, world: World) -> None:
        self.world, self.draw = world, world.draw
        self.happened, self.reached, self.died_at = Counter[str](), Counter[str](), Counter[str]()
        self._armed: tuple[str, int] | None = None
        kinds = [self.kill, self.kill_at_point, self.kill_at_point, self.join, self.stop, self.cut_off, self.stall]
        kinds += [self.rebalance, self.ghost if world.is_exactly_once else self.kill]
        kinds += [self.clean] if world.may_clean else []
        if not world.may_have_two_owners:
            kinds = [kind for kind in kinds if kind not in (self.cut_off, self.stall)]
        self.plan = [self.kill_at_point, *(self.draw.choice(kinds) for _ in range(self.draw.randint(3, 7)))]
        self.draw.shuffle(self.plan)

    def reach(self, point: str) -> None:
        """The hook of `stream_app.faults`."""
        self.reached[point] += 1
        process = OWNER.get()
        if not isinstance(process, Process) or not process.is_alive:
            return
        if self._armed is not None and self._armed[0] == point:
            self._armed = (point, self._armed[1] - 1)
            if self._armed[1] <= 0:
                self._armed = None
                self.died_at[point] += 1
                self.world.kill(process, "killed at a point")
                raise Died(point)

    async def run(self, seconds: float) -> None:
        moments = sorted(self.draw.random() * 0.9 * seconds for _ in self.plan)
        began = self.world.loop.time()
        for moment, disturb in zip(moments, self.plan, strict=True):
            await asyncio.sleep(max(0.0, began + moment - self.world.loop.time()))
            disturb()
        while not self.world.feed.is_done:
            await asyncio.sleep(0.02)
        while self.number_of_faults() < 2:
            self.kill()
            await asyncio.sleep(0.05)

    def number_of_faults(self) -> int:
        return sum(self.happened.values()) + sum(self.world.trouble.happened.values())

    def calm(self) -> None:
        """From now on nothing goes wrong."""
        self._armed = None
        self.world.trouble.stop()
        self.world.group.patience_s = CALM_PATIENCE_S
        for process in self.world.processes:
            self._come_back(process)

    def _one(self) -> Process | None:
        living = [p for p in self.world.processes if p.is_alive]
        return self.draw.choice(living) if living else None

    def arm(self, point: str, passes: int) -> None:
        """Whoever comes by ``point`` next, or after some passes, dies there."""
        self._armed = (point, passes)

    # ---- kinds of faults ----
    def kill(self) -> None:
        process = self._one()
        if process is not None:
            self.world.kill(process, "killed")

    def kill_at_point(self) -> None:
        """When somebody comes by; only some come often."""
        point = self.draw.choice(faults.POINTS)
        self.arm(point, self.draw.choice((1, 1, 2, 5)) if self.reached[point] > 20 else 1)
        if point in ("before_restore", "mid_restore"):
            self.kill()  # somebody must restore
        elif point in ("on_sigterm", "on_second_sigterm"):
            self.stop(hasty=point == "on_second_sigterm")
        elif point == "partition_lost":
            self.rebalance()

    def join(self) -> None:
        if len(self.world.processes) < 3:
            self.happened["a worker joins"] += 1
            self.world.launch()

    def stop(self, hasty: bool = False) -> None:
        process = self._one()
        if process is None or process.is_leaving:
            return
        self.happened["told to stop"] += 1
        process.spawn(process.stop)
        if self.draw.random() < 0.5:  # a rolling restart: others come and go meanwhile
            self.world.later(self.draw.random() * 0.004, self.rebalance)
        if hasty or self.draw.random() < 0.4:
            self.world.later(self.draw.random() * 0.003, lambda: self._stop_again(process))

    def _stop_again(self, process: Process) -> None:
        if process.is_alive:
            try:
                process.stop_at_once()
            except Died:
                return

    def rebalance(self) -> None:
        self.happened["rebalance"] += 1
        self.world.group.is_wanted = True

    def cut_off(self) -> None:
        """The group does not hear a worker any more; the worker does not know."""
        process = self._one()
        if process is not None and not process.is_cut_off and not process.is_leaving:
            self.happened["zombie"] += 1
            process.is_cut_off = True
            self.world.group.is_wanted = True
            self.world.later(0.02 + self.draw.random() * 0.15, lambda: self._come_back(process))

    def stall(self) -> None:
        """A worker stands still for a while, in the middle of whatever it does; the group gives up on it."""
        process = self._one()
        if process is not None and not process.is_stalled and not process.is_cut_off:
            self.happened["stalled zombie"] += 1
            process.is_stalled = process.is_cut_off = True
            self.world.group.is_wanted = True
            self.world.later(0.02 + self.draw.random() * 0.15, lambda: self._come_back(process))

    def _come_back(self, process: Process) -> None:
        if process.is_alive and (process.is_cut_off or process.is_stalled):
            process.is_cut_off = False
            self.world.loop.wake(process)
            self.world.group.is_wanted = True

    def ghost(self) -> None:
        """Somebody opens a partition and is never seen again."""
        self.happened["fenced by a ghost"] += 1
        self.world.broker.fence(f"driftline-{self.draw.randrange(3)}")

    def clean(self) -> None:
        """The broker compacts a part of the state topic."""
        for log in self.world.state_logs():
            self.happened["compacted"] += 1
            log.clean(self.draw.randint(0, log.stable))
