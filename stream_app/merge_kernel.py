"""Order in which the sources of a partition are read, and which records are duplicates: both functions of the logs
alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.compiled import Array, Integer, Number, compiled
from stream_app import opcodes as op


@compiled
def merge_by_known_time(
    known_time: Array,
    status: Array,
    arrived: Array,
    begin: Array,
    end: Array,
    empty_at: Array,
    clock_ms: Integer,
    clock_arrived: Number,
    clock_empty_at: Number,
    is_one_day: Integer,
    order: Array,
    runs: Array,
) -> Any:
    """Merge sources by known time, in offset order within a source, ties to the lower source.

    Source s lies at ``[begin[s], end[s])`` of the columns; ``empty_at[s]`` is the newest moment of which it is known
    that nothing lay behind that. An event that arrived later (``arrived``, by the same clock) never runs ahead of a
    source that is used up here: records of it may have been written before. It stops before the first event known at
    or after ``clock_ms``, which the next clock record says, for which the same holds.
    Refused records go first: they have no time. With ``is_one_day`` it stops at the midnight after the first event:
    decisions of a day are settled before its ticks are taken.
    ``begin`` is moved on. Returns (number of positions in ``order``, number of (source, count) in ``runs``, whether the
    clock record is next).
    """
    n = 0
    n_runs = 0
    limit = np.int64(clock_ms)
    has_day = not is_one_day
    while True:
        best = -1
        best_time = np.int64(0)
        since = np.float64(clock_empty_at)
        for s in range(len(begin)):
            if begin[s] >= end[s]:
                since = min(since, empty_at[s])
                continue
            i = begin[s]
            time = known_time[i] if status[i] < op.REFUSED else np.int64(op.NONE)
            if best < 0 or time < best_time:
                best, best_time = s, time
        if best < 0 or best_time >= limit:
            return n, n_runs, since >= clock_arrived and (best < 0 or limit == clock_ms)
        if best_time != op.NONE and arrived[begin[best]] > since:
            return n, n_runs, False
        if not has_day and best_time != op.NONE:
            limit = min(limit, (best_time // op.DAY_MS + 1) * op.DAY_MS)
            has_day = True
        order[n] = begin[best]
        begin[best] += 1
        n += 1
        if n_runs and runs[n_runs - 1, 0] == best:
            runs[n_runs - 1, 1] += 1
        else:
            runs[n_runs, 0] = best
            runs[n_runs, 1] = 1
            n_runs += 1


@compiled
def mark_duplicates(
    id_hash: Array, offset: Array, status: Array, window: Integer, expected: Integer, ring: Array, table: Array
) -> None:
    """Mark events whose id was seen within the preceding ``window`` offsets of this topic-partition.

    ``ring`` holds the hash at offset modulo its length (0: none), which is twice the window or holds all there is.
    ``table`` is an open-addressing index from hash to newest place in the ring (-1: empty); an entry whose place holds
    another hash by now is passed over. ``expected`` is the offset behind the last one marked. A refused record leaves
    no hash.
    """
    n_ring = len(ring)
    mask = np.uint64(len(table) - 1)
    for i in range(len(offset)):
        for skipped in range(max(expected, offset[i] - n_ring), offset[i]):
            ring[skipped % n_ring] = 0
        expected = offset[i] + 1
        at = offset[i] % n_ring
        if status[i] >= op.REFUSED:
            ring[at] = 0
            continue
        h = id_hash[i] if id_hash[i] != 0 else np.int64(1)
        place = np.uint64(h) & mask
        while table[place] >= 0 and ring[table[place]] != h:
            place = (place + np.uint64(1)) & mask
        if table[place] >= 0:
            distance = (at - table[place]) % n_ring
            if 0 < distance <= window:
                status[i] = op.DUPLICATE
        table[place] = at
        ring[at] = h


@compiled
def index_ring(ring: Array, first: Integer, until: Integer, table: Array) -> Any:
    """Enter the hashes at offsets ``[first, until)`` into an empty table; returns how many there are."""
    mask = np.uint64(len(table) - 1)
    n = 0
    for offset in range(first, until):
        at = offset % len(ring)
        h = ring[at]
        if h == 0:
            continue
        place = np.uint64(h) & mask
        while table[place] >= 0 and ring[table[place]] != h:
            place = (place + np.uint64(1)) & mask
        table[place] = at
        n += 1
    return n
