"""An event loop of virtual time whose next callback is drawn: any order that asyncio allows, again by its seed.

Whoever owns a callback (`OWNER`) can die: nothing of theirs runs any more, no ``finally`` either, as after kill -9.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import random
from contextlib import suppress
from typing import Any, Protocol


class Owner(Protocol):
    """A process in the simulation."""

    is_alive: bool
    is_stalled: bool
    parked: list[asyncio.Handle]


OWNER: contextvars.ContextVar[Owner | None] = contextvars.ContextVar("owner", default=None)
BEGIN_S = 1_000_000.0


class StuckError(AssertionError):
    """Nothing is left to run, or more was run than a whole life takes."""


class SeededLoop(asyncio.BaseEventLoop):
    """No selector, no clock: time passes when nobody is ready.

    Parameters
    ----------
    draw
        Chooses who goes next.
    most_turns
        More than this many callbacks are an endless loop.
    """

    def __init__(self, draw: random.Random, most_turns: int = 400_000) -> None:
        super().__init__()
        self.draw, self.now, self.turns, self.most_turns = draw, BEGIN_S, 0, most_turns
        self.history = 0
        self._ready: list[asyncio.Handle] = []
        self._scheduled: list[asyncio.TimerHandle] = []
        self._born: list[asyncio.Task[Any]] = []  # nobody's coroutine ends because nobody holds it any more
        self.set_task_factory(self._bear)
        self.set_exception_handler(lambda *_: None)  # what tasks die of is told by their processes

    def _bear(self, _: Any, coroutine: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=self, **kwargs)
        self._born.append(task)
        return task

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """As a thread does: nobody else moves meanwhile."""
        self.now += seconds

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        raise StuckError("a thread in a simulation")

    def _run_once(self) -> None:
        ready = self._ready
        if not ready:
            self._advance()
        i = int(self.draw.random() * len(ready))
        ready[i], ready[-1] = ready[-1], ready[i]
        handle = ready.pop()
        self.turns += 1
        self.history = hash((self.history, i, len(ready), self.now))
        if self.turns > self.most_turns:
            raise StuckError(f"no end after {self.turns} turns")
        if handle._cancelled:
            return
        owner = handle._context.get(OWNER)  # type: ignore[attr-defined]
        if owner is not None and not owner.is_alive:
            return
        if owner is not None and owner.is_stalled:
            owner.parked.append(handle)
            return
        handle._run()

    def _advance(self) -> None:
        """Go to the next moment at which something is due."""
        while self._scheduled and not self._ready:
            self.now = max(self.now, self._scheduled[0].when())
            while self._scheduled and self._scheduled[0].when() <= self.now:
                handle = heapq.heappop(self._scheduled)
                handle._scheduled = False  # type: ignore[attr-defined]
                if not handle._cancelled:
                    self._ready.append(handle)
        if not self._ready:
            raise StuckError("nothing is left to run")

    def wake(self, owner: Owner) -> None:
        """Let a stalled process go on."""
        owner.is_stalled = False
        self._ready += owner.parked
        owner.parked = []

    def bury(self) -> None:
        """Close what is left, quietly."""
        for task in self._born:
            task._log_destroy_pending = task._log_traceback = False  # type: ignore[attr-defined]
            coroutine: Any = task.get_coro()
            if not task.done():
                with suppress(RuntimeError):
                    coroutine.close()
        self._born = []
        self._ready, self._scheduled = [], []
        self.close()
