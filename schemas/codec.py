"""Records to bytes and back: Confluent wire format (0, schema id, Avro body), one record at a time, by fastavro.

Whatever the bytes are, decoding gives a record or a `CodecError` with a reason. The only module that touches fastavro's
readers and writers. Whole batches of events are written by `schemas.batch_codec`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import fastavro

from schemas.errors import CodecError
from schemas.reasons import MAX_EVENT_BYTES
from schemas.registry import FileRegistry, Schema

HEADER_BYTES: Final = 5
MAX_RECORD_BYTES: Final = 16 * 1024 * 1024


class Codec:
    """Encodes and decodes the records of a registry.

    Parameters
    ----------
    registry
        The schemas that are known.
    max_event_bytes
        Longest event, header included.
    max_record_bytes
        Longest record of driftline's own topics.

    Examples
    --------
    >>> codec = Codec(FileRegistry.fixed())
    >>> data = codec.encode("clock", {"event_id": "clock-1", "day": 1, "time_ms": 86_400_000})
    >>> codec.decode(data)["day"]
    1
    """

    def __init__(
        self,
        registry: FileRegistry,
        *,
        max_event_bytes: int = MAX_EVENT_BYTES,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        self.registry = registry
        self.max_event_bytes = max_event_bytes
        self.max_record_bytes = max_record_bytes

    def encode(self, name: str, record: Mapping[str, Any]) -> bytes:
        """The bytes of a record of the current schema `name`; an absent [null, ..] field is null.

        Raises
        ------
        SchemaError
            When there is no such schema.
        CodecError
            When the record does not have its shape, or is too large.
        """
        schema = self.registry.named(name)
        if schema.is_event:
            check_finite(record)
        out = io.BytesIO()
        out.write(schema.header)
        try:
            fastavro.schemaless_writer(out, schema.parsed, dict(record), strict_allow_default=True)
        except Exception as cause:
            raise CodecError("garbage", f"no {name} record: {_say(cause)}") from cause
        data = out.getvalue()
        self._check_size(schema, len(data))
        return data

    def decode(self, data: bytes | None, name: str | None = None) -> dict[str, Any]:
        """The record in `data`.

        Parameters
        ----------
        data
            Bytes of a record's value.
        name
            Schema it must have; None takes any that is known.

        Raises
        ------
        CodecError
            With one of REASONS; nothing else is raised.
        """
        return self.decode_named(data, name)[1]

    def decode_named(self, data: bytes | None, name: str | None = None) -> tuple[str, dict[str, Any]]:
        """The schema name and the record in `data`; see `decode`."""
        schema = self._schema_of(data, name)
        stream = io.BytesIO(data or b"")
        stream.seek(HEADER_BYTES)
        try:
            record = fastavro.schemaless_reader(stream, schema.parsed, self._reader(schema))
        except Exception as cause:
            raise CodecError("garbage", f"no {schema.name} record: {_say(cause)}") from cause
        if left := len(data or b"") - stream.tell():
            raise CodecError("trailing_bytes", f"{left} bytes after a {schema.name} record")
        if not isinstance(record, dict):
            raise CodecError("garbage", f"{schema.name} is not a record")
        if schema.is_event:
            check_finite(record)
        return schema.name, record

    def decode_many(self, name: str, values: Sequence[bytes]) -> list[dict[str, Any]]:
        """Records of the current schema ``name`` in one pass, about four times as fast as one by one.

        Every value must be known to be such a record: neither header nor end of the single records is checked.

        Raises
        ------
        CodecError
            When the bytes as a whole are no such records.
        """
        schema = self.registry.named(name)
        bodies = b"".join([value[HEADER_BYTES:] for value in values])
        stream = io.BytesIO(_long(len(values)) + bodies + b"\0" if values else b"\0")
        try:
            records: Any = fastavro.schemaless_reader(stream, schema.parsed_array, None)
        except Exception as cause:
            raise CodecError("garbage", f"no {name} records: {_say(cause)}") from cause
        if stream.read(1) or len(records) != len(values):
            raise CodecError("garbage", f"{len(values)} {name} records expected, the bytes hold something else")
        return list(records)

    def _schema_of(self, data: bytes | None, name: str | None) -> Schema:
        if data is None:
            raise CodecError("null_value", "the record has no value")
        if len(data) < HEADER_BYTES or data[0] != 0:
            raise CodecError("wrong_magic", f"begins with {bytes(data[:1])!r} and has {len(data)} bytes")
        schema_id = int.from_bytes(data[1:HEADER_BYTES], "big")
        schema = self.registry.by_id(schema_id)
        if schema is None:
            raise CodecError("unknown_schema", f"id {schema_id}")
        if name is not None and schema.name != name:
            raise CodecError("unknown_schema", f"id {schema_id} is {schema.name}, not {name}")
        self._check_size(schema, len(data))
        return schema

    def _reader(self, schema: Schema) -> Any:
        """The current schema when `schema` is an older one of the same name."""
        current = self.registry.named(schema.name)
        return None if current.schema_id == schema.schema_id else current.parsed

    def _check_size(self, schema: Schema, n_bytes: int) -> None:
        limit = self.max_event_bytes if schema.is_event else self.max_record_bytes
        if n_bytes > limit:
            raise CodecError("too_large", f"{n_bytes} bytes; allowed are {limit}")


def _long(n: int) -> bytes:
    """Avro's zigzag varint of a number >= 0."""
    left, out = n << 1, bytearray()
    while left > 127:
        out.append(left & 127 | 128)
        left >>= 7
    return bytes([*out, left])


def check_finite(record: Mapping[str, Any]) -> None:
    """Raise `not_finite` when a number of an event is NaN or infinite."""
    for name, value in record.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise CodecError("not_finite", f"{name} is {value}")


def _say(cause: Exception) -> str:
    text = " ".join(str(cause).split())[:200]
    return f"{type(cause).__name__}: {text}" if text else type(cause).__name__
