"""Errors of the front door.

::

    schemas.errors.DriftlineError
    |-- ChildError                  exit code 4: a command of the local loop failed
    |-- PipelineError               exit code 2: the record of a pipeline cannot be used
    `-- BrokerError                 exit code 3
        |-- EmbeddedBrokerError     the embedded broker does not start or has died
        `-- KafkaEngineError        the same of Apache Kafka on this machine

    click.ClickException
    `-- CommandError                any failure, told in one line on stderr
"""

from __future__ import annotations

from typing import IO, Any

import click

from schemas.errors import BrokerError, DriftlineError


class EmbeddedBrokerError(BrokerError):
    """The embedded broker cannot start, or ended by itself; the message says what to do."""


class KafkaEngineError(BrokerError):
    """Apache Kafka cannot be started on this machine, or a node ended by itself; the message says what to do."""


class ChildError(DriftlineError):
    """A command that the local loop started ended with an error."""

    exit_code = 4

    def __init__(self, name: str, code: int, detail: str) -> None:
        self.name, self.code = name, code
        super().__init__(f"{name} ended with exit code {code}: {detail}")


class PipelineError(DriftlineError):
    """What a pipeline has noted about its stages cannot be read."""


class CommandError(click.ClickException):
    """A failure as the user sees it: ``driftline: error: <one line>`` and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"driftline: error: {self.message}", file=file, err=file is None)
