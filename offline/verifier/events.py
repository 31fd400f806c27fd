"""Bytes of an event topic to events, or the reason why not: Avro read by hand, one value after the other."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from schemas.codec import HEADER_BYTES, Codec
from schemas.errors import CodecError
from schemas.reasons import MAX_AHEAD_MS, MAX_EVENT_BYTES, MAX_SCALED, NEWEST_MS, OLDEST_MS
from schemas.workload import Field, Workload

MOST_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True)
class Record:
    """One record as a log holds it."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Event:
    """What a record says; ``values`` are scaled integers, without those that are null."""

    customer: bytes
    event_id: bytes
    event_time_ms: int
    known_time_ms: int
    kind: str
    values: dict[str, int]


class Refused(Exception):
    """The record is not applied."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class _Cursor:
    """Reads one Avro value after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def long(self) -> int:
        """A zigzag varint; bits beyond the 64th are lost."""
        bits = 0
        for i in range(MOST_VARINT_BYTES):
            byte = self.take(1)[0]
            bits |= (byte & 127) << (7 * i)
            if byte < 128:
                bits &= (1 << 64) - 1
                return (bits >> 1) ^ -(bits & 1)
        raise Refused("garbage")

    def take(self, n: int) -> bytes:
        piece = self.data[self.at : self.at + n]
        if n < 0 or len(piece) < n:
            raise Refused("garbage")
        self.at += n
        return piece

    def text(self) -> bytes:
        """The bytes of a text that is well-formed UTF-8."""
        piece = self.take(self.long())
        try:
            piece.decode()
        except UnicodeDecodeError:
            raise Refused("garbage") from None
        return piece

    def is_there(self) -> bool:
        """The branch of a union of null and something."""
        branch = self.long()
        if branch not in (0, 1):
            raise Refused("garbage")
        return branch == 1


class EventReader:
    """Reads the events of one topic of a workload."""

    def __init__(self, workload: Workload, source: int, codec: Codec) -> None:
        self.workload, self.codec = workload, codec
        self.topic = workload.topics[source]
        self.header = codec.registry.named(self.topic.name).header

    def read(self, record: Record) -> Event:
        """The event in a record.

        Raises
        ------
        Refused
            With the first reason that holds.
        """
        if record.key is None:
            raise Refused("null_key")
        event, bad_value = self._parse(self._bytes_of(record), record.timestamp_ms)
        for reason in (bad_value, self._bad_key(event, record.key), self._bad_times(event)):
            if reason is not None:
                raise Refused(reason)
        return event

    def _bytes_of(self, record: Record) -> bytes:
        """The record's bytes, rewritten when an older schema of the same topic wrote them."""
        value = record.value
        if value is None:
            raise Refused("null_value")
        if len(value) > MAX_EVENT_BYTES:
            raise Refused("too_large")
        if len(value) < HEADER_BYTES or value[0] != 0:
            raise Refused("wrong_magic")
        if value.startswith(self.header):
            return value
        try:
            return self.codec.encode(self.topic.name, self.codec.decode(value, self.topic.name))
        except CodecError as error:
            raise Refused(error.reason) from None

    def _parse(self, data: bytes, timestamp_ms: int) -> tuple[Event, str | None]:
        """(event, what is wrong with its first bad value)."""
        cursor = _Cursor(data, HEADER_BYTES)
        event_id, customer, event_time_ms = cursor.text(), cursor.text(), cursor.long()
        known_time_ms = cursor.long() if cursor.is_there() else timestamp_ms
        kind = cursor.long()
        if not 0 <= kind < len(self.topic.kinds):
            raise Refused("unknown_kind")
        values, bad = {}, None
        for field in self.topic.fields:
            if cursor.is_there():
                values[field.name], wrong = _value(cursor, field)
                bad = bad or wrong
        if cursor.at != len(data):
            raise Refused("trailing_bytes")
        return Event(customer, event_id, event_time_ms, known_time_ms, self.topic.kinds[kind].name, values), bad

    def _bad_key(self, event: Event, key: bytes) -> str | None:
        if len(event.customer) > self.workload.customer_id_max_bytes:
            return "key_too_long"
        return None if event.customer and event.customer == key else "key_mismatch"

    def _bad_times(self, event: Event) -> str | None:
        happened, known = event.event_time_ms, event.known_time_ms
        if min(happened, known) < OLDEST_MS:
            return "too_old"
        if max(happened, known) > NEWEST_MS or happened - known > MAX_AHEAD_MS:
            return "in_future"
        return "too_late" if known - happened > self.workload.lateness_ms else None


def _value(cursor: _Cursor, field: Field) -> tuple[int, str | None]:
    """(what state keeps of a value, what is wrong with it)."""
    if field.type == "category":
        known = [category.encode() for category in field.categories]
        text = cursor.text()
        return (known.index(text) if text in known else len(known)), None
    if field.type == "number":
        return _scaled(struct.unpack("<d", cursor.take(8))[0], field.scale)
    value = cursor.long()
    if field.type == "time":
        return value, "too_old" if value < OLDEST_MS else "in_future" if value > NEWEST_MS else None
    return value, "out_of_range" if abs(value) > MAX_SCALED else None


def _scaled(value: float, scale: int) -> tuple[int, str | None]:
    """``round(value * scale)``, half to even."""
    if not math.isfinite(value):
        return 0, "not_finite"
    if abs(value * scale) > 2 * MAX_SCALED or abs(round(value * scale)) > MAX_SCALED:
        return 0, "out_of_range"
    return round(value * scale), None
