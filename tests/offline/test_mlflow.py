"""A version in MLflow: its numbers, its very bytes, and registered once; SQLite, no server, no telemetry."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from driftline import cli as front
from driftline.cli import Entry, cli
from offline.mlflow_adapter import flat_numbers
from offline.registry import Registry
from schemas.bundle import REQUIRED_FILES, Bundle, write_bundle
from schemas.settings import Settings
from schemas.workload import Workload

EVALUATION = {
    "rows": {"tick": {"n": 900, "roc_auc": {"value": 0.8, "low": 0.7, "high": None}, "text": "x", "is": True}},
    "training": {"n_rows": 5, "recipe": "all rows alike", "options": {"seed": 3}},
}
TWICE = """
import sys
from driftline import cli
from driftline.cli import Entry
cli.COMMANDS["mlflow"] = Entry("offline.mlflow_cli:mlflow", "")
for _ in range(2):
    cli.cli(standalone_mode=False)
telemetry = sys.modules["mlflow.telemetry.client"].get_telemetry_client()
print("telemetry:", telemetry, file=sys.stderr)
"""


@pytest.fixture
def bundle(tmp_path: Path, workload: Workload) -> Bundle:
    files = dict.fromkeys(REQUIRED_FILES, b"{}") | {"evaluation.json": json.dumps(EVALUATION).encode()}
    made = write_bundle(
        tmp_path / "models", files, workload=workload.name, version="v0001", workload_hash=workload.hash,
        data_window={"n_events": 7},
    )  # fmt: skip
    Registry(tmp_path / "models", workload.name).set_alias("champion", "v0001")
    return made


@pytest.mark.slow
def test_a_version_is_logged_and_registered_once(tmp_path: Path, bundle: Bundle) -> None:
    arguments = ["mlflow", "push", "v0001", "--tracking-uri", f"sqlite:///{tmp_path}/m.db", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", TWICE, *arguments],
        env=os.environ | {"DRIFTLINE_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "telemetry: None" in done.stderr
    made, again = (json.loads(text + "}") for text in done.stdout.split("}\n")[:2])
    assert (made["model"], made["model_version"], made["was_there"]) == ("driftline.subscription_churn", "1", False)
    assert again == made | {"was_there": True}
    with sqlite3.connect(tmp_path / "m.db") as database:
        metrics = dict(database.execute("select key, value from latest_metrics"))
        params = dict(database.execute("select key, value from params"))
        aliases = database.execute("select alias, version from registered_model_aliases").fetchall()
    assert metrics == {"tick.n": 900, "tick.roc_auc.value": 0.8, "tick.roc_auc.low": 0.7}
    assert params["options.seed"] == "3"
    assert params["window.n_events"] == "7"
    assert aliases == [("champion", 1)]
    (folder,) = (tmp_path / "mlflow").rglob("bundle")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == dict(bundle.files) | {
        "manifest.json": (bundle.path / "manifest.json").read_bytes()
    }


def test_a_file_store_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(front.COMMANDS, "mlflow", Entry("offline.mlflow_cli:mlflow", ""))
    done = CliRunner().invoke(cli, ["mlflow", "push", "v0001", "--tracking-uri", "./mlruns"])
    assert done.exit_code == 2
    assert "give sqlite:///mlflow.db or a server" in done.stderr
    assert Settings().home.name == ".driftline"


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(front.COMMANDS, "mlflow", Entry("offline.mlflow_cli:mlflow", ""))
    monkeypatch.setattr("offline.extras.find_spec", lambda name: None if name == "alembic" else sys)
    done = CliRunner().invoke(cli, ["mlflow", "push", "v0001", "--tracking-uri", "sqlite:///m.db"])
    assert done.exit_code == 2
    assert "needs alembic, which is not installed; run `pip install 'driftline[mlflow]'`" in done.stderr


def test_only_numbers_become_metrics() -> None:
    assert dict(flat_numbers(EVALUATION["rows"])) == {
        "tick.n": 900.0, "tick.roc_auc.value": 0.8, "tick.roc_auc.low": 0.7,
    }  # fmt: skip
