"""Errors of batch scoring.

::

    OfflineError
    `-- ScoringError               exit code 2: nothing can be scored with what is there
        `-- ScoreTableError        name of the table, or of the database without its password
"""

from __future__ import annotations

from offline.errors import OfflineError


class ScoringError(OfflineError):
    """There is nothing to score."""


class ScoreTableError(ScoringError):
    """A database cannot be reached or written, or its table has another shape."""

    def __init__(self, where: str, detail: str) -> None:
        self.where = where
        super().__init__(f"{where}: {detail}")
