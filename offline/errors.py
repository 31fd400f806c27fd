"""Errors of the offline side.

::

    OfflineError                   exit code 2: what was asked for cannot be done with what is there
    |-- EmptyLakeError             path of the lake
    |-- HistoryTooShortError       days needed, days there
    |-- LabelError                 the labels cannot teach anything: one class, or none matured
    |-- FeatureError               the features cannot teach anything: none has a value
    |-- UnknownVersionError        version, versions there
    |-- RegistryError              path in the registry
    |-- RepetitionError            version that cannot be made again
    |-- ReleaseError               version, activation day
    |-- ExportError                version that cannot be written in another form
    |-- MissingExtraError          extra, what it is needed for
    |-- IngestError                topic, partition, offset
    |-- StateBuildError            topic, partition
    |-- CostError                  file or flag, what is wrong with the price of a contact
    `-- OffsetGoneError            partition, offset, end (in `offline.topic_reader`)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from schemas.errors import DriftlineError


class OfflineError(DriftlineError):
    """Root of the offline errors."""


class EmptyLakeError(OfflineError):
    """The lake holds no events of this workload."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        super().__init__(f"lake {self.path} holds no events of this workload; run `driftline ingest` or fill it first")


class HistoryTooShortError(OfflineError):
    """The history does not span enough days for a split by time with an embargo."""

    def __init__(self, n_days_needed: int, n_days: int, detail: str) -> None:
        self.n_days_needed = n_days_needed
        self.n_days = n_days
        super().__init__(f"history too short: {n_days} days there, {n_days_needed} needed ({detail})")


class LabelError(OfflineError):
    """The labels at hand cannot teach a model anything."""


class FeatureError(OfflineError):
    """The features at hand cannot teach a model anything."""


class UnknownVersionError(OfflineError):
    """No such model version in the registry."""

    def __init__(self, version: str, versions: Sequence[str]) -> None:
        self.version = version
        there = ", ".join(versions) if versions else "none; run `driftline train` first"
        super().__init__(f"no model version {version!r}; versions there: {there}")


class RegistryError(OfflineError):
    """The model folder holds something that cannot be."""

    def __init__(self, path: str | Path, detail: str) -> None:
        self.path = str(path)
        super().__init__(f"registry {self.path}: {detail}")


class RepetitionError(OfflineError):
    """A version cannot be made again from what is there."""

    def __init__(self, version: str, detail: str) -> None:
        self.version = version
        super().__init__(f"{version} cannot be made again: {detail}")


class ReleaseError(OfflineError):
    """A release that would change the past, or that no gate lets through."""

    def __init__(self, version: str, detail: str) -> None:
        self.version = version
        super().__init__(f"release {version}: {detail}")


class ExportError(OfflineError):
    """A version's model cannot be written in another form without changing its answers."""

    def __init__(self, version: str, detail: str) -> None:
        self.version = version
        super().__init__(f"export {version}: {detail}")


class MissingExtraError(OfflineError):
    """A library that not everybody installs is needed."""

    def __init__(self, extra: str, purpose: str, missing: Sequence[str]) -> None:
        self.extra = extra
        super().__init__(
            f"{purpose} needs {' and '.join(missing)}, which is not installed; run `pip install 'driftline[{extra}]'`"
        )


class IngestError(OfflineError):
    """A topic partition cannot be read into the lake without a hole."""

    def __init__(self, topic: str, partition: int, offset: int, detail: str) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        super().__init__(f"ingest {topic}/{partition} at offset {offset}: {detail}")


class StateBuildError(OfflineError):
    """A state generation cannot be built from what is there, or would replace a newer one."""

    def __init__(self, topic: str, partition: int, detail: str) -> None:
        self.topic = topic
        self.partition = partition
        super().__init__(f"state build: topic {topic} partition {partition}: {detail}")


class CostError(OfflineError):
    """What a contact costs and brings is not said, or cannot be."""

    def __init__(self, where: str, detail: str) -> None:
        self.where = where
        super().__init__(f"costs: {where}: {detail}")
