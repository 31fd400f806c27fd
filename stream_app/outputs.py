"""Records on their way out, held until the checkpoint that they belong to is safe.

Packed into the state topic with the checkpoint and unpacked on restore: published again with the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cramjam
import numpy as np
import numpy.typing as npt

_HEAD = struct.Struct("<HII")
CHUNK_BYTES = 512 * 1024


@dataclass(eq=False)
class OutputBlock:
    """Keys and values for one topic, end to end, with their ends (n,)."""

    topic: str
    keys: bytes
    key_ends: npt.NDArray[np.int64]
    values: bytes
    value_ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.value_ends)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        keys, values = self.keys, self.values
        key_ends, value_ends = self.key_ends.tolist(), self.value_ends.tolist()
        spans = zip(pairwise([0, *key_ends]), pairwise([0, *value_ends]), strict=True)
        for (a, b), (c, d) in spans:
            yield keys[a:b], values[c:d]

    @classmethod
    def of(cls, topic: str, records: Sequence[tuple[bytes, bytes]]) -> OutputBlock:
        """A block of (key, value) records."""
        keys, values = [key for key, _ in records], [value for _, value in records]
        return cls(topic, b"".join(keys), _ends(keys), b"".join(values), _ends(values))

    def pack(self) -> bytes:
        """Bytes that `unpack` reads."""
        name = self.topic.encode()
        parts = [name, self.key_ends.astype("<i8").tobytes(), self.keys, self.value_ends.astype("<i8").tobytes()]
        return _HEAD.pack(len(name), len(self), len(self.keys)) + b"".join(parts) + self.values

    @classmethod
    def unpack(cls, data: bytes) -> OutputBlock:
        """Read what `pack` wrote."""
        n_name, n, n_keys = _HEAD.unpack_from(data)
        at = _HEAD.size
        topic, at = data[at : at + n_name].decode(), at + n_name
        key_ends, at = np.frombuffer(data, "<i8", n, at), at + 8 * n
        keys, at = data[at : at + n_keys], at + n_keys
        value_ends, at = np.frombuffer(data, "<i8", n, at), at + 8 * n
        return cls(topic, keys, key_ends, data[at:], value_ends)


def _ends(pieces: Sequence[bytes]) -> npt.NDArray[np.int64]:
    return np.cumsum(np.fromiter(map(len, pieces), np.int64, len(pieces)))


@dataclass
class Outputs:
    """Everything one partition wants published since its last checkpoint.

    Attributes
    ----------
    is_awaited
        Whether something is among them that should not wait for the next checkpoint's usual time.
    """

    is_awaited: bool = False
    blocks: list[OutputBlock] = field(default_factory=list)
    _loose: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=dict)

    def add(self, topic: str, key: bytes, value: bytes) -> None:
        """Put one record behind the others of its topic."""
        self._loose.setdefault(topic, []).append((key, value))

    def add_block(self, block: OutputBlock) -> None:
        """Put a block of records behind the others of its topic."""
        if len(block):
            self.blocks.append(block)

    def take(self) -> list[OutputBlock]:
        """All blocks; nothing is left here."""
        blocks = self.blocks + [OutputBlock.of(topic, records) for topic, records in self._loose.items()]
        self.blocks, self._loose, self.is_awaited = [], {}, False
        return blocks


def pack_blocks(blocks: Sequence[OutputBlock]) -> list[bytes]:
    """Blocks as a few compressed chunks of bounded size."""
    whole = b"".join(struct.pack("<I", len(packed)) + packed for packed in (block.pack() for block in blocks))
    return [bytes(cramjam.lz4.compress_block(whole[i : i + CHUNK_BYTES])) for i in range(0, len(whole), CHUNK_BYTES)]


def _chunk(packed: bytes) -> bytes:
    (length,) = struct.unpack_from("<I", packed)  # the library's own prefix; it would reserve whatever that says
    if length > CHUNK_BYTES:
        raise ValueError(f"{length} bytes where at most {CHUNK_BYTES} are")
    return bytes(cramjam.lz4.decompress_block(packed))


def unpack_blocks(chunks: Sequence[bytes]) -> list[OutputBlock]:
    """Read what `pack_blocks` wrote."""
    whole = b"".join(_chunk(chunk) for chunk in chunks)
    blocks, at = [], 0
    while at < len(whole):
        (length,) = struct.unpack_from("<I", whole, at)
        blocks.append(OutputBlock.unpack(whole[at + 4 : at + 4 + length]))
        at += 4 + length
    return blocks
