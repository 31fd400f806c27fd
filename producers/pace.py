"""How fast recorded time passes: ``86400x`` is one event-day in a second, ``max`` as fast as the broker takes it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from producers.errors import ReplayError

_SPEED: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)x", re.ASCII)
_HOLD_S: Final = 0.05
_STEP_WALL_MS: Final = 1_000.0


def speed_of(text: str) -> float | None:
    """Event time passed in one unit of wall time; None is as fast as possible.

    Examples
    --------
    >>> speed_of("86400x"), speed_of("max")
    (86400.0, None)
    """
    if text == "max":
        return None
    match = _SPEED.fullmatch(text)
    if match is None or float(match[1]) <= 0:
        raise ReplayError(f"speed {text!r}", 'is neither "max" nor a factor like "86400x" (one event-day in a second)')
    return float(match[1])


class Pace:
    """Waits until recorded time has come.

    Parameters
    ----------
    speed
        As from `speed_of`.
    now
        Seconds of a clock that only goes forward.
    sleep
        Waits for seconds.
    """

    def __init__(
        self,
        speed: float | None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed, self._now, self._sleep = speed, now, sleep
        self._origin: tuple[float, int] | None = None

    @property
    def step_ms(self) -> int | None:
        """Event time that passes in a second of wall time; None without a speed."""
        return None if self._speed is None else max(1, int(self._speed * _STEP_WALL_MS))

    def start(self, time_ms: int) -> None:
        """Recorded time is `time_ms` now, unless it runs already."""
        if self._origin is None:
            self._origin = (self._now(), time_ms)

    def wait_until(self, time_ms: int) -> None:
        """Return when recorded time is `time_ms`."""
        if self._speed is None or self._origin is None:
            return
        began, origin_ms = self._origin
        left = began + (time_ms - origin_ms) / 1000 / self._speed - self._now()
        if left > 0:
            self._sleep(left)

    def hold_while(self, hold: Callable[[], bool]) -> None:
        """Recorded time stands still as long as `hold` says so."""
        began = self._now()
        while hold():
            self._sleep(_HOLD_S)
        if self._origin is not None:
            self._origin = (self._origin[0] + self._now() - began, self._origin[1])
