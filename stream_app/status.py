"""What a worker did so far, as plain numbers for people and for supervisors."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream_app.releases import ModelSchedule
from stream_app.stages import Stages

if TYPE_CHECKING:
    from stream_app.owned import Owned


@dataclass
class Status:
    """Counters of this process since it started, and of its partitions since their first event."""

    started_s: float = field(default_factory=time.monotonic)
    first_event_s: float | None = None
    first_score_s: float | None = None
    last_checkpoint_s: float | None = None
    n_checkpoints: int = 0
    state_bytes_written: int = 0
    stages: Stages = field(default_factory=Stages)
    content: dict[str, Any] = field(default_factory=dict)
    _in_at_first: dict[int, int] = field(default_factory=dict)
    _applied_before: int = 0
    _at: float = field(default_factory=time.monotonic)
    _rate: float = 0.0

    def wrote(self, n_bytes: int) -> None:
        """Count a finished checkpoint and the bytes of rows in it."""
        self.last_checkpoint_s = self._since_start()
        self.n_checkpoints += 1
        self.state_bytes_written += n_bytes

    def _since_start(self) -> float:
        return round(time.monotonic() - self.started_s, 3)

    def _note_first_event(self, owned: Mapping[int, Owned]) -> None:
        counts = {partition: o.task.accounting.n_in for partition, o in owned.items()}
        if any(n != self._in_at_first.setdefault(partition, n) for partition, n in counts.items()):
            self.first_event_s = self._since_start()

    def update(self, owned: Mapping[int, Owned], schedule: ModelSchedule) -> None:
        """Take the counters of the tasks, at most five times a second."""
        if self.first_event_s is None:
            self._note_first_event(owned)
        now = time.monotonic()
        if self.content and now - self._at < 0.2:
            return
        tasks = [o.task for o in owned.values()]
        n_in = sum(t.accounting.n_in for t in tasks)
        if now - self._at >= 0.2:
            self._rate = max(0.0, (n_in - self._applied_before) / (now - self._at))
            self._applied_before, self._at = n_in, now
        scored = sum(t.scorer.n_scored for t in tasks)
        if scored and self.first_score_s is None:
            self.first_score_s = round(now - self.started_s, 3)
        clock_day = min((t.state.clock_day for t in tasks), default=-1)
        self.content = {
            "events_per_s": round(self._rate),
            "in": n_in,
            "applied": sum(t.accounting.applied for t in tasks),
            "duplicate": sum(t.accounting.duplicate for t in tasks),
            "late": sum(t.accounting.late for t in tasks),
            "refused": _merged([t.accounting.refused for t in tasks]),
            "adds_up": all(t.accounting.adds_up() for t in tasks),
            "customers": sum(t.state.n_customers for t in tasks),
            "scored": scored,
            "scores_published": sum(t.scorer.n_published for t in tasks),
            "alerts_opened": sum(t.scorer.alerts.opened for t in tasks),
            "alerts_closed": sum(t.scorer.alerts.closed for t in tasks),
            "alerts_silent": sum(t.scorer.alerts.silent for t in tasks),
            "clock_day": clock_day,
            "model_version": schedule.version_at(clock_day),
            "releases": {active.model.version: day for day, active in schedule.releases},
            "partitions": sorted(owned),
            "up_s": self._since_start(),
            "cpu_s": round(time.process_time(), 3),
            "first_event_s": self.first_event_s,
            "first_score_s": self.first_score_s,
            "last_checkpoint_s": self.last_checkpoint_s,
            "partitions_unsaved": sum(o.task.is_touched or o.writing is not None for o in owned.values()),
            "checkpoints": self.n_checkpoints,
            "state_bytes_written": self.state_bytes_written,
            "state_bytes_dirty": sum(o.checkpointer.n_bytes_dirty for o in owned.values()),
            "stages_ms": self.stages.content(),
            "row_bytes": tasks[0].state.row_bytes if tasks else 0,
        }

    def save(self, path: Path) -> None:
        """Write the newest content as JSON, atomically."""
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(self.content))
        temporary.replace(path)


def _merged(counts: list[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        for name, n in count.items():
            total[name] = total.get(name, 0) + n
    return total
