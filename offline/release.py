"""Releases: a record that says from which event day on a model scores, never a day that has begun.

The stream's workers read the topic; the model itself goes as files. `rollback` is another release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from offline.cutoffs import date_text
from offline.errors import ReleaseError
from offline.registry import Registry
from offline.release_log import append_release
from offline.topic_reader import read_records
from offline.topic_writer import publish
from schemas.bundle import Bundle
from schemas.codec import Codec
from schemas.durations import DAY_MS
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topics import topic_for
from schemas.workload import Workload

NO_CLOCK_DAY = -1


@dataclass(frozen=True)
class Released:
    """A release as published.

    Parameters
    ----------
    activate_day
        First day it scores, days since the epoch.
    clock_day
        Latest day any partition's clock has reached; -1 when there is no clock record yet.
    """

    version: str
    bundle_id: str
    activate_day: int
    clock_day: int
    status: Literal["release", "rollback"]


def clock_days(settings: Settings, workload: Workload) -> dict[int, int]:
    """Partition -> the latest day its clock has reached; partitions without a clock record are left out."""
    topic = topic_for("clock", workload, settings)
    days: dict[int, int] = {}
    for record in read_records(settings, topic, Codec(FileRegistry.fixed())):
        days[record["_partition"]] = max(days.get(record["_partition"], NO_CLOCK_DAY), record["day"])
    return days


def past_releases(settings: Settings, workload: Workload) -> list[dict[str, Any]]:
    """Release records in the order of their log."""
    topic = topic_for("model-releases", workload, settings)
    return read_records(settings, topic, Codec(FileRegistry.fixed()))


def release(
    settings: Settings,
    workload: Workload,
    version: str,
    activate_day: int | None = None,
    *,
    force: bool = False,
    signal_id: str | None = None,
    status: Literal["release", "rollback"] = "release",
    forced: Sequence[str] = (),
) -> Released:
    """Publish a release and make the version the champion once the broker has it.

    Parameters
    ----------
    version
        Version or alias; its bundle is verified first.
    activate_day
        First day it scores; None takes the next tick, or day 0 when no clock has run yet.
    force
        Release a bundle of another workload hash than the current one, or one whose evaluation shows no skill.
    forced
        Names of further gates that are closed and overruled; all of them go into the release log.

    Raises
    ------
    ReleaseError
        When the day has begun in some partition, or a gate is closed.
    """
    registry = Registry.of(settings, workload.name)
    bundle = registry.load(version)
    manifest = bundle.manifest
    closed = _closed_gates(workload, bundle)
    if closed and not force:
        raise ReleaseError(manifest.version, f"{next(iter(closed.values()))}; --force releases it anyway")
    latest = max(clock_days(settings, workload).values(), default=NO_CLOCK_DAY)
    day = latest + 1 if activate_day is None else activate_day
    if day <= latest:
        raise ReleaseError(
            manifest.version,
            f"{date_text(day)} has begun (the clock stands at {date_text(latest)}); "
            f"the first day allowed is {date_text(latest + 1)}",
        )
    record = {
        "event_id": f"{manifest.version}:{day}:{status}",
        "version": manifest.version,
        "bundle_id": manifest.bundle_id,
        "path": f"{workload.name}/{manifest.version}",
        "activate_day": day,
        "status": status,
        "signal_id": signal_id,
        "released_as_of_ms": max(latest, 0) * DAY_MS,
    }
    topic = topic_for("model-releases", workload, settings)
    publish(settings, topic, Codec(FileRegistry.fixed()), f"{manifest.version}:{day}", record)
    registry.set_alias("champion", manifest.version)
    overruled = sorted({*closed, *forced}) if status == "release" else []
    append_release(registry, record | {"forced": overruled})
    return Released(manifest.version, manifest.bundle_id, day, latest, status)


def rollback(settings: Settings, workload: Workload) -> Released:
    """Release the version that scored before the champion, at the next tick.

    Raises
    ------
    ReleaseError
        When there is none.
    """
    stack: list[str] = []
    for record in past_releases(settings, workload):
        if record["status"] == "rollback" and record["version"] in stack:
            stack = stack[: stack.index(record["version"]) + 1]
        elif not stack or stack[-1] != record["version"]:
            stack.append(record["version"])
    if len(stack) < 2:
        raise ReleaseError(stack[-1] if stack else "none", "no earlier release to roll back to")
    return release(settings, workload, stack[-2], status="rollback", force=True)


def make_champion(settings: Settings, workload: Workload, version: str, *, force: bool = False) -> Bundle:
    """Make a version the champion of this home; without a record on the broker no worker scores with it.

    Raises
    ------
    ReleaseError
        When a gate is closed and `force` is not given.
    """
    registry = Registry.of(settings, workload.name)
    bundle = registry.load(version)
    if not force:
        check_gates(workload, bundle)
    registry.set_alias("champion", bundle.manifest.version)
    return bundle


def check_gates(workload: Workload, bundle: Bundle) -> None:
    """Refuse a bundle of another workload, or without skill.

    Raises
    ------
    ReleaseError
        With the first gate that is closed.
    """
    for why in _closed_gates(workload, bundle).values():
        raise ReleaseError(bundle.manifest.version, f"{why}; --force releases it anyway")


def _closed_gates(workload: Workload, bundle: Bundle) -> dict[str, str]:
    """Gate -> why it is closed, of those that need no data."""
    closed = {}
    if bundle.manifest.workload_hash != workload.hash:
        closed["workload"] = "was trained for another version of the workload"
    skill = bundle.json("evaluation.json").get("skill", {})
    if not skill.get("claimed", False):
        closed["skill"] = f"shows no skill on held-out data ({skill.get('text', 'no evaluation')})"
    return closed
