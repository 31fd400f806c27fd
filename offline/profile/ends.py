"""When customers ended and began again, and where another event lies between: needed to see what is written afterwards.

An end is an event of a live end kind, or of the label's kinds when the label is a cancellation. Workloads whose
customers only fall silent or lapse have no such moment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from schemas.events import EventBatch
from schemas.workload import Workload
from stream_app.columns import hash_texts

Int64s = NDArray[np.int64]

FAR_MS = 1 << 61


def end_kinds(workload: Workload) -> tuple[str, ...]:
    """Kinds that end a customer."""
    of_label = workload.label.of if workload.label.type == "cancel" else ()
    return tuple(dict.fromkeys((*workload.live.end, *of_label)))


class Ends:
    """Ends and starts per customer, asked for once all are in.

    Customers are known by the hash of their id, as the kernels know them.
    """

    def __init__(self, workload: Workload) -> None:
        self._kinds = {
            topic.name: (
                [i for i, kind in enumerate(topic.kinds) if kind.name in end_kinds(workload)],
                [i for i, kind in enumerate(topic.kinds) if kind.name in workload.live.start],
            )
            for topic in workload.topics
        }
        self._parts: tuple[list[tuple[Int64s, Int64s]], list[tuple[Int64s, Int64s]]] = ([], [])
        self._sorted: list[tuple[Int64s, Int64s]] | None = None

    def update(self, batch: EventBatch) -> None:
        """Take the ends and starts of a batch; in any order."""
        for kinds, parts in zip(self._kinds[batch.topic], self._parts, strict=True):
            rows = np.flatnonzero(np.isin(batch.kind, kinds))
            if len(rows):
                parts.append((hash_texts(batch.customer_id[rows].astype(object)), batch.event_time_ms[rows]))

    @property
    def n_customers(self) -> int:
        """Customers that ended at least once."""
        return len(np.unique(self._moments[0][0]))

    def next_end(self, key_hash: Int64s, time_ms: Int64s) -> Int64s:
        """The customer's first end after each time, far in the future without one; (n,)."""
        return _neighbour(*self._moments[0], key_hash, time_ms, after=True)

    def is_after_end(self, key_hash: Int64s, time_ms: Int64s) -> NDArray[np.bool_]:
        """Whether the customer had ended before each time and not begun again; (n,)."""
        end = _neighbour(*self._moments[0], key_hash, time_ms - 1, after=False)
        start = _neighbour(*self._moments[1], key_hash, time_ms, after=False)
        return (end > -FAR_MS) & (start < end)

    @property
    def _moments(self) -> list[tuple[Int64s, Int64s]]:
        if self._sorted is None:
            self._sorted = [_in_order(parts) for parts in self._parts]
        return self._sorted


def _in_order(parts: list[tuple[Int64s, Int64s]]) -> tuple[Int64s, Int64s]:
    nothing = np.zeros(0, np.int64)
    key, time = (np.concatenate([nothing, *(part[i] for part in parts)]) for i in (0, 1))
    order = np.lexsort((time, key))
    return key[order], time[order]


def _neighbour(keys: Int64s, times: Int64s, key_hash: Int64s, time_ms: Int64s, *, after: bool) -> Int64s:
    """The customer's nearest moment after a time, or at or before it; beyond `FAR_MS` when there is none."""
    answer = np.full(len(key_hash), FAR_MS if after else -FAR_MS, np.int64)
    if not len(keys):
        return answer
    names, starts = np.unique(keys, return_index=True)
    customer = np.minimum(np.searchsorted(names, key_hash), len(names) - 1)
    mine = np.flatnonzero(names[customer] == key_hash)
    if not len(mine):
        return answer
    first, span = int(min(times.min(), time_ms[mine].min())), int(max(times.max(), time_ms[mine].max()))
    width = span - first + 2
    code = np.repeat(np.arange(len(names)), np.diff(np.r_[starts, len(keys)]))
    place = np.searchsorted(code * width + times - first, customer[mine] * width + time_ms[mine] - first, side="right")
    place = place if after else place - 1
    inside = (place >= 0) & (place < len(keys))
    inside[inside] = code[place[inside]] == customer[mine][inside]
    answer[mine[inside]] = times[place[inside]]
    return answer
