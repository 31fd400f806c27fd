"""Raw records of one topic-partition, in offset order: as lists of bytes, or end to end as the broker sent them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(eq=False)
class RecordSpan:
    """Records with a key and a value of their own each."""

    offsets: Int64s
    timestamps_ms: Int64s
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]

    def __len__(self) -> int:
        return len(self.offsets)

    def since(self, position: int) -> RecordSpan:
        """Records at and behind ``position``."""
        a = int(np.searchsorted(self.offsets, position))
        return self if a == 0 else RecordSpan(self.offsets[a:], self.timestamps_ms[a:], self.keys[a:], self.values[a:])

    def key(self, i: int) -> bytes | None:
        """Key of record i."""
        return self.keys[i]

    def value(self, i: int) -> bytes | None:
        """Value of record i."""
        return self.values[i]

    def packed(self) -> PackedSpan:
        """The same, end to end."""
        keys, key_len = _joined(self.keys)
        values, value_len = _joined(self.values)
        value_at = _starts(value_len) + len(keys)
        data = np.frombuffer(keys + values or bytearray(1), np.uint8)
        stamps = np.require(self.timestamps_ms, requirements="W")  # writable, as fetched ones are: one compile
        return PackedSpan(self.offsets, stamps, data, _starts(key_len), key_len, value_at, value_len)


@dataclass(eq=False)
class PackedSpan:
    """Records whose keys and values are spans of ``data``; a length of -1 says that there is none."""

    offsets: Int64s
    timestamps_ms: Int64s
    data: Bytes
    key_at: Int64s
    key_len: Int64s
    value_at: Int64s
    value_len: Int64s

    def __len__(self) -> int:
        return len(self.offsets)

    def take(self, part: slice) -> PackedSpan:
        """Some of the records; the bytes are shared."""
        return PackedSpan(
            self.offsets[part], self.timestamps_ms[part], self.data, self.key_at[part], self.key_len[part],
            self.value_at[part], self.value_len[part],
        )  # fmt: skip

    def since(self, position: int) -> PackedSpan:
        """Records at and behind ``position``."""
        return self.take(slice(int(np.searchsorted(self.offsets, position)), None))

    def key(self, i: int) -> bytes | None:
        """Key of record i."""
        return self._piece(int(self.key_at[i]), int(self.key_len[i]))

    def value(self, i: int) -> bytes | None:
        """Value of record i."""
        return self._piece(int(self.value_at[i]), int(self.value_len[i]))

    def _piece(self, at: int, length: int) -> bytes | None:
        return None if length < 0 else self.data[at : at + length].tobytes()

    def packed(self) -> PackedSpan:
        """Itself."""
        return self

    @classmethod
    def concat(cls, parts: Sequence[PackedSpan]) -> PackedSpan:
        """Spans behind each other."""
        if len(parts) == 1:
            return parts[0]
        shifts = np.cumsum([0, *(len(part.data) for part in parts[:-1])])
        return cls(
            np.concatenate([part.offsets for part in parts]),
            np.concatenate([part.timestamps_ms for part in parts]),
            np.concatenate([part.data for part in parts]),
            np.concatenate([part.key_at + shift for part, shift in zip(parts, shifts, strict=True)]),
            np.concatenate([part.key_len for part in parts]),
            np.concatenate([part.value_at + shift for part, shift in zip(parts, shifts, strict=True)]),
            np.concatenate([part.value_len for part in parts]),
        )


Span = RecordSpan | PackedSpan


def _joined(pieces: Sequence[bytes | None]) -> tuple[bytearray, Int64s]:
    """(bytes end to end, lengths (n,)); writable, as fetched ones are: one compile."""
    n = len(pieces)
    try:
        return bytearray().join(pieces), np.fromiter(map(len, pieces), np.int64, n)  # type: ignore[arg-type]
    except TypeError:
        lengths = np.fromiter((-1 if piece is None else len(piece) for piece in pieces), np.int64, n)
        return bytearray().join([piece or b"" for piece in pieces]), lengths


def _starts(lengths: Int64s) -> Int64s:
    present = np.maximum(lengths, 0)
    return np.cumsum(present) - present
