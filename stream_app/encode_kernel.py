"""Score records written as columns: Avro bytes of many scores in one compiled pass.

The event id of a score is ``<customer>@<as-of>/<row kind>``, for event rows with ``.<sum of the offset stamps>``,
since two events may share a moment: the same after any restart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.compiled import Array, Integer, compiled
from stream_app import opcodes as op

ID_EXTRA = 48  # '@', up to 19 digits, '/', one digit, '.', up to 19 digits, and to spare


@compiled
def _put_long(out: Array, p: Integer, value: Integer) -> Any:
    """Write a zigzag varint; return the next position."""
    n = (np.uint64(value) << np.uint64(1)) ^ np.uint64(value >> np.int64(63))
    while n >= np.uint64(128):
        out[p] = np.uint8((n & np.uint64(127)) | np.uint64(128))
        n >>= np.uint64(7)
        p += 1
    out[p] = np.uint8(n)
    return p + 1


@compiled
def _put_bytes(out: Array, p: Integer, data: Array, at: Integer, length: Integer) -> Any:
    for j in range(length):
        out[p + j] = data[at + j]
    return p + length


@compiled
def _n_digits(value: Integer) -> Any:
    """Decimal digits of a number >= 0."""
    n_digits = 1
    rest = value // 10
    while rest > 0:
        n_digits += 1
        rest //= 10
    return n_digits


@compiled
def _put_digits(out: Array, p: Integer, value: Integer) -> Any:
    """Write a number >= 0 in decimal."""
    n_digits = _n_digits(value)
    for j in range(n_digits - 1, -1, -1):
        out[p + j] = 48 + value % 10
        value //= 10
    return p + n_digits


@compiled
def feature_hash(x: Array) -> Any:
    """64-bit hash of the bits of a float32 row (FNV-1a over words), as int64."""
    bits = x.view(np.uint32)
    h = np.uint64(0xCBF29CE484222325)
    for j in range(len(bits)):
        h = (h ^ np.uint64(bits[j])) * np.uint64(0x100000001B3)
    return np.int64(h)


@compiled
def encode_scores(
    chosen: Array,
    rows: Array,
    scores: Array,
    why: Array,
    thresholds: Array,
    x: Array,
    stamps: Array,
    s64: Array,
    s8: Array,
    row64: Integer,
    event_at: Integer,
    head: Integer,
    version: Array,
    workload: Array,
    out: Array,
    ends: Array,
) -> Any:
    """Encode the scores at positions ``chosen``; ``ends`` (n,) are the ends of the records in ``out``. Returns bytes
    written.

    ``head`` is magic and schema id; ``version`` and ``workload`` are the texts' bytes. ``out`` must be large enough.
    """
    p = 0
    score_bytes = scores.view(np.uint8)
    for n in range(len(chosen)):
        i = chosen[n]
        slot, as_of, row_kind = rows[i, 0], rows[i, 1], rows[i, 2]
        length = s64[slot * row64 + event_at]
        key = slot * row64 * 8
        p = _put_bytes(out, p, head, 0, 5)
        n_applied = np.int64(0)
        for j in range(stamps.shape[1]):
            n_applied += stamps[i, j] + 1
        extra = 0 if row_kind == op.TICK else 1 + _n_digits(n_applied)
        p = _put_long(out, p, length + _n_digits(as_of) + 3 + extra)
        p = _put_bytes(out, p, s8, key, length)
        out[p] = 64  # @
        p = _put_digits(out, p + 1, as_of)
        out[p] = 47  # /
        out[p + 1] = 48 + row_kind
        p += 2
        if row_kind != op.TICK:
            out[p] = 46  # .
            p = _put_digits(out, p + 1, n_applied)
        p = _put_long(out, p, length)
        p = _put_bytes(out, p, s8, key, length)
        p = _put_long(out, p, as_of)
        p = _put_long(out, p, row_kind)
        p = _put_bytes(out, p, score_bytes, 4 * i, 4)
        p = _put_long(out, p, 1 if scores[i] >= thresholds[row_kind] else 0)
        p = _put_long(out, p, len(version))
        p = _put_bytes(out, p, version, 0, len(version))
        p = _put_long(out, p, len(workload))
        p = _put_bytes(out, p, workload, 0, len(workload))
        p = _put_long(out, p, feature_hash(x[i]))
        p = _put_long(out, p, stamps.shape[1])
        for j in range(stamps.shape[1]):
            p = _put_long(out, p, stamps[i, j])
        p = _put_long(out, p, 0)
        p = _put_long(out, p, why[i] - 1)
        ends[n] = p
    return p
