"""Every run leaves its record, however it ends, and no secret in it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from driftline import cli as front
from driftline.cli import Entry, cli
from offline.errors import LabelError
from offline.provenance import git_revision
from offline.runs import load_runs, recorded
from schemas.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def test_a_run_says_what_went_in_and_what_came_out(home: Settings) -> None:
    with recorded(home, "train", {"seed": 7, "cutoffs": (1, 2)}) as run:
        run.inputs["data_window"] = {"n_events": 3}
        (home.home / "models").mkdir(parents=True)
        (home.home / "models" / "a.json").write_bytes(b"{}")
        run.add_output(home.home / "models")
    (found,) = load_runs(home.runs_dir)
    assert found["command"] == "train"
    assert (found["seed"], found["options"]["cutoffs"]) == (7, [1, 2])
    assert found["inputs"] == {"data_window": {"n_events": 3}}
    assert found["outputs"] == {"models/a.json": hashlib.sha256(b"{}").hexdigest()}
    assert found["exit"] == {"code": 0, "error": None}
    assert set(found["libraries"]) == {"numpy", "xgboost", "scikit-learn", "numba"}
    assert found["git_revision"] == git_revision()


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (LabelError("one class only"), 2, "one class only"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("x"), 70, "ZeroDivisionError: x"),
        (SystemExit(1), 1, "SystemExit: 1"),
    ],
)
def test_a_run_that_fails_is_recorded_and_fails_all_the_same(
    home: Settings, error: BaseException, code: int, told: str
) -> None:
    with pytest.raises(type(error)), recorded(home, "evaluate"):
        raise error
    assert load_runs(home.runs_dir)[0]["exit"] == {"code": code, "error": told}


def test_a_password_in_an_address_is_masked(home: Settings) -> None:
    with recorded(home, "score", {"database": "postgresql://me:s3cret@db/churn"}) as run:
        run.inputs["from"] = "sqlite:///churn.db"
    text = next(home.runs_dir.glob("*.json")).read_text()
    assert "s3cret" not in text
    assert "postgresql://me:***@db/churn" in text
    assert "sqlite:///churn.db" in text


def test_what_is_no_record_is_passed_over(home: Settings) -> None:
    home.runs_dir.mkdir(parents=True)
    (home.runs_dir / "a.json").write_text("[]")
    (home.runs_dir / "b.json").write_text("{")
    assert load_runs(home.runs_dir) == []


def test_the_runs_are_listed(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(home.home))
    monkeypatch.setitem(front.COMMANDS, "runs", Entry("offline.runs_cli:runs", ""))
    listed: Any = CliRunner().invoke(cli, ["runs"])
    assert listed.stdout == "no runs yet\n"
    failed = CliRunner().invoke(cli, ["train"])
    assert failed.exit_code == 2
    with recorded(home, "evaluate", {"version": "v0001"}) as run:
        run.results["roc_auc"] = 0.75
    first, second = CliRunner().invoke(cli, ["runs"]).stdout.splitlines()
    assert "exit 2: lake" in first
    assert "evaluate" in second
    assert "roc_auc=0.75" in second
    newest = json.loads(CliRunner().invoke(cli, ["runs", "--json", "--last", "1"]).stdout)["runs"]
    assert [run["command"] for run in newest] == ["evaluate"]
