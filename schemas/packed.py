"""Text columns as one run of UTF-8 bytes and offsets, the form the compiled kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.errors import CodecError


@dataclass(frozen=True, eq=False)
class PackedText:
    """A text column of n rows; row i is ``data[offsets[i]:offsets[i + 1]]``.

    Parameters
    ----------
    data
        UTF-8 bytes of all rows.
    offsets
        int64 (n + 1,), starting at 0.
    is_null
        bool (n,); a null row has no bytes.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    is_null: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.is_null)

    def to_bytes(self) -> list[bytes]:
        """The rows one by one."""
        return split(self.data, self.offsets)

    def to_arrow(self) -> Any:
        """The same as an Arrow array of large strings, without nulls; the bytes are shared."""
        return pa.LargeStringArray.from_buffers(len(self), pa.py_buffer(self.offsets), pa.py_buffer(self.data))

    def to_objects(self) -> NDArray[np.object_]:
        """The same as text, (n,)."""
        texts: NDArray[np.object_] = self.to_arrow().to_numpy(zero_copy_only=False)
        return texts


def split(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> list[bytes]:
    """The pieces of `data` between neighbouring `offsets`."""
    whole = data.tobytes()
    ends = offsets.tolist()
    return [whole[start:end] for start, end in pairwise(ends)]


def pack_text(column: NDArray[Any]) -> PackedText:
    """A text column (object or U, None for null) as packed UTF-8.

    Raises
    ------
    CodecError
        `garbage` when a cell is not text, or text that UTF-8 cannot carry.
    """
    try:
        array = pa.array(column, from_pandas=False)  # untyped: told to make text, Arrow would take bytes as text
        if not (pa.types.is_null(array.type) or pa.types.is_string(array.type)):
            raise TypeError(f"it is {array.type}")
        array = array.cast(pa.large_string())
    except (pa.ArrowException, UnicodeError, TypeError, ValueError) as cause:
        raise CodecError("garbage", f"a text column holds something that is not text: {cause}") from cause
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int64, count=len(array) + 1)
    data = np.frombuffer(data_buffer, dtype=np.uint8) if data_buffer else np.empty(0, dtype=np.uint8)
    is_null = np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)
    first, last = int(offsets[0]), int(offsets[-1])
    return PackedText(data[first:last], offsets - first, is_null)


def pack_array(array: Any) -> PackedText:
    """An Arrow array of strings without nulls as packed UTF-8; its bytes are shared."""
    _, ends, data = array.buffers()
    offsets = np.frombuffer(ends, np.int32, len(array) + 1, 4 * array.offset).astype(np.int64)
    text = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return PackedText(text[offsets[0] : offsets[-1]], offsets - offsets[0], np.zeros(len(array), np.bool_))


def codes_of_texts(column: NDArray[Any]) -> NDArray[np.int64]:
    """Rank of each text among the distinct ones, by their UTF-8 bytes; (n,)."""
    encoded = pa.array(column, pa.string()).dictionary_encode()
    rank = np.empty(len(encoded.dictionary), np.int64)
    rank[pc.array_sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(rank))
    return np.asarray(rank[encoded.indices.to_numpy()])
