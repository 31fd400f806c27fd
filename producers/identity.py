"""Event ids for rows that bring none: a hash of what the event says, so reading a file again gives the same ids."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.packed import pack_text

_SEPARATOR: Final = "\x1f"
_ID_BYTES: Final = 16


def content_ids(
    source: str,
    kind: NDArray[Any],
    customer_id: NDArray[Any],
    times_ms: tuple[NDArray[np.int64], NDArray[np.int64]],
    values: Mapping[str, NDArray[Any]],
    *,
    number_apart: bool = True,
) -> NDArray[Any]:
    """128-bit hashes of events.

    Parameters
    ----------
    source
        Name of the source.
    kind
        Kind names (n,).
    customer_id
        Customers (n,).
    times_ms
        Event time and known time, each (n,).
    values
        Value field -> column (n,): float64, or text with None.
    number_apart
        Whether identical events are different events; else they share an id.

    Returns
    -------
    NDArray[Any]
        Ids (n,): 32 hexadecimal digits, and ``-1``, ``-2``, ... after those of the second, third, ... identical event.
        The order of the rows does not change the set of (id, event).
    """
    cells = [_text(kind), _text(customer_id), *(_text(times) for times in times_ms)]
    cells += [_text(values[name]) for name in sorted(values)]
    rows = pc.binary_join_element_wise(
        pa.scalar(source), *cells, _SEPARATOR, null_handling="replace", null_replacement="\x00"
    )
    digests = _digests(rows)
    return _number_apart(_hex(digests), digests) if number_apart else _hex(digests)


def _digests(rows: Any) -> NDArray[np.uint8]:
    """Hashes of an Arrow string array, (n, 16)."""
    packed = pack_text(rows)
    data, ends = packed.data.data, packed.offsets.tolist()
    parts = [blake2b(data[start:end], digest_size=_ID_BYTES).digest() for start, end in pairwise(ends)]
    return np.frombuffer(b"".join(parts), dtype=np.uint8).reshape(-1, _ID_BYTES)


def _hex(digests: NDArray[np.uint8]) -> NDArray[Any]:
    """Hexadecimal text, U32 (n,)."""
    width = 2 * _ID_BYTES
    digits = np.frombuffer(digests.tobytes().hex().encode(), dtype=np.uint8).astype(np.uint32)
    return digits.view(f"U{width}") if len(digits) else np.zeros(0, dtype=f"U{width}")


def column_ids(source: str, columns: list[Any], kind: NDArray[Any] | None) -> NDArray[Any]:
    """Ids from columns that identify a row.

    Parameters
    ----------
    source
        Name of the source.
    columns
        Arrow string arrays (n,) without nulls.
    kind
        Kind names (n,) when a row gives several events; else None.

    Returns
    -------
    NDArray[Any]
        The cell itself for one column and one event: the log has ids of its own. Else ``source/cell/cell/kind``.
    """
    if kind is None and len(columns) == 1:
        own: NDArray[Any] = columns[0].to_numpy(zero_copy_only=False).astype(object)
        return own
    parts = columns if kind is None else [*columns, _text(kind)]
    ids: NDArray[Any] = pc.binary_join_element_wise(pa.scalar(source), *parts, "/").to_numpy(zero_copy_only=False)
    return ids.astype(object)


def occurrence(cells: Any) -> NDArray[np.int64]:
    """How many equal cells stand before each cell.

    Examples
    --------
    >>> occurrence(pa.array(["a", "b", "a"]))
    array([0, 0, 1])
    """
    codes = pc.dictionary_encode(cells).indices.to_numpy(zero_copy_only=False)
    if not len(codes) or codes[-1] == len(codes) - 1:  # codes count new cells: each is one
        return np.zeros(len(codes), dtype=np.int64)
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    first = np.repeat(starts, np.diff(np.r_[starts, len(ordered)]))
    counts = np.empty(len(codes), dtype=np.int64)
    counts[order] = np.arange(len(codes)) - first
    return counts


def _number_apart(ids: NDArray[Any], digests: NDArray[np.uint8]) -> NDArray[Any]:
    halves = digests.view(np.uint64)[:, 0]  # events that share them are few: only those are looked at whole
    order = np.argsort(halves, kind="stable")
    same = halves[order[1:]] == halves[order[:-1]]
    rows = np.sort(order[np.r_[same, False] | np.r_[False, same]]) if same.any() else np.zeros(0, dtype=np.int64)
    numbers = occurrence(pa.array(ids[rows], pa.string()))
    if not numbers.any():
        return ids
    apart = ids.astype(object)
    for row, number in zip(rows[numbers > 0], numbers[numbers > 0], strict=True):
        apart[row] = f"{apart[row]}-{number}"
    return apart


def _text(column: NDArray[Any]) -> Any:
    """A column as text that is equal when the cells are, bit for bit; null stays null."""
    if column.dtype.kind == "f":
        bits = (column + 0.0).view(np.int64)  # + 0.0: -0.0 and 0.0 are one number
        return pc.cast(pa.array(bits, mask=np.isnan(column)), pa.string())
    if column.dtype.kind in "iu":
        return pc.cast(pa.array(column), pa.string())
    return pa.array(column, type=pa.string())
