"""A version as a run and a registered model of MLflow. The only module that touches mlflow.

What is pushed are the bytes that were verified. Nothing is read back: the registry of record is `offline.registry`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from offline.errors import OfflineError
from schemas.bundle import MANIFEST, Bundle

BUNDLE_ID = "driftline.bundle_id"
FOLDER = "bundle"


@dataclass(frozen=True)
class Pushed:
    """What MLflow holds now.

    Parameters
    ----------
    was_there
        The same bundle had been pushed before; nothing was written.
    """

    version: str
    model: str
    model_version: str
    run_id: str
    was_there: bool

    def as_json(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        return asdict(self)


def push(bundle: Bundle, tracking_uri: str, artifacts_dir: Path | None, aliases: tuple[str, ...] = ()) -> Pushed:
    """Log parameters, metrics and files of a version and register it.

    Parameters
    ----------
    tracking_uri
        A database (``sqlite:///mlflow.db``) or a server.
    artifacts_dir
        Where the files of a new experiment go; None leaves it to the server.
    aliases
        Of the version, set on the registered model, too.

    Raises
    ------
    OfflineError
        When MLflow cannot be reached or refuses.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(tracking_uri, tracking_uri)
        name = f"driftline.{bundle.manifest.workload}"
        found = _registered(client, name, bundle)
        pushed = found or _push(client, name, bundle, artifacts_dir)
        for alias in aliases:
            client.set_registered_model_alias(name, alias, pushed.model_version)
    except (MlflowException, OSError, ImportError) as cause:
        raise OfflineError(f"mlflow at {tracking_uri.split('@')[-1]}: {' '.join(str(cause).split())[:300]}") from cause
    return pushed


def _registered(client: Any, name: str, bundle: Bundle) -> Pushed | None:
    """The model version that holds this very version already."""
    for found in client.search_model_versions(f"name='{name}'"):
        same = found.tags.get(BUNDLE_ID) == bundle.manifest.bundle_id
        if same and found.tags.get("driftline.version") == bundle.manifest.version:
            return Pushed(bundle.manifest.version, name, str(found.version), found.run_id, was_there=True)
    return None


def _push(client: Any, name: str, bundle: Bundle, artifacts_dir: Path | None) -> Pushed:
    manifest, evaluation = bundle.manifest, bundle.json("evaluation.json")
    tags = {
        BUNDLE_ID: manifest.bundle_id,
        "driftline.version": manifest.version,
        "driftline.workload_hash": manifest.workload_hash,
        "driftline.git_revision": manifest.git_revision,
    }
    run = client.create_run(_experiment(client, name, artifacts_dir), run_name=manifest.version, tags=tags)
    run_id = str(run.info.run_id)
    for key, value in _params(bundle, evaluation):
        client.log_param(run_id, key, value)
    for key, number in flat_numbers(evaluation.get("rows", {})):
        client.log_metric(run_id, key, number)
    with tempfile.TemporaryDirectory() as folder:
        for file, data in {**bundle.files, MANIFEST: manifest.to_json()}.items():
            (Path(folder) / file).write_bytes(data)
        client.log_artifacts(run_id, folder, FOLDER)
    client.set_terminated(run_id)
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)
    made = client.create_model_version(name, f"{run.info.artifact_uri}/{FOLDER}", run_id, tags=tags)
    return Pushed(manifest.version, name, str(made.version), run_id, was_there=False)


def _experiment(client: Any, name: str, artifacts_dir: Path | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    location = None if artifacts_dir is None else (artifacts_dir.resolve() / name).as_uri()
    return str(client.create_experiment(name, artifact_location=location))


def _params(bundle: Bundle, evaluation: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    training, window = evaluation.get("training", {}), bundle.manifest.data_window
    for name in ("first_day", "known_until_day", "n_events", "calibration_from", "embargo_days"):
        if name in window:
            yield f"window.{name}", window[name]
    for name in ("n_rows", "n_positive", "n_rounds", "recipe"):
        if name in training:
            yield f"training.{name}", training[name]
    for name, value in training.get("options", {}).items():
        yield f"options.{name}", value


def flat_numbers(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """(dotted name, number) of every number in nested tables; None and text are left out.

    Examples
    --------
    >>> list(flat_numbers({"tick": {"n": 3, "roc_auc": {"value": 0.5, "low": None}}}))
    [('tick.n', 3.0), ('tick.roc_auc.value', 0.5)]
    """
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from flat_numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", float(value)
