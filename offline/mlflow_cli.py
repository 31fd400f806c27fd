"""``driftline mlflow push``: a version into MLflow's tracking and model registry."""

from __future__ import annotations

import os
from pathlib import Path

import click

from offline.cli import _examples, _print_json, _start, json_option, workload_option
from offline.passing import tell


@click.group()
def mlflow() -> None:
    """MLflow beside the own registry (extra mlflow)."""


@mlflow.command(epilog=_examples("driftline mlflow push v0001 --tracking-uri sqlite:///mlflow.db"))
@click.argument("version")
@workload_option
@click.option("--tracking-uri", "uri", metavar="URI", required=True, help="A database, or the address of a server.")
@click.option(
    "--artifacts",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the files of a new experiment go; default DRIFTLINE_HOME/mlflow, with a server what it says.",
)
@json_option
def push(version: str, name: str | None, uri: str, artifacts: Path | None, as_json: bool) -> None:
    """Log a version's parameters, metrics and files, and register it under driftline.<workload>.

    A version that is there already is not written again; aliases follow in any case. MLflow's telemetry is off.
    """
    from offline.errors import OfflineError
    from offline.extras import check_extra
    from offline.registry import ALIASES, Registry
    from offline.runs import recorded

    check_extra("mlflow", "pushing to MLflow")
    if "://" not in uri or uri.startswith("file:"):
        raise OfflineError(
            f"--tracking-uri {uri}: MLflow keeps no files any more; give sqlite:///mlflow.db or a server"
        )
    _quieten()
    settings, workload = _start(name)
    is_server = uri.startswith(("http://", "https://", "databricks"))
    folder = artifacts or (None if is_server else settings.home / "mlflow")
    with recorded(settings, "mlflow push", {"version": version, "tracking_uri": uri}) as run:
        from offline.mlflow_adapter import push as push_bundle

        registry = Registry.of(settings, workload.name)
        bundle = registry.load(version)
        aliases = tuple(alias for alias in ALIASES if registry.alias(alias) == bundle.manifest.version)
        tell("talking to MLflow")
        pushed = push_bundle(bundle, uri, folder, aliases)
        run.inputs |= {"version": pushed.version, "bundle_id": bundle.manifest.bundle_id}
        run.results |= {"model": pushed.model, "model_version": pushed.model_version}
    if as_json:
        _print_json(pushed.as_json())
    else:
        there = "was there already as" if pushed.was_there else "is"
        click.echo(f"{pushed.version} {there} {pushed.model} version {pushed.model_version}, run {pushed.run_id}")


def _quieten() -> None:
    """No telemetry and no chatter; both are read while mlflow is imported."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
