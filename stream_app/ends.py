"""Where the logs ended, and when: what lets a merge know that nothing older can still come."""

from __future__ import annotations

from typing import Final

from faust.types import TP

N_KEPT: Final = 16


class Ends:
    """The newest looks at the end of each topic-partition, as facts about its log: they outlive what comes later.

    Written by one thread and read by others: each entry is replaced whole.
    """

    def __init__(self) -> None:
        self._looks: dict[TP, tuple[tuple[int, float], ...]] = {}

    def note(self, tp: TP, end: int, asked_ms: float) -> None:
        """A fetch sent at ``asked_ms`` found nothing at or behind ``end``."""
        looks = self._looks.get(tp, ())
        if looks and looks[-1][0] == end:
            looks = looks[:-1]
        self._looks[tp] = (*looks[-N_KEPT + 1 :], (end, asked_ms))

    def empty_at(self, tp: TP, position: int) -> float | None:
        """The newest moment (ms) of which it is known that nothing lay at or behind ``position``; None without any."""
        for end, asked_ms in reversed(self._looks.get(tp, ())):
            if end <= position:
                return asked_ms
        return None
