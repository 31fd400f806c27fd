"""The two compiled loops of the contracts: murmur2 over keys, and Avro records from columns.

Table-driven: a new workload compiles nothing. Imported late, because numba takes 0.4 s to import.
Lengths are checked by the callers; numba reads out of bounds in silence.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.compiled import allocating, compiled

OP_TEXT: Final = 0  # string
OP_LONG: Final = 1  # long or enum index
OP_NULL_TEXT: Final = 2  # [null, string]
OP_NULL_LONG: Final = 3  # [null, long]
OP_NULL_DOUBLE: Final = 4  # [null, double]

_u32 = np.uint32


@allocating
def murmur2_rows(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Unsigned 32-bit murmur2 of every row of packed text."""
    m = _u32(0x5BD1E995)
    n_rows = len(offsets) - 1
    hashes = np.empty(n_rows, dtype=np.uint32)
    for row in range(n_rows):
        start, end = offsets[row], offsets[row + 1]
        n = end - start
        h = _u32(_u32(0x9747B28C) ^ _u32(n))
        whole = start + (n & ~3)
        for at in range(start, whole, 4):
            k = _u32(
                _u32(data[at])
                | _u32(_u32(data[at + 1]) << _u32(8))
                | _u32(_u32(data[at + 2]) << _u32(16))
                | _u32(_u32(data[at + 3]) << _u32(24))
            )
            k = _u32(k * m)
            k = _u32(_u32(k ^ _u32(k >> _u32(24))) * m)
            h = _u32(_u32(h * m) ^ k)
        if whole < end:
            for at in range(whole, end):
                h = _u32(h ^ _u32(_u32(data[at]) << _u32(8 * (at - whole))))
            h = _u32(h * m)
        h = _u32(_u32(h ^ _u32(h >> _u32(13))) * m)
        hashes[row] = _u32(h ^ _u32(h >> _u32(15)))
    return hashes


@compiled
def _write_long(out: NDArray[np.uint8], at: int, value: int) -> int:
    z = np.uint64(np.int64(value) << np.int64(1)) ^ np.uint64(np.int64(value) >> np.int64(63))
    while z >= np.uint64(128):
        out[at] = np.uint8((z & np.uint64(127)) | np.uint64(128))
        z = z >> np.uint64(7)
        at += 1
    out[at] = np.uint8(z)
    return at + 1


@compiled
def write_rows(
    header: NDArray[np.uint8],
    ops: NDArray[np.int64],
    columns: NDArray[np.int64],
    text: NDArray[np.uint8],
    text_offsets: NDArray[np.int64],
    longs: NDArray[np.int64],
    doubles: NDArray[np.uint8],
    is_null: NDArray[np.bool_],
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> int:
    """Write one Avro record per row into `out`; field f has op ``ops[f]`` and data column ``columns[f]``.

    Parameters
    ----------
    header
        Bytes before every record.
    ops, columns
        int64 (fields,).
    text, text_offsets
        All text columns in one run; offsets (text columns, rows + 1).
    longs
        int64 (long columns, rows).
    doubles
        Little-endian bytes of the double columns (double columns, rows, 8).
    is_null
        bool (fields, rows).
    out
        Large enough for every record: the caller bounds it.
    ends
        int64 (rows + 1,); filled with the offsets of the records in `out`.

    Returns
    -------
    int
        Bytes written.
    """
    at = 0
    n_rows = len(ends) - 1
    ends[0] = 0
    for row in range(n_rows):
        for i in range(len(header)):
            out[at] = header[i]
            at += 1
        for f in range(len(ops)):
            op, c = ops[f], columns[f]
            if op >= OP_NULL_TEXT:
                if is_null[f, row]:
                    out[at] = 0
                    at += 1
                    continue
                out[at] = 2
                at += 1
            if op in (OP_LONG, OP_NULL_LONG):
                at = _write_long(out, at, longs[c, row])
            elif op == OP_NULL_DOUBLE:
                for i in range(8):
                    out[at] = doubles[c, row, i]
                    at += 1
            else:
                start, end = text_offsets[c, row], text_offsets[c, row + 1]
                at = _write_long(out, at, end - start)
                for i in range(start, end):
                    out[at] = text[i]
                    at += 1
        ends[row + 1] = at
    return at
