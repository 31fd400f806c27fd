"""Training, repetition and evaluation as runs that leave a record: what two commands do, without their options."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from offline.evaluation.run import Asked, evaluate_in_full
from offline.packaging import last_offsets
from offline.passing import Say
from offline.registry import Registry
from offline.repetition import differences, options_of
from offline.runs import recorded
from offline.training_options import TrainingOptions
from offline.training_run import Seen, train_version
from schemas.bundle import Bundle
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload
from schemas.workload_parse import parse_workload

if TYPE_CHECKING:
    from offline.dask_engine import Cluster


def train_recorded(
    settings: Settings,
    workload: Workload,
    options: TrainingOptions,
    created_ms: int | None,
    say: Say,
    like: Bundle | None = None,
    seen: Seen = lambda bundle, training: None,
    cluster: Cluster | None = None,
) -> dict[str, Any]:
    """Train the next version; its evaluation with version, bundle id and path."""
    said = asdict(options) | {"like": None if like is None else like.manifest.version}
    with recorded(settings, "train", said) as run:
        run.inputs["workload"] = {"name": workload.name, "hash": workload.hash}
        bundle = train_version(
            settings, workload, options, created_ms=created_ms, say=say, like=like, seen=seen, cluster=cluster
        )
        manifest = bundle.manifest
        made = {"version": manifest.version, "bundle_id": manifest.bundle_id}
        run.inputs["data_window"] = dict(manifest.data_window)
        run.results |= made
        run.add_output(bundle.path)
    found = {**bundle.json("evaluation.json"), **made, "path": str(bundle.path)}
    if like is not None:
        found["like"] = {"version": like.manifest.version, "differences": differences(bundle, like)}
    return found


def train_like(
    settings: Settings, workload: Workload, version: str, created_ms: int | None, say: Say
) -> dict[str, Any]:
    """Make a version again, from its own workload file, options and data; ``like`` says what differs."""
    pattern = Registry.of(settings, workload.name).load(version)
    frozen = parse_workload(pattern.files["workload.toml"].decode(), pattern.path / "workload.toml")
    return train_recorded(settings, frozen, options_of(pattern), created_ms, say, pattern)


def evaluate_recorded(settings: Settings, workload: Workload, version: str, asked: Asked, say: Say) -> dict[str, Any]:
    """Evaluate a version in full on what has matured since its training."""
    with recorded(settings, "evaluate", {"version": version, **asdict(asked)}) as run:
        run.inputs["workload"] = {"name": workload.name, "hash": workload.hash}
        run.inputs["last_offsets"] = last_offsets(Lake(settings.lake_dir), workload)
        found = evaluate_in_full(settings, workload, version, asked, say)
        run.inputs |= {"version": found["version"], "bundle_id": found["bundle_id"], "test": found["test"]}
        run.results["roc_auc"] = found["rows"].get("tick", {}).get("roc_auc", {}).get("value")
    return found
