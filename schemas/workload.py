"""The workload: the one file from which schemas, topics, state, features and label follow.

Here are the checked, frozen values and `load_workload`. Reading and refusing is in `schemas.workload_parse`,
sources are in `schemas.source`. It is long because the values of the one file stand together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from schemas.errors import WorkloadError
from schemas.source import Source, SourceEvent, Where

if TYPE_CHECKING:
    from collections.abc import Mapping

FieldType = Literal["number", "integer", "time", "category"]
FeatureType = Literal[
    "count", "sum", "mean", "max", "distinct_days", "ratio", "trend",
    "recency", "tenure", "last", "until", "delay", "open", "calendar",
]  # fmt: skip
LabelType = Literal["cancel", "lapse", "inactivity"]
CalendarPart = Literal["weekday", "day_of_month", "month"]

WINDOWS_D: Final = (1, 7, 14, 30, 60, 90, 180, 365)
WINDOWED_TYPES: Final = ("count", "sum", "mean", "max", "distinct_days")

__all__ = [
    "Alert",
    "Eligible",
    "EventTopic",
    "Feature",
    "Field",
    "Kind",
    "Label",
    "Live",
    "Source",
    "SourceEvent",
    "Watch",
    "Where",
    "Workload",
    "builtin_workloads",
    "load_workload",
]

BUILTIN_DIR: Final = Path(__file__).parent / "workloads"


@dataclass(frozen=True)
class Kind:
    """One kind of event; its name is unique in the workload."""

    name: str
    doc: str
    urgent: bool = False


@dataclass(frozen=True)
class Field:
    """One value field of a topic.

    Parameters
    ----------
    name
        Name in the Avro record and in the lake.
    type
        number (double), integer (long), time (UTC milliseconds) or category (text).
    unit
        Unit of the value, "1" when it has none.
    scale
        State keeps ``round(value * scale)``; 1 for all but number.
    categories
        Known values of a category; state keeps the index, and ``len(categories)`` for any other.
    doc
        What it says.
    """

    name: str
    type: FieldType
    unit: str
    scale: int
    categories: tuple[str, ...]
    doc: str


@dataclass(frozen=True)
class EventTopic:
    """One event topic: its kinds and value fields in file order."""

    name: str
    doc: str
    kinds: tuple[Kind, ...]
    fields: tuple[Field, ...]
    deduplicate: bool = True

    @cached_property
    def kind_index(self) -> Mapping[str, int]:
        """Kind name -> index in this topic."""
        return MappingProxyType({kind.name: index for index, kind in enumerate(self.kinds)})

    def field(self, name: str) -> Field | None:
        """The value field of that name, None when there is none."""
        return next((f for f in self.fields if f.name == name), None)


@dataclass(frozen=True)
class Live:
    """When a customer is watched: from a start kind (none: the first event) until an end kind or long silence."""

    start: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    idle_after_ms: int | None = None


@dataclass(frozen=True)
class Eligible:
    """Which live customers are scored."""

    min_tenure_ms: int = 0


@dataclass(frozen=True)
class Label:
    """What is predicted over (T, T + horizon].

    Parameters
    ----------
    type
        cancel: an event of kinds `of`. lapse: a lapse moment, that is `field` + grace not renewed by then.
        inactivity: no event of kinds `of`.
    of
        Kinds; for lapse those that carry `field`.
    horizon_ms
        Whole days.
    grace_ms
        Lapse only, else 0.
    field
        Lapse only: the time field that says until when was paid.
    """

    type: LabelType
    of: tuple[str, ...]
    horizon_ms: int
    grace_ms: int = 0
    field: str | None = None


@dataclass(frozen=True)
class Feature:
    """One feature entry; what is not used by its type is empty.

    Parameters
    ----------
    name, type, doc
        As in the file.
    of
        Kinds that count; for open those that open an item.
    field
        Value field of those kinds.
    windows
        Window lengths in days, ascending.
    closed_by
        open: kinds that close an item.
    from_, to
        delay: kinds at its begin and end.
    part
        calendar: which part.
    """

    name: str
    type: FeatureType
    of: tuple[str, ...] = ()
    field: str | None = None
    windows: tuple[int, ...] = ()
    closed_by: tuple[str, ...] = ()
    from_: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    part: CalendarPart | None = None
    doc: str = ""

    def columns(self) -> tuple[str, ...]:
        """Names of its columns: ``name_30d`` for each window of a windowed type, else the name."""
        if self.type in WINDOWED_TYPES:
            return tuple(f"{self.name}_{days}d" for days in self.windows)
        return (self.name,)


@dataclass(frozen=True)
class Alert:
    """One alert rule.

    Parameters
    ----------
    name
        Name of the rule.
    open_above
        Score at which it opens; None stands for "threshold", the model's own.
    close_below
        Share of `open_above` under which it closes.
    cool_down_ms
        After closing, no new alert for this long.
    reasons
        How many reasons an alert carries.
    """

    name: str
    open_above: float | None
    close_below: float
    cool_down_ms: int
    reasons: int


@dataclass(frozen=True)
class Watch:
    """How the workload's own data and model are watched.

    Parameters
    ----------
    step_ms
        Length of a summary step in event time.
    psi_threshold, js_threshold
        Distances at which a feature counts as drifted.
    cool_down_ms
        Least time between two retrain signals.
    min_rows
        Fewer rows than this are "too few".
    performance_margin
        AUC may fall this much below the expected interval.
    """

    step_ms: int = 3_600_000
    psi_threshold: float = 0.25
    js_threshold: float = 0.1
    cool_down_ms: int = 2_592_000_000
    min_rows: int = 500
    performance_margin: float = 0.02


@dataclass(frozen=True)
class Workload:
    """A checked workload.

    Parameters
    ----------
    hash
        SHA-256 (hex) of the content that features, label and decisions follow from: comments, docs and sources
        are outside it, the order of topics, kinds and fields is inside.
    text
        The file as read.
    path
        Where it was read from.
    """

    name: str
    doc: str
    timezone: str
    score_every_ms: int
    lateness_ms: int
    forget_after_ms: int
    customer_id_max_bytes: int
    topics: tuple[EventTopic, ...]
    live: Live
    eligible: Eligible
    label: Label
    features: tuple[Feature, ...]
    alerts: tuple[Alert, ...]
    watch: Watch
    sources: tuple[Source, ...]
    text: str = field(repr=False)
    hash: str
    path: str = field(compare=False)

    @cached_property
    def kind_index(self) -> Mapping[str, int]:
        """Kind name -> global index, topics and kinds in file order."""
        names = [kind.name for topic in self.topics for kind in topic.kinds]
        return MappingProxyType({name: index for index, name in enumerate(names)})

    @cached_property
    def topic_of_kind(self) -> Mapping[str, EventTopic]:
        """Kind name -> its topic."""
        return MappingProxyType({kind.name: topic for topic in self.topics for kind in topic.kinds})

    def topic(self, name: str) -> EventTopic:
        """The event topic of that name.

        Raises
        ------
        WorkloadError
            When there is none.
        """
        for topic in self.topics:
            if topic.name == name:
                return topic
        allowed = ", ".join(topic.name for topic in self.topics)
        raise WorkloadError(self.path, None, f"there is no event topic {name!r}; there are {allowed}")

    def columns(self) -> tuple[str, ...]:
        """Feature column names in order, windows expanded."""
        return tuple(column for feature in self.features for column in feature.columns())


def builtin_workloads() -> tuple[str, ...]:
    """Names of the workloads that come with driftline."""
    return tuple(sorted(path.stem for path in BUILTIN_DIR.glob("*.toml")))


def load_workload(name_or_path: str | Path) -> Workload:
    """Read and check a workload.

    Parameters
    ----------
    name_or_path
        Name of a built-in workload, or a path to a TOML file.

    Raises
    ------
    WorkloadError
        With file, line, the wrong value and what is allowed.

    Examples
    --------
    >>> load_workload("subscription_churn").columns()[:2]
    ('logins_7d', 'logins_30d')
    """
    from schemas.workload_parse import parse_workload  # late: the parser builds the classes above

    path = _locate(name_or_path)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as cause:
        raise WorkloadError(path, None, f"cannot be read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise WorkloadError(path, None, f"is not UTF-8 text: {cause.reason} at byte {cause.start}") from cause
    return parse_workload(text, path)


def _locate(name_or_path: str | Path) -> Path:
    names = builtin_workloads()
    if str(name_or_path) in names:
        return BUILTIN_DIR / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if not path.is_file():
        raise WorkloadError(path, None, f"is no file and no built-in workload; built in are {', '.join(names)}")
    return path
