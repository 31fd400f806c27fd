"""One compiled, bounds-checked pass from Avro bytes to columns, for the schema ids we wrote ourselves.

Table-driven by the topic's fields. A bad record gets a reason (status REFUSED + index) and never disturbs its
neighbours. Other schema ids get ``unknown_schema`` here; `decode` tries them with the codec. Long because one pass
checks every kind of field.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.compiled import Array, Integer, Number, compiled
from schemas.reasons import MAX_AHEAD_MS, MAX_EVENT_BYTES, MAX_SCALED, NEWEST_MS, OLDEST_MS, REASONS
from stream_app import opcodes as op
from stream_app.key_kernel import hash_bytes

GARBAGE = op.REFUSED + REASONS.index("garbage")
WRONG_MAGIC = op.REFUSED + REASONS.index("wrong_magic")
UNKNOWN_SCHEMA = op.REFUSED + REASONS.index("unknown_schema")
TRAILING_BYTES = op.REFUSED + REASONS.index("trailing_bytes")
NULL_KEY = op.REFUSED + REASONS.index("null_key")
NULL_VALUE = op.REFUSED + REASONS.index("null_value")
NOT_FINITE = op.REFUSED + REASONS.index("not_finite")
TOO_OLD = op.REFUSED + REASONS.index("too_old")
IN_FUTURE = op.REFUSED + REASONS.index("in_future")
TOO_LATE = op.REFUSED + REASONS.index("too_late")
TOO_LARGE = op.REFUSED + REASONS.index("too_large")
KEY_MISMATCH = op.REFUSED + REASONS.index("key_mismatch")
KEY_TOO_LONG = op.REFUSED + REASONS.index("key_too_long")
OUT_OF_RANGE = op.REFUSED + REASONS.index("out_of_range")
UNKNOWN_KIND = op.REFUSED + REASONS.index("unknown_kind")

NUMBER, INTEGER, TIME, CATEGORY = range(4)
FIELD_TYPES = ("number", "integer", "time", "category")


@compiled
def _varint(buf: Array, p: Integer, end: Integer) -> Any:
    """(zigzag long, next position or -1 when the bytes end or the number is too long)."""
    result = np.uint64(0)
    shift = np.uint64(0)
    while True:
        if p >= end or shift > np.uint64(63):
            return np.int64(0), np.int64(-1)
        byte = np.uint64(buf[p])
        p += 1
        result |= (byte & np.uint64(127)) << shift
        if byte < np.uint64(128):
            break
        shift += np.uint64(7)
    return np.int64(result >> np.uint64(1)) ^ (-np.int64(result & np.uint64(1))), np.int64(p)


@compiled
def _is_utf8(buf: Array, p: Integer, end: Integer) -> Any:
    """Whether ``buf[p:end]`` is well-formed UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF."""
    while p < end:
        first = buf[p]
        p += 1
        if first < 0x80:
            continue
        low, high = np.uint8(0x80), np.uint8(0xBF)  # what the second byte may be
        if 0xC2 <= first <= 0xDF:
            more = 1
        elif 0xE0 <= first <= 0xEF:
            more = 2
            if first == 0xE0:
                low = np.uint8(0xA0)
            elif first == 0xED:
                high = np.uint8(0x9F)
        elif 0xF0 <= first <= 0xF4:
            more = 3
            if first == 0xF0:
                low = np.uint8(0x90)
            elif first == 0xF4:
                high = np.uint8(0x8F)
        else:
            return False
        if more > end - p or buf[p] < low or buf[p] > high:
            return False
        for j in range(1, more):
            if buf[p + j] < 0x80 or buf[p + j] > 0xBF:
                return False
        p += more
    return True


@compiled
def _span(buf: Array, p: Integer, end: Integer) -> Any:
    """(length of a text, where its bytes begin or -1)."""
    length, p = _varint(buf, p, end)
    if p < 0 or length < 0 or length > end - p or not _is_utf8(buf, p, p + length):
        return np.int64(0), np.int64(-1)
    return length, p


@compiled
def _time_status(event_ms: Integer, known_ms: Integer, lateness: Integer) -> Any:
    """PENDING, or why these two times are refused."""
    if event_ms < OLDEST_MS or known_ms < OLDEST_MS:
        return TOO_OLD
    if event_ms > NEWEST_MS or known_ms > NEWEST_MS or event_ms - known_ms > MAX_AHEAD_MS:
        return IN_FUTURE
    if known_ms - event_ms > lateness:
        return TOO_LATE
    return op.PENDING


@compiled
def check_times(event_time: Array, known_time: Array, lateness: Integer, status: Array) -> None:
    """Refuse by the times alone whatever is still PENDING."""
    for i in range(len(status)):
        if status[i] == op.PENDING:
            status[i] = _time_status(event_time[i], known_time[i], lateness)


@compiled
def scale_number(x: Number, scale: Integer) -> Any:
    """(scaled integer, status) of a number, rounded half to even."""
    if not np.isfinite(x):
        return np.int64(op.NONE), NOT_FINITE
    scaled = np.rint(x * scale)
    if abs(scaled) > MAX_SCALED:
        return np.int64(op.NONE), OUT_OF_RANGE
    return np.int64(scaled), op.PENDING


@compiled
def scale_column(x: Array, kind: Integer, scale: Integer, out: Array, status: Array) -> None:
    """Scale a column of numbers, integers or times into ``out``; NaN becomes NONE, a bad value a reason."""
    for i in range(len(x)):
        if np.isnan(x[i]):
            out[i] = op.NONE
            continue
        if kind == TIME and np.isfinite(x[i]):
            value, bad = np.int64(x[i]), _range_status(np.int64(x[i]))
        else:
            value, bad = scale_number(x[i], scale)
        out[i] = value
        if bad != op.PENDING and status[i] == op.PENDING:
            status[i] = bad


@compiled
def scale_cells(
    x: Array, valid: Array, first: Integer, kind: Integer, scale: Integer, out: Array, status: Array
) -> None:
    """`scale_column` of Arrow's cells ``x[first:]``: a cell whose bit in ``valid`` is 0 is null; no bits: none is."""
    for i in range(len(out)):
        place = first + i
        if len(valid) > 0 and not (valid[place >> 3] >> (place & 7)) & 1:
            out[i] = op.NONE
            continue
        cell = np.float64(x[place])
        if np.isnan(cell):
            out[i] = op.NONE
            continue
        if kind == TIME and np.isfinite(cell):
            value, bad = np.int64(cell), _range_status(np.int64(cell))
        else:
            value, bad = scale_number(cell, scale)
        out[i] = value
        if bad != op.PENDING and status[i] == op.PENDING:
            status[i] = bad


@compiled
def _range_status(value: Integer) -> Any:
    """PENDING, or why a time value is refused."""
    if value < OLDEST_MS:
        return TOO_OLD
    return IN_FUTURE if value > NEWEST_MS else op.PENDING


@compiled
def _code_of(code_hash: Integer, categories: Array, first: Integer, last: Integer) -> Any:
    """Index of a category among the declared ones; the number of them when it is unseen."""
    for j in range(first, last):
        if categories[j] == code_hash:
            return j - first
    return last - first


@compiled
def _number_of(word: Integer) -> Any:
    """The float64 with these 64 bits."""
    return np.uint64(word).view(np.float64)


@compiled
def _field(
    buf: Array,
    p: Integer,
    end: Integer,
    kind: Integer,
    scale: Integer,
    categories: Array,
    first: Integer,
    last: Integer,
) -> Any:
    """(value, next position or -1, status) of one nullable field."""
    branch, p = _varint(buf, p, end)
    if p < 0 or branch < 0 or branch > 1:
        return np.int64(op.NONE), np.int64(-1), GARBAGE
    if branch == 0:
        return np.int64(op.NONE), p, op.PENDING
    if kind == NUMBER:
        if end - p < 8:
            return np.int64(op.NONE), np.int64(-1), GARBAGE
        word = np.uint64(0)
        for j in range(8):
            word |= np.uint64(buf[p + j]) << np.uint64(8 * j)
        value, status = scale_number(_number_of(word), scale)
        return value, p + 8, status
    if kind == CATEGORY:
        length, p = _span(buf, p, end)
        if p < 0:
            return np.int64(op.NONE), np.int64(-1), GARBAGE
        return np.int64(_code_of(hash_bytes(buf, p, length), categories, first, last)), p + length, op.PENDING
    value, p = _varint(buf, p, end)
    if p < 0:
        return value, p, GARBAGE
    if kind == TIME:
        return value, p, _range_status(value)
    if abs(value) > MAX_SCALED or value == op.NONE:
        return value, p, OUT_OF_RANGE
    return value, p, op.PENDING


@compiled
def decode_events(
    buf: Array,
    record_key_at: Array,
    record_key_len: Array,
    value_at: Array,
    value_len: Array,
    timestamp: Array,
    schema_id: Integer,
    first_kind: Integer,
    n_kinds: Integer,
    field_kinds: Array,
    scales: Array,
    categories: Array,
    category_ptr: Array,
    lateness: Integer,
    max_key: Integer,
    status: Array,
    event_time: Array,
    known_time: Array,
    kind: Array,
    id_hash: Array,
    key_hash: Array,
    key_at: Array,
    key_len: Array,
    values: Array,
) -> None:
    """Decode records whose keys and values lie in ``buf``; every output array has one place for each."""
    n_fields = len(field_kinds)
    for i in range(len(value_at)):
        p, end = value_at[i], value_at[i] + value_len[i]
        key_p, key_end = record_key_at[i], record_key_at[i] + record_key_len[i]
        event_time[i] = known_time[i] = timestamp[i]
        if record_key_len[i] < 0:
            status[i] = NULL_KEY
            continue
        if value_len[i] < 0:
            status[i] = NULL_VALUE
            continue
        if end - p > MAX_EVENT_BYTES:
            status[i] = TOO_LARGE
            continue
        if end - p < 5 or buf[p] != 0:
            status[i] = WRONG_MAGIC
            continue
        found = (
            (np.int64(buf[p + 1]) << 24)
            | (np.int64(buf[p + 2]) << 16)
            | (np.int64(buf[p + 3]) << 8)
            | np.int64(buf[p + 4])
        )
        if found != schema_id:
            status[i] = UNKNOWN_SCHEMA
            continue
        status[i] = GARBAGE
        length, p = _span(buf, p + 5, end)
        if p < 0:
            continue
        id_hash[i] = hash_bytes(buf, p, length)
        length, p = _span(buf, p + length, end)
        if p < 0:
            continue
        key_at[i], key_len[i] = p, length
        customer = p
        event_ms, p = _varint(buf, p + length, end)
        if p < 0:
            continue
        branch, p = _varint(buf, p, end)
        if p < 0 or branch < 0 or branch > 1:
            continue
        known_ms = timestamp[i]
        if branch == 1:
            known_ms, p = _varint(buf, p, end)
            if p < 0:
                continue
        code, p = _varint(buf, p, end)
        if p < 0:
            continue
        event_time[i], known_time[i] = event_ms, known_ms
        if code < 0 or code >= n_kinds:
            status[i] = UNKNOWN_KIND
            continue
        kind[i] = first_kind + code
        refused = op.PENDING
        for j in range(n_fields):
            value, p, bad = _field(
                buf, p, end, field_kinds[j], scales[j], categories, category_ptr[j], category_ptr[j + 1]
            )
            if p < 0:
                break
            values[i, j] = value
            if bad != op.PENDING and refused == op.PENDING:
                refused = bad
        if p < 0:
            continue
        if p != end:
            status[i] = TRAILING_BYTES
            continue
        if refused == op.PENDING:
            refused = _key_status(buf, customer, length, key_p, key_end, max_key)
        if refused == op.PENDING:
            refused = _time_status(event_ms, known_ms, lateness)
        if refused == op.PENDING:
            key_hash[i] = hash_bytes(buf, customer, length)
        status[i] = refused


@compiled
def _key_status(buf: Array, at: Integer, length: Integer, key_p: Integer, key_end: Integer, max_key: Integer) -> Any:
    if length > max_key:
        return KEY_TOO_LONG
    if length == 0 or length != key_end - key_p:
        return KEY_MISMATCH
    for j in range(length):
        if buf[at + j] != buf[key_p + j]:
            return KEY_MISMATCH
    return op.PENDING


@compiled
def hash_spans(data: Integer, ends: Array, out: Array) -> None:
    """Hash each of the byte strings that lie end to end in ``data``."""
    start = np.int64(0)
    for i in range(len(ends)):
        out[i] = hash_bytes(data, start, ends[i] - start)
        start = ends[i]
