"""What one measured run says, for every engine alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Run:
    """Figures of one run.

    ``seconds`` is from the first event applied to the last one applied and its checkpoint acknowledged; ``cpu_s`` is of
    the process over the same time; ``outputs`` are what the comparison looks at.
    """

    engine: str
    n_events: int
    n_rows: int
    seconds: float
    cpu_s: float
    rss_mb: float
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def events_per_s(self) -> float:
        return self.n_events / self.seconds

    @property
    def rows_per_s(self) -> float:
        return self.n_rows / self.seconds
