"""Which event ids stood within the preceding 2^20 offsets of a log."""

from __future__ import annotations

from collections import deque

WINDOW = 2**20


class RecentIds:
    """Ids of one topic-partition with the newest offset of each."""

    def __init__(self) -> None:
        self._newest: dict[bytes, int] = {}
        self._in_order: deque[tuple[int, bytes]] = deque()

    def is_duplicate(self, event_id: bytes, offset: int) -> bool:
        """Whether ``event_id`` was seen within the window; remembers it here. Offsets ascend."""
        while self._in_order and self._in_order[0][0] < offset - WINDOW:
            old, forgotten = self._in_order.popleft()
            if self._newest[forgotten] == old:
                del self._newest[forgotten]
        is_known = event_id in self._newest
        self._newest[event_id] = offset
        self._in_order.append((offset, event_id))
        return is_known
