"""Where the time of an event goes between its being written to Kafka and its effects being readable."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

N_KEPT = 500
STAGES = ("fetch", "merge", "hold", "commit")


@dataclass
class Stages:
    """Milliseconds that the oldest event of each of the newest checkpoints spent in each stage.

    ``fetch``: from its record's timestamp to us. ``merge``: until no source could hold something known earlier.
    ``hold``: applied and scored, until the next checkpoint began. ``commit``: until the broker had it whole.
    """

    kept: deque[tuple[float, ...]] = field(default_factory=lambda: deque(maxlen=N_KEPT))

    def note(self, *moments_ms: float) -> None:
        """Take the moments of one checkpoint: written, arrived, merged, taken, committed."""
        self.kept.append(tuple(b - a for a, b in pairwise(moments_ms)))

    def content(self) -> dict[str, list[float]]:
        """Stage -> [median, 99th percentile] in ms; empty before the first checkpoint."""
        if not self.kept:
            return {}
        whole = np.percentile(np.array(self.kept), [50, 99], axis=0).round(1)
        return {name: whole[:, i].tolist() for i, name in enumerate(STAGES)}
