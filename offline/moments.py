"""Counting a customer's moments up to a time, for many (customer, time) pairs at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]


class Customers:
    """Dense codes of the customers of a recording; an id that never occurred has none (-1)."""

    def __init__(self, customer_id: NDArray[Any]) -> None:
        import pandas as pd

        self.codes, names = pd.factorize(pd.Index(customer_id.astype(object)))
        self._names = pd.Index(names)

    def codes_of(self, customer_id: NDArray[Any]) -> Int64s:
        """Code of each id, (n,), -1 for an id without moments."""
        import pandas as pd

        return np.asarray(self._names.get_indexer(pd.Index(customer_id.astype(object))), dtype=np.int64)


class Moments:
    """Moments (customer code, time), sorted once, then counted by binary search.

    Parameters
    ----------
    code, time_ms
        Customer code (0 or more) and moment, (n,).
    """

    def __init__(self, code: Int64s, time_ms: Int64s) -> None:
        self._start = int(time_ms.min()) if len(time_ms) else 0
        self._span = (int(time_ms.max()) - self._start if len(time_ms) else 0) + 2
        self._keys = np.sort(code * self._span + (time_ms - self._start))

    def n_up_to(self, code: Int64s, time_ms: Int64s) -> Int64s:
        """How many moments of the customer lie at or before the time, (m,); 0 for code -1."""
        offset = np.clip(time_ms - self._start, -1, self._span - 2)
        first = np.searchsorted(self._keys, code * self._span, side="left")
        last = np.searchsorted(self._keys, code * self._span + offset, side="right")
        return np.where(code < 0, 0, np.maximum(last - first, 0))

    def n_within(self, code: Int64s, after_ms: Int64s, up_to_ms: Int64s) -> Int64s:
        """How many lie in ``(after_ms, up_to_ms]``, (m,)."""
        return self.n_up_to(code, up_to_ms) - self.n_up_to(code, after_ms)
