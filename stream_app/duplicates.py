"""Duplicates of a producer: the same event id within the preceding 2^20 offsets of one topic-partition.

A function of the log alone. Kept with the checkpoint in chunks of offsets, so that a restart forgets nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream_app.columns import Columns
from stream_app.merge_kernel import index_ring, mark_duplicates

WINDOW = 1 << 20
CHUNK = 4096

Int64s = npt.NDArray[np.int64]


class DuplicateWindow:
    """Hashes of the event ids at the newest offsets; grows up to the window."""

    def __init__(self) -> None:
        self.ring = np.zeros(CHUNK, np.int64)
        self.first = 0  # offsets below were never seen here
        self.next = 0
        self._table = np.full(4 * CHUNK, -1, np.int32)
        self._used = 0

    def mark(self, columns: Columns) -> None:
        """Give rows of ``columns`` (in offset order) the status DUPLICATE where they are."""
        if not len(columns):
            return
        begin, end = int(columns.offset[0]), int(columns.offset[-1]) + 1
        if self.next == 0:
            self.first = self.next = begin
        self._make_room(end, len(columns))
        mark_duplicates(columns.id_hash, columns.offset, columns.status, WINDOW, self.next, self.ring, self._table)
        self._used += len(columns)
        self.next = end

    def _make_room(self, end: int, coming: int) -> None:
        begin, held = self._begin(), min(end - self.first, WINDOW + CHUNK)
        is_small = held > len(self.ring)
        if is_small:
            ring, offsets = np.full(_ring_length(held), 0, np.int64), np.arange(begin, self.next)  # memory is taken now
            ring[offsets % len(ring)] = self.ring[offsets % len(self.ring)]
            self.ring = ring
        if is_small or self._used + coming > len(self._table) // 2:  # by records: offsets may jump far
            self._index(begin, coming)

    def _begin(self) -> int:
        """The first offset that may matter."""
        return max(self.first, self.next - min(len(self.ring), WINDOW))

    def _index(self, begin: int, coming: int) -> None:
        """Make the table anew, with room for as many again."""
        n = self.next - begin + coming
        self._table = np.full(1 << int(2 * n - 1).bit_length(), -1, np.int32)
        self._used = index_ring(self.ring, begin, self.next, self._table)

    def chunks(self, since: int, until: int) -> dict[int, Int64s]:
        """First offset -> hashes of the chunks touched by offsets ``[since, until)``, for the checkpoint."""
        found: dict[int, Int64s] = {}
        for first in range(since // CHUNK * CHUNK, until, CHUNK):
            offsets = np.arange(max(first, self.first, until - WINDOW), min(first + CHUNK, until))
            hashes = np.zeros(CHUNK, np.int64)
            hashes[offsets - first] = self.ring[offsets % len(self.ring)]
            found[first] = hashes
        return found

    def load(self, chunks: dict[int, Int64s], until: int) -> None:
        """Restore from the newest chunks, all below offset ``until``."""
        self.__init__()  # type: ignore[misc]
        wanted = {first: hashes for first, hashes in chunks.items() if until - WINDOW - CHUNK < first < until}
        if not wanted:
            return
        self.first = self.next = min(wanted)
        self.ring = np.zeros(_ring_length(until - self.first), np.int64)
        for first, hashes in wanted.items():
            offsets = np.arange(first, min(first + CHUNK, until))
            self.ring[offsets % len(self.ring)] = hashes[: len(offsets)]
        self.next = until
        self._index(self._begin(), 1)


def _ring_length(n_held: int) -> int:
    return min(1 << int(2 * n_held - 1).bit_length(), 2 * WINDOW)
