"""The versions of a workload and what became of them: trained on what, how good, released when, replaced whom.

From the registry and its release log, and from the topic of releases when a broker is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from offline.cutoffs import date_text
from offline.errors import OfflineError
from offline.registry import ALIASES, Registry
from offline.release import past_releases
from offline.release_log import load_releases
from offline.topic_reader import is_reachable
from schemas.bundle import Bundle
from schemas.errors import BrokerError, BundleError, TopicError
from schemas.settings import Settings
from schemas.signatures import signed_by
from schemas.workload import Workload
from stream_app.model import RULE_VERSION


@dataclass(frozen=True)
class VersionStory:
    """What is told of one version; ``refused`` says why its bundle cannot be used, the rest is then empty."""

    version: str
    aliases: tuple[str, ...]
    refused: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    releases: Sequence[Mapping[str, Any]] = ()

    def as_json(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        return {
            "version": self.version,
            "aliases": list(self.aliases),
            "refused": self.refused,
            **self.facts,
            "releases": [dict(release) for release in self.releases],
        }

    def lines(self) -> list[str]:
        """A line for the version and one for each of its releases."""
        names = f" ({', '.join(self.aliases)})" if self.aliases else ""
        if self.refused is not None:
            head = f"{self.version}{names}  refused: {self.refused}"
        else:
            head = f"{self.version}{names}  {self._facts_line()}"
        return [head, *(f"    {_release_line(release)}" for release in self.releases)]

    def _facts_line(self) -> str:
        facts = self.facts
        auc = facts["roc_auc"]
        told = "-" if auc is None or auc["value"] is None else f"{auc['value']:.3f}"
        if auc is not None and auc["low"] is not None:
            told += f" ({auc['low']:.3f} to {auc['high']:.3f})"
        signed = f", signed by {facts['signed_by'][:16]}" if facts["signed_by"] else ""
        signed += f", the bundle of {facts['same_as']}" if facts["same_as"] else ""
        return f"trained {facts['trained']}, AUC {told}, {'skill' if facts['skill'] else 'no skill'}{signed}"


def tell_history(
    settings: Settings, workload: Workload, *, with_broker: bool = True
) -> tuple[list[VersionStory], bool]:
    """(stories of all versions, oldest first; whether the topic of releases was read)."""
    registry = Registry.of(settings, workload.name)
    records, is_from_topic = _releases(settings, workload, registry, with_broker)
    replaced: dict[str, list[dict[str, Any]]] = {}
    before = RULE_VERSION
    for record in records:
        told = {
            "status": record["status"],
            "scores_from": date_text(record["activate_day"]) if record["activate_day"] else None,
            "replaced": before,
            "signal_id": record.get("signal_id"),
            "forced": list(record.get("forced", ())),
        }
        replaced.setdefault(record["version"], []).append(told)
        before = record["version"]
    versions = [*registry.versions(), *(v for v in replaced if v not in registry.versions())]
    return _stories(registry, versions, replaced), is_from_topic


def _releases(
    settings: Settings, workload: Workload, registry: Registry, with_broker: bool
) -> tuple[list[dict[str, Any]], bool]:
    """Records in their order; those of the topic when it can be read, with what the log knows of them."""
    logged = load_releases(registry)
    if not with_broker or not is_reachable(settings):
        return logged, False
    try:
        records = past_releases(settings, workload)
    except (BrokerError, TopicError):
        return logged, False
    forced = {record["event_id"]: record.get("forced", ()) for record in logged}
    return [record | {"forced": forced.get(record["event_id"], ())} for record in records], True


def _stories(
    registry: Registry, versions: Sequence[str], releases: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[VersionStory]:
    stories, first_of = [], dict[str, str]()
    for version in versions:
        aliases, own = tuple(name for name in ALIASES if registry.alias(name) == version), releases.get(version, ())
        try:
            bundle = registry.load(version)
        except (BundleError, OfflineError) as error:
            stories.append(VersionStory(version, aliases, str(error), releases=own))
            continue
        first = first_of.setdefault(bundle.manifest.bundle_id, version)
        facts = {**_facts(bundle), "same_as": None if first == version else first}
        stories.append(VersionStory(version, aliases, None, facts, own))
    return stories


def _facts(bundle: Bundle) -> dict[str, Any]:
    manifest, evaluation = bundle.manifest, bundle.json("evaluation.json")
    train = manifest.data_window.get("train") or ["-"]
    return {
        "bundle_id": manifest.bundle_id,
        "created_ms": manifest.created_ms,
        "trained": f"{train[0]} to {train[-1]}",
        "known_until_day": manifest.data_window.get("known_until_day"),
        "n_rows": evaluation.get("training", {}).get("n_rows"),
        "roc_auc": evaluation.get("rows", {}).get("tick", {}).get("roc_auc"),
        "skill": bool(evaluation.get("skill", {}).get("claimed", False)),
        "signed_by": signed_by(bundle.path),
        "workload_hash": manifest.workload_hash,
        "git_revision": manifest.git_revision,
    }


def _release_line(release: Mapping[str, Any]) -> str:
    since = release["scores_from"] or "the first day"
    parts = [f"{release['status']}: scores from {since} on, in place of {release['replaced']}"]
    if release["signal_id"]:
        parts.append(f"answers {release['signal_id']}")
    if release["forced"]:
        parts.append(f"FORCED past {', '.join(release['forced'])}")
    return "; ".join(parts)
