"""Event ids for rows that bring none: a hash of what the event says, so reading a file again gives the same ids."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

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
    hashes = np.array([blake2b(row.encode(), digest_size=_ID_BYTES).hexdigest() for row in rows.to_pylist()], object)
    return _number_apart(hashes, occurrence(rows)) if number_apart else hashes


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
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, dtype=np.int64)
    first = np.repeat(starts, np.diff(np.r_[starts, len(ordered)]))
    counts = np.empty(len(codes), dtype=np.int64)
    counts[order] = np.arange(len(codes)) - first
    return counts


def _number_apart(ids: NDArray[Any], numbers: NDArray[np.int64]) -> NDArray[Any]:
    for row in np.flatnonzero(numbers):
        ids[row] = f"{ids[row]}-{numbers[row]}"
    return ids


def _text(column: NDArray[Any]) -> Any:
    """A column as text that is equal when the cells are, bit for bit; null stays null."""
    if column.dtype.kind == "f":
        bits = (column + 0.0).view(np.int64)  # + 0.0: -0.0 and 0.0 are one number
        return pc.cast(pa.array(bits, mask=np.isnan(column)), pa.string())
    if column.dtype.kind in "iu":
        return pc.cast(pa.array(column), pa.string())
    return pa.array(column, type=pa.string())
