"""Whom a long run tells how far it is; what is shown, and where, is the business of the command line."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Takes a number of units of work, and each of them as it begins."""

    def begin(self, n_units: int) -> None:
        """So many units will be done."""

    def advance(self, what: str) -> None:
        """The unit before is done; the next one begins, and this is what it is."""


class Silence:
    """Tells nobody."""

    def begin(self, n_units: int) -> None:
        """Ignored."""

    def advance(self, what: str) -> None:
        """Ignored."""
