"""What follows from a score: whether it is published, whether an alert opens or closes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

TICK, EVENT, URGENT, ENDED = range(4)  # ENDED: not scored; whoever is no longer live has no open alert
ROW_KINDS = ("tick", "event", "urgent")
MOVED = 0.05  # a score that moved by more says something new
MICROS = 1e6
SCORE_BINS = 20


@dataclass(slots=True)
class Episodes:
    """The episodes of one customer under one rule; times are 0 where there is none."""

    number: int = 0
    open_since: int = 0
    closed_at: int = 0

    def move(
        self, score: float, as_of_ms: int, open_above: float, close_below: float, cool_down_ms: int
    ) -> Literal["opened", "closed"] | None:
        """Open or close by a score, with hysteresis and a cool-down."""
        if self.open_since:
            if score >= close_below:
                return None
            self.open_since, self.closed_at = 0, as_of_ms
            return "closed"
        if score < open_above or (self.closed_at and as_of_ms - self.closed_at < cool_down_ms):
            return None
        self.number, self.open_since = self.number + 1, as_of_ms
        return "opened"


@dataclass(slots=True)
class Decisions:
    """What was decided about one customer; ``remembered`` is the bin of each tick score until its label is known."""

    episodes: list[Episodes]
    micros: int = -1
    is_high: bool = False
    remembered: dict[int, int] = field(default_factory=dict)

    def has_open_alert(self) -> bool:
        """Whether any rule's alert is open."""
        return any(episodes.open_since for episodes in self.episodes)

    def publish(self, row_kind: int, score: float, threshold: float) -> Literal["tick", "band", "moved"] | None:
        """Why a score is published, None when it says nothing new; remembers what is published."""
        why: Literal["tick", "band", "moved"]
        micros, is_high = int(score * MICROS + 0.5), score >= threshold
        if row_kind == TICK:
            why = "tick"
        elif self.micros >= 0 and is_high != self.is_high:
            why = "band"
        elif self.micros < 0 or abs(micros - self.micros) > MOVED * MICROS:
            why = "moved"
        else:
            return None
        self.micros, self.is_high = micros, is_high
        return why

    def remember(self, day: int, score: float) -> None:
        """Keep the bin of a tick's score."""
        self.remembered[day] = score_bin(score)


def score_bin(score: float) -> int:
    """One of twenty equal steps of the score's square root."""
    return min(int(math.sqrt(score) * SCORE_BINS), SCORE_BINS - 1)
