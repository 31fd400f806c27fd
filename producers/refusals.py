"""Which rows of a source gave no event, and why: counts by reason, each with its first example."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_EXAMPLE_CHARS = 60


@dataclass
class Refusals:
    """Refused rows or events of one source.

    Examples
    --------
    >>> refusals = Refusals()
    >>> refusals.update("bad time", 2, "'yesterday' in orders.csv")
    >>> str(refusals)
    "2 bad time (first: 'yesterday' in orders.csv)"
    """

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def update(self, reason: str, n: int, example: str) -> None:
        """Take `n` refusals for one reason; the first example is kept."""
        if n:
            self.counts[reason] = self.counts.get(reason, 0) + n
            self.examples.setdefault(reason, example)

    def update_mask(self, reason: str, refused: NDArray[np.bool_], cells: Any, place: str) -> None:
        """Take the rows of a mask; the example is the first refused cell.

        Parameters
        ----------
        reason
            Why.
        refused
            Shape (n,).
        cells
            The n cells that were refused, anything that can be indexed.
        place
            File of the rows.
        """
        n = int(np.count_nonzero(refused))
        if n:
            row = int(np.argmax(refused))
            self.update(reason, n, f"{str(cells[row])[:_EXAMPLE_CHARS]!r} in {place}, row {row + 1}")

    @property
    def n(self) -> int:
        """Refusals of all reasons."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        return "; ".join(f"{n} {reason} (first: {self.examples[reason]})" for reason, n in self.counts.items())
