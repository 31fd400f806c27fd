"""Bytes of one topic to columns: the compiled pass for our own schema, the codec for every other registered one.

A refused record keeps its bytes here until it is accounted for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from schemas.codec import Codec
from schemas.errors import CodecError
from schemas.reasons import REASON_INDEX, REASONS
from stream_app import opcodes as op
from stream_app.columns import Columns, TopicTable, width_of
from stream_app.decode_kernel import UNKNOWN_SCHEMA, decode_events
from stream_app.plan import Plan
from stream_app.spans import PackedSpan, RecordSpan, Span


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

    def decode(self, span: Span) -> Decoded:
        """Decode a span; a bad record gets its reason and stays in its place."""
        packed = span.packed()
        decoded = Decoded(self._decode(packed))
        details = self._try_codec(packed, decoded)
        status = decoded.columns.status
        for i in np.flatnonzero(status >= op.REFUSED).tolist():
            reason = REASONS[int(status[i]) - op.REFUSED]
            offset, stamp = int(span.offsets[i]), int(span.timestamps_ms[i])
            refused = RefusedRecord(offset, stamp, span.key(i), span.value(i), reason, details.get(i, ""))
            decoded.refused[offset] = refused
        return decoded

    def _decode(self, span: PackedSpan) -> Columns:
        columns = Columns.empty(len(span), self.width, self.source, span.data)
        columns.offset[:] = span.offsets
        table, workload = self.table, self.plan.workload
        decode_events(
            span.data, span.key_at, span.key_len, span.value_at, span.value_len, span.timestamps_ms, self.schema_id,
            self.plan.first_kind[self.source], len(self.topic.kinds), table.field_kinds, table.scales,
            table.categories, table.category_ptr, workload.lateness_ms, workload.customer_id_max_bytes, columns.status,
            columns.event_time, columns.known_time, columns.kind, columns.id_hash, columns.key_hash, columns.key_at,
            columns.key_len, columns.values,
        )  # fmt: skip
        return columns

    def _try_codec(self, span: PackedSpan, decoded: Decoded) -> dict[int, str]:
        """Rewrite records of older schemas of this topic in the current one and decode again; say what cannot be."""
        tried = np.flatnonzero(decoded.columns.status == UNKNOWN_SCHEMA).tolist()
        if not tried:
            return {}
        refusals: dict[int, CodecError] = {}
        values = [span.value(i) for i in range(len(span))]
        for i in tried:
            try:
                record = self.codec.decode(values[i], self.topic.name)
                values[i] = self.codec.encode(self.topic.name, record)
            except CodecError as error:
                refusals[i] = error
        if len(refusals) < len(tried):
            keys = [span.key(i) for i in range(len(span))]
            decoded.columns = self._decode(RecordSpan(span.offsets, span.timestamps_ms, keys, values).packed())
        for i, refused in refusals.items():
            decoded.columns.status[i] = op.REFUSED + REASON_INDEX[refused.reason]
        return {i: refused.detail for i, refused in refusals.items()}
