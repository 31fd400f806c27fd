"""Duplicates of a producer: the same event id within the preceding 2^20 offsets of one topic-partition.

A function of the log alone. Kept with the checkpoint in chunks of offsets, so that a restart forgets nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream_app.columns import Columns
from stream_app.merge_kernel import mark_duplicates

WINDOW = 1 << 20
CHUNK = 4096

Int64s = npt.NDArray[np.int64]


class DuplicateWindow:
    """Hashes of the event ids at the newest offsets; grows up to the window."""

    def __init__(self) -> None:
        self.ring = np.zeros(CHUNK, np.int64)
        self.first = 0  # offsets below were never seen here
        self.next = 0
        self._clear_table(4 * CHUNK)

    def _clear_table(self, places: int) -> None:
        self._hash = np.zeros(places, np.int64)
        self._offset = np.full(places, -1, np.int64)
        self._used = 0

    def mark(self, columns: Columns) -> None:
        """Give rows of ``columns`` (in offset order) the status DUPLICATE where they are."""
        if not len(columns):
            return
        begin, end = int(columns.offset[0]), int(columns.offset[-1]) + 1
        if self.next == 0:
            self.first = self.next = begin
        self._make_room(end, len(columns))
        mark_duplicates(columns.id_hash, columns.offset, columns.status, WINDOW, self.ring, self._hash, self._offset)
        self._used += len(columns)
        self.next = end

    def _make_room(self, end: int, coming: int) -> None:
        held = min(end - self.first, WINDOW + CHUNK)
        if held > len(self.ring):
            ring = np.zeros(min(1 << int(held * 2 - 1).bit_length(), 2 * WINDOW), np.int64)
            for offset, hashes in self._held():
                ring[np.arange(offset, offset + len(hashes)) % len(ring)] = hashes
            self.ring = ring
        if self._used + coming > len(self._hash) // 2:  # by records: offsets may jump far
            self._rebuild(coming)
        self.ring[np.arange(max(self.next, end - len(self.ring)), end) % len(self.ring)] = 0

    def _held(self) -> list[tuple[int, Int64s]]:
        begin = max(self.first, self.next - min(len(self.ring), WINDOW))
        if begin >= self.next:
            return []
        return [(begin, self.ring[np.arange(begin, self.next) % len(self.ring)].copy())]

    def _rebuild(self, coming: int) -> None:
        held = self._held()
        n = sum(len(hashes) for _, hashes in held) + coming
        self._clear_table(1 << int(4 * n).bit_length())
        for begin, hashes in held:
            offsets = np.arange(begin, begin + len(hashes))[hashes != 0]
            ids = hashes[hashes != 0]
            mark_duplicates(
                ids, offsets, np.zeros(len(ids), np.int64), WINDOW, self.ring.copy(), self._hash, self._offset
            )
            self._used += len(ids)

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
        self.ring = np.zeros(min(1 << int(2 * (until - self.first) + 1).bit_length(), 2 * WINDOW), np.int64)
        for first, hashes in wanted.items():
            offsets = np.arange(first, min(first + CHUNK, until))
            self.ring[offsets % len(self.ring)] = hashes[: len(offsets)]
        self.next = until
        self._rebuild(0)
