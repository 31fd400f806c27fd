"""Customer keys in compiled code: hashing, finding a row, and the partition a key belongs to."""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.compiled import Array, Integer, compiled


@compiled
def hash_bytes(data: Array, at: Integer, length: Integer) -> Any:
    """64-bit hash of ``data[at:at + length]`` (multiply and fold, eight bytes a step), as int64."""
    h = np.uint64(0x9E3779B97F4A7C15) ^ (np.uint64(length) * np.uint64(0xC2B2AE3D27D4EB4F))
    p = at
    end = at + length
    while p < end:
        word = np.uint64(0)
        for j in range(min(8, end - p)):
            word |= np.uint64(data[p + j]) << np.uint64(8 * j)
        h = (h ^ word) * np.uint64(0xFF51AFD7ED558CCD)
        h ^= h >> np.uint64(29)
        p += 8
    h = (h ^ (h >> np.uint64(32))) * np.uint64(0xC4CEB9FE1A85EC53)
    return np.int64(h ^ (h >> np.uint64(29)))


@compiled
def find_slot(
    s64: Array,
    s8: Array,
    index: Array,
    row64: Integer,
    keys: Array,
    at: Integer,
    length: Integer,
    key_hash: Array,
    event_at: Integer,
) -> Any:
    """(slot or -1, place in ``index``): open addressing with linear steps; ``index`` has 2^k places and holds -1
    where empty.
    """
    mask = np.uint64(len(index) - 1)
    place = np.uint64(key_hash) & mask
    while True:
        slot = index[place]
        if slot < 0:
            return np.int64(-1), np.int64(place)
        row = slot * row64
        if s64[row + event_at + 1] == key_hash and s64[row + event_at] == length:
            same = True
            for j in range(length):
                if s8[row * 8 + j] != keys[at + j]:
                    same = False
                    break
            if same:
                return np.int64(slot), np.int64(place)
        place = (place + np.uint64(1)) & mask


@compiled
def fill_index(s64: Array, index: Array, row64: Integer, n_slots: Integer, event_at: Integer) -> None:
    """Enter every taken slot below ``n_slots`` into the empty ``index``."""
    mask = np.uint64(len(index) - 1)
    for slot in range(n_slots):
        if s64[slot * row64 + event_at] == 0:
            continue
        place = np.uint64(s64[slot * row64 + event_at + 1]) & mask
        while index[place] >= 0:
            place = (place + np.uint64(1)) & mask
        index[place] = slot


@compiled
def murmur2_partition(data: Array, at: Integer, length: Integer, n_partitions: Integer) -> Any:
    """Partition of a key as Kafka's Java clients choose it: the positive part of murmur2, modulo."""
    m = np.uint32(0x5BD1E995)
    h = np.uint32(0x9747B28C) ^ np.uint32(length)
    p = at
    for _ in range(length // 4):
        k = (
            np.uint32(data[p])
            | (np.uint32(data[p + 1]) << np.uint32(8))
            | (np.uint32(data[p + 2]) << np.uint32(16))
            | (np.uint32(data[p + 3]) << np.uint32(24))
        )
        k = np.uint32(k * m)
        k ^= k >> np.uint32(24)
        k = np.uint32(k * m)
        h = np.uint32(h * m) ^ k
        p += 4
    left = length & 3
    if left > 2:
        h ^= np.uint32(data[p + 2]) << np.uint32(16)
    if left > 1:
        h ^= np.uint32(data[p + 1]) << np.uint32(8)
    if left > 0:
        h = np.uint32((h ^ np.uint32(data[p])) * m)
    h ^= h >> np.uint32(13)
    h = np.uint32(h * m)
    h ^= h >> np.uint32(15)
    return np.int64(h & np.uint32(0x7FFFFFFF)) % n_partitions


@compiled
def gather_keys(data: Array, at: Array, length: Array, out: Array) -> None:
    """Copy the keys at ``at`` one behind the other into ``out``."""
    p = 0
    for i in range(len(at)):
        for j in range(length[i]):
            out[p + j] = data[at[i] + j]
        p += length[i]
