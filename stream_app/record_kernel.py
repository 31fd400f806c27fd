"""Kafka's record format, version 2: where the keys and values of a batch lie, without an object for each record.

Format: "Record" in Apache Kafka's documentation of its message format. Batch headers, checksums and compression are
the client library's (`record_batches`).
"""

from __future__ import annotations

from typing import Any

from schemas.compiled import Array, Integer, compiled
from stream_app.decode_kernel import _varint


@compiled
def find_records(
    buf: Array,
    n: Integer,
    base_offset: Integer,
    first_ms: Integer,
    append_ms: Integer,
    since: Integer,
    offset: Array,
    stamp: Array,
    key_at: Array,
    key_len: Array,
    value_at: Array,
    value_len: Array,
) -> Any:
    """Write where the ``n`` records of a batch lie; returns how many are at or behind ``since``, -1 for a broken batch.

    ``append_ms`` is the time of all records where the broker stamps them, -1 where the producers do.
    """
    p, size, kept = 0, len(buf), 0
    for _ in range(n):
        length, p = _varint(buf, p, size)
        if p < 0 or length < 1 or length > size - p:
            return -1
        end = p + length
        delta_ms, p = _varint(buf, p + 1, end)  # behind the attributes, which say nothing
        if p < 0:
            return -1
        delta, p = _varint(buf, p, end)
        if p < 0:
            return -1
        key, p = _varint(buf, p, end)
        if p < 0 or key < -1 or key > end - p:
            return -1
        key_p = p
        p += max(key, 0)
        value, p = _varint(buf, p, end)
        if p < 0 or value < -1 or value > end - p:
            return -1
        if base_offset + delta >= since:
            offset[kept] = base_offset + delta
            stamp[kept] = first_ms + delta_ms if append_ms < 0 else append_ms
            key_at[kept], key_len[kept] = key_p, key
            value_at[kept], value_len[kept] = p, value
            kept += 1
        p = end
    return kept
