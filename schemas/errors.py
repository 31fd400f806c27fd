"""The root of every error a user can meet, and the errors of the contracts.

::

    DriftlineError                 exit code 2: the request or its input is wrong
    |-- WorkloadError              path, line
    |-- SchemaError                name of the schema or record
    |-- CodecError                 reason (one of schemas.reasons.REASONS)
    |-- SettingsError              name of the variable
    |-- BundleError                path of the bundle or file
    |-- LakeError                  path in the lake
    |-- TopicError                 topic
    `-- BrokerError                exit code 3: the broker cannot be reached or refused

The front door prints ``driftline: error: <message>`` on one line and leaves with ``exit_code``.
"""

from __future__ import annotations

from pathlib import Path


class DriftlineError(Exception):
    """Something a user can act on; the message is one line and names its place.

    Attributes
    ----------
    exit_code : int
        Exit code of the command line.
    """

    exit_code: int = 2


class WorkloadError(DriftlineError):
    """A workload file says something that cannot be.

    Parameters
    ----------
    path
        File, or the name asked for.
    line
        One-based line of the offending entry; None when the file as a whole is meant.
    detail
        What is wrong, the value found, and what is allowed.
    """

    def __init__(self, path: str | Path, line: int | None, detail: str) -> None:
        self.path = str(path)
        self.line = line
        self.detail = detail
        place = self.path if line is None else f"{self.path}:{line}"
        super().__init__(f"{place}: {detail}")


class SchemaError(DriftlineError):
    """A schema is unsafe, unknown or in conflict, or a record does not have its schema's shape."""

    def __init__(self, name: str, detail: str) -> None:
        self.name = name
        self.detail = detail
        super().__init__(f"schema {name}: {detail}")


class CodecError(DriftlineError):
    """Bytes that are no record of ours, or a record that has no bytes.

    Parameters
    ----------
    reason
        One of ``schemas.reasons.REASONS``; it reaches the dead letter.
    detail
        What was found.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else reason)


class SettingsError(DriftlineError):
    """An environment variable is unknown or has a value that is not allowed."""

    def __init__(self, name: str, detail: str) -> None:
        self.name = name
        self.detail = detail
        super().__init__(f"{name}: {detail}")


class BundleError(DriftlineError):
    """A model bundle is incomplete, changed since it was written, or badly named."""

    def __init__(self, path: str | Path, detail: str) -> None:
        self.path = str(path)
        self.detail = detail
        super().__init__(f"bundle {self.path}: {detail}")


class LakeError(DriftlineError):
    """The event lake holds something that its commits do not allow."""

    def __init__(self, path: str | Path, detail: str) -> None:
        self.path = str(path)
        self.detail = detail
        super().__init__(f"lake {self.path}: {detail}")


class TopicError(DriftlineError):
    """A topic is missing, or exists with other partitions or settings than declared."""

    def __init__(self, topic: str, detail: str) -> None:
        self.topic = topic
        self.detail = detail
        super().__init__(f"topic {topic}: {detail}")


class BrokerError(DriftlineError):
    """The broker cannot be reached or refused a request."""

    exit_code = 3

    def __init__(self, bootstrap: str, detail: str) -> None:
        self.bootstrap = bootstrap
        self.detail = detail
        super().__init__(f"broker {bootstrap}: {detail}")
