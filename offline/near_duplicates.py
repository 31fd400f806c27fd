"""Events that say the same of the same customer within seconds, under ids of their own: sent twice, perhaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MAX_EXAMPLES = 5


class NearDuplicates:
    """Counts them over batches of one topic.

    Parameters
    ----------
    within_ms
        Longest time between two of them; two with the same id are duplicates, not near ones.

    Attributes
    ----------
    n : int
        Events that follow one like them.
    examples : list[tuple[str, str, int]]
        (customer, kind, event time) of the first few.
    """

    def __init__(self, within_ms: int) -> None:
        self._within_ms = within_ms
        self._last: pd.DataFrame | None = None
        self.n = 0
        self.examples: list[tuple[str, str, int]] = []

    def update(self, frame: pd.DataFrame, fields: Sequence[str]) -> None:
        """Take a frame of events; no later frame may hold an event that happened before those of this one.

        Parameters
        ----------
        frame
            With event_id, customer_id, kind, event_time_ms and the value fields.
        fields
            Names of the value fields.
        """
        kept = frame[["event_id", "customer_id", "kind", "event_time_ms", *fields]]
        both = kept if self._last is None else pd.concat([self._last, kept], ignore_index=True)
        n_before = len(both) - len(kept)
        near = _near(both, ["customer_id", "kind", *fields], self._within_ms)
        near[:n_before] = False
        self.n += int(np.count_nonzero(near))
        for row in np.flatnonzero(near)[: MAX_EXAMPLES - len(self.examples)].tolist():
            one = both.iloc[row]
            self.examples.append((str(one["customer_id"]), str(one["kind"]), int(one["event_time_ms"])))
        times = both["event_time_ms"].to_numpy()
        self._last = both[times >= times.max() - self._within_ms] if len(times) else None


def _near(frame: pd.DataFrame, same: Sequence[str], within_ms: int) -> NDArray[np.bool_]:
    """Which rows follow one that says the same within the time, under another id, (n,)."""
    says = pd.util.hash_pandas_object(frame[list(same)], index=False).to_numpy()
    ids = pd.util.hash_pandas_object(frame["event_id"], index=False).to_numpy()
    times = frame["event_time_ms"].to_numpy()
    order = np.lexsort((times, says))
    follows = (says[order[1:]] == says[order[:-1]]) & (times[order[1:]] - times[order[:-1]] <= within_ms)
    near = np.zeros(len(frame), dtype=bool)
    near[order[1:]] = follows & (ids[order[1:]] != ids[order[:-1]])
    return near
