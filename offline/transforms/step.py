"""One step of a transform: names of its output columns, and the matrix that it makes.

Every step is a frozen value of plain numbers, so that JSON can carry it. NaN stands for missing.
"""

from __future__ import annotations

from typing import Protocol

from offline.metrics import Floats

Numbers = tuple[float, ...]
Names = tuple[str, ...]


class Step(Protocol):
    """A fitted step."""

    @property
    def columns(self) -> Names:
        """Names of the output columns, k of them."""

    def matrix(self, X: Floats) -> Floats:
        """The output (n, k) for an input (n, m); the input stays as it is."""


def numbers(values: Floats) -> Numbers:
    """A vector as plain numbers."""
    return tuple(float(value) for value in values)
