"""Why a record is refused: the closed list that codec, decoder, dead letters and metrics share.

The order is a contract: summaries count refusals by index into ``REASONS``. Append only.
A duplicate is not refused; it is counted apart.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

REASON_DOCS: Final = MappingProxyType(
    {
        "garbage": "bytes that do not decode under the schema they name",
        "wrong_magic": "the first byte is not 0, or there is no room for a schema id",
        "unknown_schema": "the schema id is not in the registry, or belongs to another topic",
        "trailing_bytes": "bytes are left over after the record",
        "null_key": "the record has no key",
        "not_finite": "a number is NaN or infinite",
        "too_old": "a time before 1990-01-01",
        "in_future": "event time more than 10 minutes after it became known, or a time after 2100-01-01",
        "too_late": "became known later after it happened than the workload's lateness allows",
        "too_large": "more bytes than a record of this topic may have",
        "misrouted": "the key does not belong to this partition",
        "key_mismatch": "the key is not the record's customer_id",
        "key_too_long": "the customer_id has more bytes than the workload allows",
        "out_of_range": "a value beyond 2^40 after scaling",
        "unknown_kind": "a kind that the topic does not declare",
        "null_value": "the record has no value",
    }
)

REASONS: Final[tuple[str, ...]] = tuple(REASON_DOCS)
REASON_INDEX: Final = MappingProxyType({reason: index for index, reason in enumerate(REASONS)})

OLDEST_MS: Final = 631_152_000_000  # 1990-01-01T00:00:00Z
NEWEST_MS: Final = 4_102_444_800_000  # 2100-01-01T00:00:00Z
MAX_AHEAD_MS: Final = 600_000  # event time may be this much after known time
MAX_EVENT_BYTES: Final = 65_536
MAX_SCALED: Final = 1 << 40  # largest absolute scaled integer kept in state
