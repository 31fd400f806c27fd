"""Feature row of one customer at one moment: windows over tiles, recencies, last values.

Integers are read from the row, turned to float64 in a fixed order, and rounded once to float32.
A window of W days at ``as_of`` covers the tiles that hold the days ``end_day - W + 1 .. end_day`` where ``end_day``
holds the last millisecond before ``as_of``. Where those tiles lie in their rings follows from two days alone, and most
rows of a batch share both: a *frame* keeps the places for a pair of days, so that rows are read without divisions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.compiled import Array, Integer, allocating, compiled, inlined
from stream_app import opcodes as op

# frame: the days that it holds for, the calendar's parts and from and until which moment they hold, then two lists of
# places for each feature: where each begins (and where the last ends), and the places
HEAD_DAY, END_DAY, FROM_MS, UNTIL_MS, WEEKDAY, DAY_OF_MONTH, MONTH = range(7)
LISTS = 8
FRAMES = 8  # of neighbouring head days: a sweep meets customers who were last seen on different days


@allocating
def new_frames(fops: Array) -> Any:
    """Frames that hold for no days yet, (FRAMES, places)."""
    n = LISTS + 2 * len(fops) + 1
    for j in range(len(fops)):
        code = fops[j, 0]
        if code <= op.F_TREND:
            n += 2 * fops[j, 2] + fops[j, 6]
    frames = np.zeros((FRAMES, n), np.int64)
    frames[:, :LISTS] = op.NONE
    return frames


@compiled
def _put_tiles(
    frame: Array,
    w: Integer,
    p: Integer,
    at: Integer,
    head_day: Integer,
    end_day: Integer,
    length: Integer,
    tile_days: Integer,
    window: Integer,
) -> Any:
    """Write the places of the tiles of a window that the ring at ``at`` still holds; return the next position."""
    head = head_day // tile_days
    first = max((end_day - window + 1) // tile_days, head - length + 1)
    last = min(end_day // tile_days, head)
    if first > last:
        return p
    place = first % length
    for _ in range(last - first + 1):
        frame[w, p] = at + place
        p += 1
        place += 1
        if place == length:
            place = 0
    return p


@compiled
def _put_bits(
    frame: Array,
    w: Integer,
    p: Integer,
    at: Integer,
    head_day: Integer,
    end_day: Integer,
    length: Integer,
    window: Integer,
) -> Any:
    """Write (word, mask) for the days of a window in a ring of bits; return the next position."""
    first = max(end_day - window + 1, head_day - length + 1)
    last = min(end_day, head_day)
    begin = p
    for day in range(first, last + 1):
        place = day % length
        if p == begin or frame[w, p - 2] != at + place // 64:
            frame[w, p] = at + place // 64
            frame[w, p + 1] = 0
            p += 2
        frame[w, p - 1] |= np.int64(1) << (place % 64)
    return p


@compiled
def _move(frame: Array, w: Integer, fops: Array, head_day: Integer, end_day: Integer) -> None:
    """Let the frame hold for these days."""
    frame[w, HEAD_DAY] = head_day
    frame[w, END_DAY] = end_day
    p = np.int64(LISTS + 2 * len(fops) + 1)
    for j in range(len(fops)):
        code = fops[j, 0]
        length, tile_days, window = fops[j, 2], fops[j, 3], fops[j, 4]
        frame[w, LISTS + 2 * j] = p
        if code == op.F_DAYS:
            p = _put_bits(frame, w, p, fops[j, 1], head_day, end_day, length, window)
        elif code <= op.F_TREND:
            p = _put_tiles(frame, w, p, fops[j, 1], head_day, end_day, length, tile_days, window)
        frame[w, LISTS + 2 * j + 1] = p
        if code == op.F_MEAN:
            p = _put_tiles(frame, w, p, fops[j, 5], head_day, end_day, length, tile_days, window)
        elif code == op.F_RATIO or code == op.F_TREND:
            p = _put_tiles(frame, w, p, fops[j, 5], head_day, end_day, fops[j, 6], fops[j, 7], fops[j, 8])
    frame[w, LISTS + 2 * len(fops)] = p


@inlined
def _sum_tiles(s: Array, at: Integer, frame: Array, w: Integer, which: Integer) -> Any:
    """Sum of the tiles of a window, as an integer."""
    total = np.int64(0)
    for p in range(frame[w, LISTS + which], frame[w, LISTS + which + 1]):
        total += s[np.uint64(at + frame[w, np.uint64(p)])]
    return total


@inlined
def _max_tiles(s: Array, at: Integer, frame: Array, w: Integer, which: Integer) -> Any:
    best = np.int64(op.NONE)
    for p in range(frame[w, LISTS + which], frame[w, LISTS + which + 1]):
        best = max(best, s[at + frame[w, p]])
    return best


@inlined
def _count_days(s64: Array, at: Integer, frame: Array, w: Integer, which: Integer) -> Any:
    """Number of days of a window whose bit is set."""
    n = np.int64(0)
    for p in range(frame[w, LISTS + which], frame[w, LISTS + which + 1], 2):
        bits = np.uint64(s64[at + frame[w, p]] & frame[w, p + 1])
        bits -= (bits >> np.uint64(1)) & np.uint64(0x5555555555555555)
        bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
        bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
        n += np.int64((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))
    return n


@compiled
def _civil(days: Integer) -> Any:
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
def _turn_calendar(frame: Array, w: Integer, as_of: Integer, zone: Array) -> None:
    """Take the calendar's parts at ``as_of``, and from and until when they hold."""
    row = 0
    while row + 1 < len(zone) and zone[row + 1, 0] <= as_of:
        row += 1
    offset = zone[row, 1]
    day = (as_of + offset) // op.DAY_MS
    begin, end = day * op.DAY_MS - offset, (day + 1) * op.DAY_MS - offset
    frame[w, FROM_MS] = max(begin, zone[row, 0]) if row > 0 else begin
    frame[w, UNTIL_MS] = min(end, zone[row + 1, 0]) if row + 1 < len(zone) else end
    frame[w, WEEKDAY] = (day + 3) % 7  # the epoch was a Thursday; 0 is Monday
    frame[w, MONTH], frame[w, DAY_OF_MONTH] = _civil(day)


@inlined
def _calendar(frame: Array, w: Integer, part: Integer) -> Any:
    if part == op.WEEKDAY:
        return float(frame[w, WEEKDAY])
    return float(frame[w, DAY_OF_MONTH]) if part == op.DAY_OF_MONTH else float(frame[w, MONTH])


@inlined
def _days_between(later: Integer, earlier: Integer) -> Any:
    return max(later - earlier, np.int64(0)) / float(op.DAY_MS)


@inlined
def _paired(
    s64: Array,
    s32: Array,
    e64: Integer,
    e32: Integer,
    code: Integer,
    j: Integer,
    fops: Array,
    scale: Integer,
    frame: Array,
    w: Integer,
) -> Any:
    """Ratio or trend of a short and a long window, each per day."""
    if fops[j, 9]:
        short, long = _sum_tiles(s64, e64, frame, w, 2 * j), _sum_tiles(s64, e64, frame, w, 2 * j + 1)
    else:
        short, long = _sum_tiles(s32, e32, frame, w, 2 * j), _sum_tiles(s32, e32, frame, w, 2 * j + 1)
    if code == op.F_TREND:
        return (short / scale) / fops[j, 4] - (long / scale) / fops[j, 8]
    return np.nan if long == 0 else (short * fops[j, 8]) / (long * float(fops[j, 4]))


@inlined
def _windowed(
    s64: Array,
    s32: Array,
    e64: Integer,
    e32: Integer,
    code: Integer,
    j: Integer,
    scale: Integer,
    frame: Array,
    w: Integer,
) -> Any:
    if code == op.F_COUNT:
        return float(_sum_tiles(s32, e32, frame, w, 2 * j))
    if code == op.F_SUM:
        return _sum_tiles(s64, e64, frame, w, 2 * j) / scale
    if code == op.F_DAYS:
        return float(_count_days(s64, e64, frame, w, 2 * j))
    if code == op.F_MAX:
        best = _max_tiles(s64, e64, frame, w, 2 * j)
        return np.nan if best == op.NONE else best / scale
    n = _sum_tiles(s32, e32, frame, w, 2 * j + 1)
    return np.nan if n == 0 else _sum_tiles(s64, e64, frame, w, 2 * j) / scale / n


@inlined
def _moment(s64: Array, e64: Integer, code: Integer, j: Integer, fops: Array, scale: Integer, as_of: Integer) -> Any:
    """Features of times and last values."""
    if code == op.F_TENURE:
        return _days_between(as_of, s64[e64 + op.FIRST])
    place = e64 + fops[j, 1]
    time = s64[place]
    if code == op.F_OPEN:
        return float(time)
    if time == op.NONE:
        return np.nan
    if code == op.F_RECENCY:
        return _days_between(as_of, time)
    if code == op.F_LAST:
        return s64[place + 2] / scale
    if code == op.F_UNTIL:
        return (s64[place + 2] - as_of) / float(op.DAY_MS)
    paid = s64[e64 + fops[j, 2]]
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
    frames: Array,
    out: Array,
    row: Integer,
) -> None:
    """Write the feature row as of ``as_of`` (exclusive) to ``out[row]`` (n_features,) float32; NaN is missing."""
    head_day = s64[e64 + op.ROW_DAY]
    end_day = (as_of - 1) // op.DAY_MS
    w = head_day & (FRAMES - 1)
    if head_day != frames[w, HEAD_DAY] or end_day != frames[w, END_DAY]:
        _move(frames, w, fops, head_day, end_day)
    if as_of < frames[w, FROM_MS] or as_of >= frames[w, UNTIL_MS]:
        _turn_calendar(frames, w, as_of, zone)
    for j in range(fops.shape[0]):
        code = fops[j, 0]
        if code <= op.F_DAYS:
            value = _windowed(s64, s32, e64, e32, code, j, fscale[j], frames, w)
        elif code <= op.F_TREND:
            value = _paired(s64, s32, e64, e32, code, j, fops, fscale[j], frames, w)
        elif code == op.F_CALENDAR:
            value = _calendar(frames, w, fops[j, 1])
        else:
            value = _moment(s64, e64, code, j, fops, fscale[j], as_of)
        out[row, j] = np.float32(value)
