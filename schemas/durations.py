"""Durations as people write them ("10s", "5m", "2h", "7d") and as the code keeps them (int milliseconds)."""

from __future__ import annotations

import re
from typing import Final

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

_UNITS: Final = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_PATTERN: Final = re.compile(r"(0|[1-9][0-9]{0,8})(ms|s|m|h|d)", re.ASCII)


def parse_duration(text: str) -> int:
    """Milliseconds of a duration.

    Parameters
    ----------
    text
        A whole number and one of the units ms, s, m, h, d.

    Raises
    ------
    ValueError
        When `text` is anything else.

    Examples
    --------
    >>> parse_duration("2h")
    7200000
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is not a duration; write a whole number and a unit, like "10s", "5m", "2h" or "7d"')
    return int(match[1]) * _UNITS[match[2]]


def format_duration(ms: int) -> str:
    """The shortest text that `parse_duration` reads back as `ms`.

    Examples
    --------
    >>> format_duration(7_200_000)
    '2h'
    """
    for unit in ("d", "h", "m", "s"):
        if ms and ms % _UNITS[unit] == 0:
            return f"{ms // _UNITS[unit]}{unit}"
    return f"{ms}ms" if ms else "0s"
