"""Which rows of a source gave no event, and why: counts by reason, each with its first example.

The rows themselves go to a quarantine file when there is one (`producers.quarantine`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # they load Arrow, which a command's help does not need
    from producers.quarantine import Quarantine
    from producers.tables import BrokenRow, Table

_EXAMPLE_CHARS = 60


@dataclass
class Refusals:
    """Refused rows and events of one source.

    Parameters
    ----------
    source
        Its name.
    quarantine
        Where the refused rows go; None keeps only counts.
    n_rows
        Refusals of whole rows; the others are of single events.

    Examples
    --------
    >>> refusals = Refusals("orders")
    >>> refusals.update("bad time", 2, "'yesterday' in orders.csv")
    >>> str(refusals)
    "2 bad time (first: 'yesterday' in orders.csv)"
    """

    source: str = ""
    quarantine: Quarantine | None = None
    n_rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def update(self, reason: str, n: int, example: str) -> None:
        """Take `n` refusals for one reason; the first example is kept."""
        if n:
            self.counts[reason] = self.counts.get(reason, 0) + n
            self.examples.setdefault(reason, example)

    def update_broken(self, table: Table) -> None:
        """Take the rows of a file that are no rows at all."""
        for row in table.broken:
            self.update(row.reason, 1, f"{row.text[:_EXAMPLE_CHARS]!r} in {table.name}, row {row.number}")
            self._keep_broken(table, row)
        self.n_rows += len(table.broken)

    def update_mask(
        self, reason: str, refused: NDArray[np.bool_], table: Table, column: str, *, whole_row: bool
    ) -> None:
        """Take the rows of a mask; the example is the first refused cell.

        Parameters
        ----------
        reason
            Why.
        refused
            Shape (n,), over the rows of the table.
        column
            Whose cells were refused.
        whole_row
            Whether the rows give no event at all, or only not this one.
        """
        rows = np.flatnonzero(refused)
        if not len(rows):
            return
        cell = table[column][int(rows[0])].as_py()
        place = f"{table.name}, row {int(table.numbers(rows[:1])[0])}"
        self.update(reason, len(rows), f"{str(cell)[:_EXAMPLE_CHARS]!r} in {place}")
        self.n_rows += len(rows) if whole_row else 0
        if self.quarantine is not None:
            self.quarantine.update(self.source, table, rows, reason, column)

    def _keep_broken(self, table: Table, row: BrokenRow) -> None:
        if self.quarantine is not None:
            self.quarantine.update_broken(self.source, table.name, row)

    @property
    def n(self) -> int:
        """Refusals of all reasons."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        return "; ".join(f"{n} {reason} (first: {self.examples[reason]})" for reason, n in self.counts.items())
