"""Order and duplicates of a recording: what history needs of a lake's events before the heart may take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.compiled import Array, Integer, compiled


@compiled
def ties_ascend(order: Array, known_time: Array, source: Array, partition: Array, offset: Array) -> Any:
    """Whether events that became known at once stand by topic, partition and offset in ``order``."""
    for q in range(1, len(order)):
        i, j = order[q - 1], order[q]
        if known_time[i] != known_time[j]:
            continue
        if source[i] != source[j]:
            if source[i] > source[j]:
                return False
        elif partition[i] != partition[j]:
            if partition[i] > partition[j]:
                return False
        elif offset[i] > offset[j]:
            return False
    return True


@compiled
def mixed(id_hash: Integer, source: Integer, partition: Integer) -> Any:
    """An event id and its log in one number, never zero."""
    h = np.uint64(id_hash) ^ (np.uint64(source * 65_536 + partition + 1) * np.uint64(0x9E3779B97F4A7C15))
    h = (h ^ (h >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    h ^= h >> np.uint64(32)
    return np.int64(h) if h != 0 else np.int64(1)


@compiled
def keep_first(
    order: Array, id_hash: Array, source: Array, partition: Array, deduplicate: Array, table: Array, kept: Array
) -> Any:
    """Write the events of ``order`` whose id is new in its log to ``kept``; return how many there are.

    ``deduplicate`` says for each topic whether its ids are looked at. ``table`` is an open-addressing set of 2^k
    places, 0 where empty, with room for all of them.
    """
    n = 0
    mask = np.uint64(len(table) - 1)
    for q in range(len(order)):
        i = order[q]
        if deduplicate[source[i]]:
            h = mixed(id_hash[i], source[i], partition[i])
            place = np.uint64(h) & mask
            while table[place] != 0 and table[place] != h:
                place = (place + np.uint64(1)) & mask
            if table[place] == h:
                continue
            table[place] = h
        kept[n] = i
        n += 1
    return n


@compiled
def move_seen(old: Array, table: Array) -> None:
    """Enter what ``old`` holds into the larger, empty ``table``."""
    mask = np.uint64(len(table) - 1)
    for p in range(len(old)):
        if old[p] != 0:
            place = np.uint64(old[p]) & mask
            while table[place] != 0:
                place = (place + np.uint64(1)) & mask
            table[place] = old[p]
