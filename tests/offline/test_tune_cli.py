"""`driftline tune` and `driftline value` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from driftline.cli import cli
from offline.tune_cli import tune
from offline.value_cli import value
from schemas.errors import DriftlineError
from schemas.lake import Lake
from schemas.workload import Workload


@pytest.mark.parametrize(("command", "name"), [(tune, "tune"), (value, "value")])
def test_help_shows_an_example(command: Any, name: str) -> None:
    done = CliRunner().invoke(command, ["--help"], prog_name=f"driftline {name}")
    assert done.exit_code == 0
    assert f"\n    driftline {name}" in done.output


@pytest.mark.parametrize("command", [tune, value])
def test_an_empty_lake_is_one_line(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    with pytest.raises(DriftlineError, match="holds no events of this workload"):
        CliRunner().invoke(command, [], catch_exceptions=False)


def test_tune_then_train_by_its_parameters(
    workload: Workload, company: Any, fill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    fill(Lake(tmp_path / "lake"), workload, company(workload, n_customers=200, n_days=220))
    runner, data = CliRunner(), ["--event-rows", "1000", "--until", "2024-07-10"]
    common = ["--method", "random", "--folds", "2", *data]
    first = runner.invoke(tune, ["--trials", "2", "--html", *common], catch_exceptions=False)
    assert first.exit_code == 0
    assert "parameter" in first.stdout
    assert Path(first.stdout.splitlines()[-1]).read_text().startswith("<!doctype html>")
    assert "trial 2 of 2: best log loss" in first.stderr
    again = runner.invoke(tune, ["--trials", "3", "--json", *common], catch_exceptions=False)
    assert "2 trials are done" in again.stderr
    found = json.loads(again.stdout)
    assert (found["n_trials"], found["best"]["by_fold"] != []) == (3, True)
    assert found["gain"]["expected"].keys() == {"value", "low", "high"}
    trained = runner.invoke(cli, ["train", "--json", "--params", "latest", *data])
    assert trained.exit_code == 0, trained.output
    assert json.loads(trained.stdout)["training"]["params"]["origin"] == found["study"]


def test_train_by_parameters_that_are_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    done = CliRunner().invoke(cli, ["train", "--params", "latest"])
    assert done.exit_code == 2
    assert "run `driftline tune` first" in done.stderr
