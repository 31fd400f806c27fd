"""Feature row of one customer at one moment: windows over tiles, recencies, last values.

Integers are read from the row, turned to float64 in a fixed order, and rounded once to float32.
A window of W days at ``as_of`` covers the tiles that hold the days ``end_day - W + 1 .. end_day`` where ``end_day``
holds the last millisecond before ``as_of``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.compiled import Array, Integer, compiled
from stream_app import opcodes as op


@compiled
def _first_last(head_day: Integer, end_day: Integer, length: Integer, tile_days: Integer, window: Integer) -> Any:
    """First and last tile of a window that the ring still holds."""
    head = head_day // tile_days
    first = max((end_day - window + 1) // tile_days, head - length + 1)
    return first, min(end_day // tile_days, head)


@compiled
def _sum_tiles(
    s: Array, at: Integer, head_day: Integer, end_day: Integer, length: Integer, tile_days: Integer, window: Integer
) -> Any:
    """Sum of the tiles of a window, as an integer."""
    first, last = _first_last(head_day, end_day, length, tile_days, window)
    total = np.int64(0)
    for tile in range(first, last + 1):
        total += s[at + tile % length]
    return total


@compiled
def _max_tiles(
    s: Array, at: Integer, head_day: Integer, end_day: Integer, length: Integer, tile_days: Integer, window: Integer
) -> Any:
    first, last = _first_last(head_day, end_day, length, tile_days, window)
    best = np.int64(op.NONE)
    for tile in range(first, last + 1):
        best = max(best, s[at + tile % length])
    return best


@compiled
def _count_days(s64: Array, at: Integer, head_day: Integer, end_day: Integer, length: Integer, window: Integer) -> Any:
    first, last = _first_last(head_day, end_day, length, 1, window)
    n = 0
    for day in range(first, last + 1):
        place = day % length
        n += (s64[at + place // 64] >> (place % 64)) & 1
    return n


@compiled
def _civil(days: Array) -> Any:
    """(month, day of month) of a day since the epoch, proleptic Gregorian calendar."""
    shifted = days + 719468  # days from 0000-03-01 to the epoch
    era = shifted // 146097
    day_of_era = shifted - era * 146097
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    from_march = (5 * day_of_year + 2) // 153
    month = from_march + 3 if from_march < 10 else from_march - 9
    return month, day_of_year - (153 * from_march + 2) // 5 + 1


@compiled
def _calendar(as_of: Integer, part: Integer, zone: Array) -> Any:
    row = 0
    while row + 1 < len(zone) and zone[row + 1, 0] <= as_of:
        row += 1
    day = (as_of + zone[row, 1]) // op.DAY_MS
    if part == op.WEEKDAY:
        return float((day + 3) % 7)  # the epoch was a Thursday; 0 is Monday
    month, day_of_month = _civil(day)
    return float(day_of_month) if part == op.DAY_OF_MONTH else float(month)


@compiled
def _days_between(later: Integer, earlier: Integer) -> Any:
    return max(later - earlier, np.int64(0)) / float(op.DAY_MS)


@compiled
def _paired(
    s64: Array,
    s32: Array,
    e64: Integer,
    e32: Integer,
    code: Integer,
    f: Array,
    scale: Integer,
    head_day: Integer,
    end_day: Integer,
) -> Any:
    """Ratio or trend of a short and a long window, each per day."""
    if f[9]:
        short = _sum_tiles(s64, e64 + f[1], head_day, end_day, f[2], f[3], f[4])
        long = _sum_tiles(s64, e64 + f[5], head_day, end_day, f[6], f[7], f[8])
    else:
        short = _sum_tiles(s32, e32 + f[1], head_day, end_day, f[2], f[3], f[4])
        long = _sum_tiles(s32, e32 + f[5], head_day, end_day, f[6], f[7], f[8])
    if code == op.F_TREND:
        return (short / scale) / f[4] - (long / scale) / f[8]
    return np.nan if long == 0 else (short * f[8]) / (long * float(f[4]))


@compiled
def _windowed(
    s64: Array,
    s32: Array,
    e64: Integer,
    e32: Integer,
    code: Integer,
    f: Array,
    scale: Integer,
    head_day: Integer,
    end_day: Integer,
) -> Any:
    if code == op.F_COUNT:
        return float(_sum_tiles(s32, e32 + f[1], head_day, end_day, f[2], f[3], f[4]))
    if code == op.F_SUM:
        return _sum_tiles(s64, e64 + f[1], head_day, end_day, f[2], f[3], f[4]) / scale
    if code == op.F_DAYS:
        return float(_count_days(s64, e64 + f[1], head_day, end_day, f[2], f[4]))
    if code == op.F_MAX:
        best = _max_tiles(s64, e64 + f[1], head_day, end_day, f[2], f[3], f[4])
        return np.nan if best == op.NONE else best / scale
    n = _sum_tiles(s32, e32 + f[5], head_day, end_day, f[2], f[3], f[4])
    if n == 0:
        return np.nan
    return _sum_tiles(s64, e64 + f[1], head_day, end_day, f[2], f[3], f[4]) / scale / n


@compiled
def _moment(s64: Array, e64: Integer, code: Integer, f: Array, scale: Integer, as_of: Integer) -> Any:
    """Features of times and last values."""
    if code == op.F_TENURE:
        return _days_between(as_of, s64[e64 + op.FIRST])
    time = s64[e64 + f[1]]
    if code == op.F_OPEN:
        return float(time)
    if time == op.NONE:
        return np.nan
    if code == op.F_RECENCY:
        return _days_between(as_of, time)
    if code == op.F_LAST:
        return s64[e64 + f[1] + 2] / scale
    if code == op.F_UNTIL:
        return (s64[e64 + f[1] + 2] - as_of) / float(op.DAY_MS)
    paid = s64[e64 + f[2]]
    return _days_between(paid if paid >= time else as_of, time)


@compiled
def take_features(
    s64: Array,
    s32: Array,
    e64: Integer,
    e32: Integer,
    as_of: Integer,
    fops: Array,
    fscale: Array,
    zone: Array,
    out: Array,
) -> None:
    """Write the feature row as of ``as_of`` (exclusive) to ``out`` (n_features,) float32; NaN is missing."""
    head_day = s64[e64 + op.ROW_DAY]
    end_day = (as_of - 1) // op.DAY_MS
    for j in range(fops.shape[0]):
        code = fops[j, 0]
        if code <= op.F_DAYS:
            value = _windowed(s64, s32, e64, e32, code, fops[j], fscale[j], head_day, end_day)
        elif code <= op.F_TREND:
            value = _paired(s64, s32, e64, e32, code, fops[j], fscale[j], head_day, end_day)
        elif code == op.F_CALENDAR:
            value = _calendar(as_of, fops[j, 1], zone)
        else:
            value = _moment(s64, e64, code, fops[j], fscale[j], as_of)
        out[j] = np.float32(value)
