"""Named crash points: where a test ends the process, or a simulation the worker. Free when nothing is armed.

``DRIFTLINE_CRASH_AT=after_score:7`` ends the process with SIGKILL the seventh time it comes by that point.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

POINTS: Final = (
    "after_read",
    "after_decode",
    "after_apply",
    "after_score",
    "output_unacknowledged",
    "output_acknowledged",
    "checkpoint_half",
    "checkpoint_before_offsets",
    "after_commit",
    "before_restore",
    "mid_restore",
    "model_swap",
    "on_sigterm",
    "on_second_sigterm",
    "partition_lost",
)

hook: Callable[[str], None] | None = None


def reach(point: str) -> None:
    """Say that ``point`` is reached."""
    if hook is not None:
        hook(point)


def parse(text: str) -> tuple[str, int]:
    """Point and pass of ``point`` or ``point:pass``; ValueError names what is wrong."""
    point, _, number = text.partition(":")
    if point not in POINTS:
        raise ValueError(f"{point!r} is no crash point; there are {', '.join(POINTS)}")
    if number and not (number.isascii() and number.isdigit() and int(number) > 0):
        raise ValueError(f"{number!r} is no count of passes")
    return point, int(number or 1)


def arm(text: str) -> None:
    """End this process with SIGKILL where ``text`` says; an empty one disarms."""
    global hook
    hook = None
    if not text:
        return
    wanted, left = parse(text)

    def count(point: str) -> None:
        nonlocal left
        if point == wanted:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    hook = count
