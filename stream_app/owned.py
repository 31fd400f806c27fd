"""A partition that a worker owns: when it steps, when its next checkpoint is due, what waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from stream_app.checkpoint import Checkpointer
from stream_app.partition_task import PartitionTask

LIVE_MS = 1_000.0  # a partition whose newest record arrived within it is live: its alerts are waited for
GATHER_S = 0.02  # between two merges of a live partition: a batch costs the same with one event and with fifty
ALERT_S = 0.02  # after a checkpoint of a live partition began, the next may, when an alert at an event waits for it
REST = 2.0  # times as long as a checkpoint took is none taken while there is something to catch up with
END_S = 0.05  # after a checkpoint began, the next may when all is caught up with


@dataclass(eq=False)
class Owned:
    """Task and checkpoints of one partition, and their times."""

    task: PartitionTask
    checkpointer: Checkpointer
    state_end: int = 0  # where the state topic ends if nobody else wrote
    writing: asyncio.Task[None] | None = None
    is_paused: bool = False
    is_live: bool = False
    is_at_end: bool = False  # the last step found nothing to do and every log empty behind it
    _next_checkpoint_at: float = 0.0
    _alert_checkpoint_at: float = 0.0
    _end_checkpoint_at: float = 0.0
    _next_merge_at: float = 0.0
    _merged_ms: float = 0.0  # when the oldest event that no checkpoint has yet was merged

    def note_arrival(self, written_ms: float, arrived_ms: float) -> None:
        """Judge by the newest record whether the partition is live."""
        self.is_live = arrived_ms - written_ms < LIVE_MS

    def step(self, empty_at: Sequence[float | None], clock_empty_at: float | None) -> bool:
        """One step of the task; what comes to a live partition is gathered a moment before it is merged."""
        task, now = self.task, time.monotonic()
        self.is_at_end = False
        if self.is_live and task.is_between_batches and now < self._next_merge_at:
            return False
        had_none = task.oldest is None
        did = task.step(empty_at, clock_empty_at, self.is_pacing)
        if had_none and task.oldest is not None:
            self._merged_ms = time.time() * 1000
        if not task.is_between_batches:
            self._next_merge_at = now + GATHER_S
        self.is_at_end = not did and clock_empty_at is not None and None not in empty_at
        return did

    @property
    def is_pacing(self) -> bool:
        """Whether ticks go in small pieces between events; not when the next day's clock record is waiting already."""
        return self.is_live and not self.task.has_clock_waiting

    def waited(self) -> tuple[float, ...] | None:
        """When (ms) the oldest event that no checkpoint has yet was written, arrived and was merged, and now."""
        return None if self.task.oldest is None else (*self.task.oldest, self._merged_ms, time.time() * 1000)

    @property
    def is_checkpoint_due(self) -> bool:
        """Whether the next one may and should be taken now."""
        task, now = self.task, time.monotonic()
        is_called = task.waits_for_checkpoint or (task.outputs.is_awaited and now >= self._alert_checkpoint_at)
        is_end = self.is_at_end and now >= self._end_checkpoint_at
        is_time = now >= self._next_checkpoint_at or (is_called if self.is_live else is_end)
        return is_time and self.writing is None and task.is_touched and task.is_between_batches

    def note_checkpoint(self, began: float, least_s: float) -> None:
        """One that began at ``began`` (monotonic) is written: when the next is due."""
        now = time.monotonic()
        rest_s = 0.0 if self.is_live else REST * (now - began)
        self._next_checkpoint_at = max(began + least_s, now + rest_s)
        self._end_checkpoint_at = began + min(least_s, END_S)
        self._alert_checkpoint_at = began + min(least_s, ALERT_S)

    async def settle(self) -> None:
        """Take no more steps and wait for the checkpoint that is being written: never two writers at a time."""
        self.is_paused = True
        if self.writing is not None:
            await self.writing
            self.writing = None
