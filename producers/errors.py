"""The errors of reading sources and publishing events.

::

    DriftlineError                 (schemas.errors)
    `-- ProducersError
        |-- SourceError            source, file or database, column
        |-- QuarantineError        file
        |-- ReplayError            day or topic
        `-- SinkError              topic; exit code 3

A row that cannot be read is no error but a refusal, counted by reason (`producers.refusals`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from schemas.errors import DriftlineError


class ProducersError(DriftlineError):
    """A source cannot be read or events cannot be published."""


class SourceError(ProducersError):
    """A ``[[source]]`` does not fit its file or database.

    Parameters
    ----------
    source
        Name of the source.
    path
        File, the pattern that found none, or the database without its password.
    detail
        What is wrong, and what is there.
    column
        Column meant; None when the file as a whole is.
    kind
        What `path` is.
    """

    def __init__(
        self,
        source: str,
        path: str | Path,
        detail: str,
        column: str | None = None,
        kind: Literal["file", "database"] = "file",
    ) -> None:
        self.source = source
        self.path = str(path)
        self.column = column
        self.detail = detail
        place = f"source {source!r}, {kind} {self.path}"
        if column is not None:
            place += f", column {column!r}"
        super().__init__(f"{place}: {detail}")


class QuarantineError(ProducersError):
    """Refused rows cannot go where they are to go."""

    def __init__(self, path: str | Path, detail: str) -> None:
        self.path = str(path)
        super().__init__(f"quarantine {self.path}: {detail}")


class ReplayError(ProducersError):
    """A replay cannot start or go on from what the topics hold.

    Parameters
    ----------
    place
        Day or topic meant.
    detail
        What is wrong, and what to do.
    """

    def __init__(self, place: str, detail: str) -> None:
        self.place = place
        self.detail = detail
        super().__init__(f"replay, {place}: {detail}")


class SinkError(ProducersError):
    """Records were not acknowledged by the broker."""

    exit_code = 3

    def __init__(self, topic: str, detail: str) -> None:
        self.topic = topic
        self.detail = detail
        super().__init__(f"topic {topic}: {detail}")
