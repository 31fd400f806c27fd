"""Bytes of one topic to columns: the compiled pass for our own schema, the codec for every other registered one.

A refused record keeps its bytes here until it is accounted for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from schemas.codec import Codec
from schemas.errors import CodecError
from schemas.reasons import REASON_INDEX, REASONS
from stream_app import opcodes as op
from stream_app.columns import Columns, TopicTable, width_of
from stream_app.decode_kernel import UNKNOWN_SCHEMA, decode_events
from stream_app.plan import Plan


@dataclass(eq=False)
class RecordSpan:
    """Raw records of one topic-partition as they were fetched, in offset order."""

    offsets: npt.NDArray[np.int64]
    timestamps_ms: npt.NDArray[np.int64]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True)
class RefusedRecord:
    """A record on its way to the dead letters."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    reason: str
    detail: str = ""


@dataclass(eq=False)
class Decoded:
    """Columns of a span, and its refused records by offset."""

    columns: Columns
    refused: dict[int, RefusedRecord] = field(default_factory=dict)


class TopicDecoder:
    """Decodes the records of one event topic.

    Parameters
    ----------
    plan
        Of the workload.
    source
        Index of the topic in the workload.
    codec
        Knows the topic's schema id, and the other registered ones.
    """

    def __init__(self, plan: Plan, source: int, codec: Codec) -> None:
        self.plan, self.source, self.codec = plan, source, codec
        self.topic = plan.workload.topics[source]
        self.table = TopicTable.of(self.topic)
        schema = codec.registry.named(self.topic.name)
        self.schema_id, self.header = schema.schema_id, schema.header
        self.width = width_of(plan)

    def decode(self, span: RecordSpan) -> Decoded:
        """Decode a span; a bad record gets its reason and stays in its place."""
        values = list(span.values)
        decoded = Decoded(self._decode(span, values))
        details = self._try_codec(span, values, decoded)
        status = decoded.columns.status
        for i in np.flatnonzero(status >= op.REFUSED).tolist():
            reason = REASONS[int(status[i]) - op.REFUSED]
            offset, stamp = int(span.offsets[i]), int(span.timestamps_ms[i])
            refused = RefusedRecord(offset, stamp, span.keys[i], span.values[i], reason, details.get(i, ""))
            decoded.refused[offset] = refused
        return decoded

    def _decode(self, span: RecordSpan, values: Sequence[bytes | None]) -> Columns:
        data, ends, has_value = _joined(values)
        keys, key_ends, has_key = _joined(span.keys)
        columns = Columns.empty(len(span), self.width, self.source, data)
        columns.offset[:] = span.offsets
        table, workload = self.table, self.plan.workload
        decode_events(
            data, ends, keys, key_ends, has_key, has_value, span.timestamps_ms, self.schema_id,
            self.plan.first_kind[self.source], len(self.topic.kinds), table.field_kinds, table.scales,
            table.categories, table.category_ptr, workload.lateness_ms, workload.customer_id_max_bytes, columns.status,
            columns.event_time, columns.known_time, columns.kind, columns.id_hash, columns.key_hash, columns.key_at,
            columns.key_len, columns.values,
        )  # fmt: skip
        return columns

    def _try_codec(self, span: RecordSpan, values: list[bytes | None], decoded: Decoded) -> dict[int, str]:
        """Rewrite records of older schemas of this topic in the current one and decode again; say what cannot be."""
        refusals: dict[int, CodecError] = {}
        tried = np.flatnonzero(decoded.columns.status == UNKNOWN_SCHEMA).tolist()
        for i in tried:
            try:
                record = self.codec.decode(values[i], self.topic.name)
                values[i] = self.codec.encode(self.topic.name, record)
            except CodecError as error:
                refusals[i] = error
        if len(refusals) < len(tried):
            decoded.columns = self._decode(span, values)
        for i, refused in refusals.items():
            decoded.columns.status[i] = op.REFUSED + REASON_INDEX[refused.reason]
        return {i: refused.detail for i, refused in refusals.items()}


def _joined(
    pieces: Sequence[bytes | None],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """(bytes end to end, ends (n,), 1 where there is a piece (n,)); writable as concatenated ones are: one compile."""
    n = len(pieces)
    try:
        data = bytearray().join(pieces)  # type: ignore[arg-type]
        present = np.ones(n, np.uint8)
        lengths = np.fromiter(map(len, pieces), np.int64, n)  # type: ignore[arg-type]
    except TypeError:
        whole = [piece or b"" for piece in pieces]
        data = bytearray().join(whole)
        present = np.fromiter((piece is not None for piece in pieces), np.uint8, n)
        lengths = np.fromiter(map(len, whole), np.int64, n)
    return np.frombuffer(data or bytearray(1), np.uint8), np.cumsum(lengths), present
