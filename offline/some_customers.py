"""A history of a share of its customers, chosen by a hash of their id: the same ones every time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from schemas.events import EventBatch
from stream_app.columns import Columns, columns_of
from stream_app.plan import Plan


def columns_of_some(
    plan: Plan,
    history: Callable[[], Iterable[EventBatch]],
    share: float,
    count: Callable[[Columns], None] = lambda _: None,
) -> Iterator[Columns]:
    """The columns of a history, those of other customers left out.

    Parameters
    ----------
    history
        As `offline.training_set.build_training_set` takes it.
    share
        Of the customers, 0 to 1.
    count
        Sees all columns before any is left out.
    """
    again: Callable[[], Iterable[EventBatch | Columns]] = getattr(history, "columns", history)
    for batch in again():
        columns = batch if isinstance(batch, Columns) else columns_of(plan, batch)
        count(columns)
        yield columns if share >= 1.0 else columns.take(_chosen(columns.key_hash, share)).with_own_keys()


def _chosen(key_hash: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    mixed = (key_hash.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)
    return np.flatnonzero(mixed < np.uint64(share * 2**31)).astype(np.int64)
