"""Events of one topic under way: plain columns with customers as row numbers, before ids and texts are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from producers.simulate.layout import TOPICS
from schemas.events import EventBatch

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DIGITS: Final = 10
_ZERO: Final = ord("0")


@dataclass
class Draft:
    """Columns of length n.

    Attributes
    ----------
    topic
        Name of the topic.
    who
        Row number of the customer.
    event_ms, known_ms
        Times, UTC milliseconds; known times are 0 until `delay` has drawn them.
    kind
        Index into the topic's kinds.
    values
        Every value field of the topic, float64, NaN for null; categories as codes.
    """

    topic: str
    who: Ints
    event_ms: Ints
    known_ms: Ints
    kind: NDArray[np.int16]
    values: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.who)

    @staticmethod
    def of(topic: str, kind: str, who: Ints, event_ms: Ints, **values: Any) -> Draft:
        """Events of one kind; fields that are not given are null."""
        layout, n = TOPICS[topic], len(who)
        columns = {name: np.full(n, np.nan) for name in layout.columns if name not in values}
        given = {name: np.asarray(column, dtype=np.float64) for name, column in values.items()}
        kinds = np.full(n, layout.kinds.index(kind), np.int16)
        return Draft(topic, who, event_ms, np.zeros(n, np.int64), kinds, columns | given)

    @staticmethod
    def join(drafts: Sequence[Draft]) -> Draft:
        """All events of drafts of one topic, in the order given."""
        first = drafts[0]
        values = {
            name: np.concatenate([draft.values[name] for draft in drafts]) for name in TOPICS[first.topic].columns
        }
        return Draft(
            first.topic,
            np.concatenate([draft.who for draft in drafts]),
            np.concatenate([draft.event_ms for draft in drafts]),
            np.concatenate([draft.known_ms for draft in drafts]),
            np.concatenate([draft.kind for draft in drafts]),
            values,
        )

    def take(self, rows: NDArray[Any]) -> Draft:
        """The events asked for, by mask or by index."""
        values = {name: column[rows] for name, column in self.values.items()}
        return Draft(self.topic, self.who[rows], self.event_ms[rows], self.known_ms[rows], self.kind[rows], values)

    def delay(self, rng: np.random.Generator, shuffled_share: float) -> None:
        """Draw when the events became known: after seconds, or for a share of them after up to 44 hours."""
        n = len(self)
        late = np.flatnonzero(rng.random(n, dtype=np.float32) < shuffled_share)
        wait_ms = 200.0 + 3_000.0 * rng.standard_exponential(n, dtype=np.float32)
        wait_ms[late] = np.exp(rng.uniform(np.log(60_000.0), np.log(44 * 3_600_000.0), len(late)))
        self.known_ms = self.event_ms + wait_ms.astype(np.int64)

    def split(self, end_ms: int) -> tuple[Draft, Draft]:
        """Events known before a time, sorted by known time, and the others."""
        known = self.known_ms < end_ms
        now = self.take(known) if not known.all() else self
        return now.take(np.argsort(now.known_ms, kind="stable")), self.take(~known)

    def written(self, customer_id: NDArray[Any], prefix: str, first_number: int) -> EventBatch:
        """The events as they go out, with ids numbered in their order.

        Parameters
        ----------
        customer_id
            Id by row number.
        """
        layout = TOPICS[self.topic]
        values: dict[str, NDArray[Any]] = {name: self.values[name] for name in layout.fields}
        for name, categories in layout.categories.items():
            names = np.array([*categories, None], dtype=object)
            values[name] = names[np.nan_to_num(self.values[name], nan=len(categories)).astype(np.int64)]
        ids = numbered(f"{prefix}-{layout.letter}-", first_number, len(self))
        return EventBatch(self.topic, ids, customer_id[self.who], self.event_ms, self.known_ms, self.kind, values)


def numbered(prefix: str, first: int, n: int) -> NDArray[Any]:
    """Ids made of a prefix and ten digits, counted from `first`, without a Python loop over them.

    Examples
    --------
    >>> numbered("s7-u-", 41, 2).tolist()
    ['s7-u-0000000041', 's7-u-0000000042']
    """
    width = len(prefix) + _DIGITS
    letters = np.empty((n, width), np.uint32)
    letters[:, : len(prefix)] = [ord(letter) for letter in prefix]
    rest = np.arange(first, first + n, dtype=np.int64)
    for column in range(width - 1, len(prefix) - 1, -1):
        rest, digit = np.divmod(rest, 10)
        letters[:, column] = digit + _ZERO
    return letters.view(f"<U{width}").reshape(n)
