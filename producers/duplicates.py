"""The order of events whatever that of their rows, and which of those with the same id stays."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.events import EventBatch


def sorted_events(batch: EventBatch) -> EventBatch:
    """Events by known time, ties by event time, then id, then by all else that they say."""
    order = np.lexsort((batch.event_time_ms, batch.known_time_ms))
    tied = _equal_to_last([batch.known_time_ms, batch.event_time_ms], order)
    if not tied.any():
        return batch.take(order)
    rows = np.flatnonzero(tied | np.r_[tied[1:], False])
    ids = pa.table({"group": np.cumsum(~tied)[rows], "id": pa.array(batch.event_id[order[rows]], pa.string())})
    by_id = pc.sort_indices(ids, sort_keys=[("group", "ascending"), ("id", "ascending")])
    order[rows] = order[rows][by_id.to_numpy()]
    same = _equal_to_last([batch.known_time_ms, batch.event_time_ms, batch.event_id], order)
    for start, end in _runs(same):
        order[start:end] = sorted(order[start:end].tolist(), key=lambda row: _says(batch, row))
    return batch.take(order)


def without_duplicates(batch: EventBatch, keep: Literal["first", "last"]) -> EventBatch:
    """Of each id the first or last of sorted events (`sorted_events`)."""
    codes = pc.dictionary_encode(pa.array(batch.event_id, pa.string())).indices.to_numpy()
    places = np.arange(len(codes)) if keep == "first" else np.arange(len(codes))[::-1]
    _, at = np.unique(codes[places], return_index=True)
    return batch if len(at) == len(codes) else batch.take(np.sort(places[at]))


def _equal_to_last(columns: list[NDArray[Any]], order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows equal the one before them, taken in an order, (n,)."""
    equal = np.ones(max(len(order) - 1, 0), dtype=bool)
    for column in columns:
        ordered = column[order]
        equal &= np.asarray(ordered[1:] == ordered[:-1], dtype=bool)
    return np.concatenate([np.zeros(min(len(order), 1), dtype=bool), equal])


def _runs(same: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, end) of the runs of more than one row."""
    starts = np.flatnonzero(~same & np.r_[same[1:], False])
    ends = np.flatnonzero(same & ~np.r_[same[1:], False]) + 1
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _says(batch: EventBatch, row: int) -> tuple[Any, ...]:
    """What tells events with the same id and times apart, as something that can be ordered."""
    values = [repr(batch.values[name][row]) for name in sorted(batch.values)]
    return (int(batch.kind[row]), str(batch.customer_id[row]), *values)
