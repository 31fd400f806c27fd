"""Offsets of a time zone as a table, so that compiled code can take calendar parts in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

FIRST_YEAR, LAST_YEAR = 1990, 2100


def offset_table(timezone: str) -> npt.NDArray[np.int64]:
    """Transitions of ``timezone`` as (n, 2): from this UTC millisecond on, the offset in milliseconds.

    Covers the years 1990 to 2100; the first row also serves earlier times.

    >>> offset_table("UTC").tolist()
    [[631152000000, 0]]
    """
    zone = ZoneInfo(timezone)
    at, end, week = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR, 1, 1, tzinfo=UTC), timedelta(days=7)
    rows = [(at, _offset(zone, at))]
    if timezone != "UTC":
        while at < end:
            if _offset(zone, at + week) != rows[-1][1]:
                moment = _first_change(zone, at, at + week)
                rows.append((moment, _offset(zone, moment)))
            at += week
    return np.array([(int(moment.timestamp() * 1000), offset) for moment, offset in rows], np.int64)


def _offset(zone: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(zone).utcoffset()
    return int(offset.total_seconds() * 1000) if offset is not None else 0


def _first_change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    old = _offset(zone, before)
    while after - before > timedelta(minutes=1):
        middle = before + (after - before) / 2
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    return after.replace(second=0, microsecond=0)
