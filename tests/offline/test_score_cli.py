"""``driftline score`` as a user runs it: what it says, what it refuses, and nothing secret on the way."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from offline.registry import Registry
from offline.score_cli import score
from schemas.errors import DriftlineError
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload
from stream_app.plan import Plan
from tests.lives import tangled_events
from tests.offline.past import FIRST_DAY, write_model

AS_OF = "2025-04-12"


@pytest.fixture(scope="module")
def home(workload: Workload, fill: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    batches = tangled_events(workload, 400, 60, 3)
    fill(Lake(settings.lake_dir), workload, batches)
    write_model(settings, Plan.from_workload(workload), batches, "v0001", 1)
    Registry(settings.models_dir, workload.name).set_alias("champion", "v0001")
    return settings.home


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DRIFTLINE_HOME", str(home))

    def invoke(*arguments: str, **environment: str) -> Result:
        return CliRunner(env=environment).invoke(score, list(arguments))

    return invoke


def test_help_shows_examples_and_the_command_is_light_to_import() -> None:
    assert "\n    driftline score --as-of" in CliRunner().invoke(score, ["--help"]).output
    heavy = "{'pandas', 'pyarrow', 'numba', 'numpy', 'sqlalchemy', 'distributed', 'xgboost'}"
    code = f"import sys, offline.score_cli; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_run_writes_a_file_in_the_home_folder_and_says_where(run: Any, home: Path) -> None:
    done = run("--as-of", AS_OF)
    assert done.exit_code == 0, done.output
    path = home / "scores" / "subscription_churn" / f"{AS_OF}-v0001.parquet"
    n = pq.read_metadata(path).num_rows
    assert n > 5
    assert f"as of {AS_OF}: {n} customers" in done.stdout
    assert str(path) in done.stdout
    assert done.stderr.splitlines() == [f"reading what was known before {AS_OF}", "scoring"]


def test_a_database_is_named_without_its_password(run: Any, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "crm.db") as connection:
        connection.execute("CREATE TABLE customers (id TEXT PRIMARY KEY, risk REAL)")
    connection.close()
    arguments = (
        "--as-of",
        AS_OF,
        "--database-env",
        "CRM_URL",
        "--table",
        "customers",
        "--key",
        "id",
        "--column",
        "risk",
    )
    url = f"sqlite:///file:{tmp_path}/crm.db?uri=true&password=hush"
    first, second = (run(*arguments, "--json", CRM_URL=url) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    made, again = json.loads(first.stdout), json.loads(second.stdout)
    assert made["path"] is None
    assert made["n_customers"] == made["table"]["inserted"] == again["table"]["unchanged"] > 5
    assert made["table"]["column"] == {"added": made["n_customers"], "changed": 0, "missing": 0}
    assert again["table"]["column"] == {"added": 0, "changed": 0, "missing": 0}
    assert "hush" not in first.output + second.output
    with sqlite3.connect(tmp_path / "crm.db") as connection:
        query = "SELECT count(*) FROM customers JOIN churn_scores ON id = customer_id WHERE risk = churn_risk"
        assert connection.execute(query).fetchone() == (made["n_customers"],)
    connection.close()
    assert "unchanged" in run(*arguments, CRM_URL=url).stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "Missing option '--as-of'"),
        (("--as-of", AS_OF, "--table", "x"), "need a database"),
        (("--as-of", AS_OF, "--database", "sqlite://", "--database-env", "X"), "not both"),
        (("--as-of", AS_OF, "--database-env", "NOT_THERE"), "the environment has no variable NOT_THERE"),
        (("--as-of", AS_OF, "--database", "sqlite://", "--update-only"), "give --table, --key and --column"),
        (("--as-of", AS_OF, "--database", "sqlite://", "--key", "id"), "name it with --table"),
        (("--as-of", AS_OF, "--scheduler", "tcp://127.0.0.1:1"), "--scheduler needs --engine dask"),
    ],
)
def test_options_that_do_not_fit_are_told(run: Any, arguments: tuple[str, ...], line: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert line in done.output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("v0009", "--as-of", AS_OF), "no model version 'v0009'"),
        (("--as-of", "soon"), "'soon' is not a date"),
        (("--as-of", "2019-01-01"), "nothing was known before 2019-01-01"),
        (("--as-of", AS_OF, "--database", "me:hush@host"), "--database: is no database URL"),
        (("--as-of", AS_OF, "--database", "sqlite:////proc/nowhere/x.db"), "unable to open database file"),
    ],
)
def test_what_cannot_be_done_is_one_line(run: Any, arguments: tuple[str, ...], line: str) -> None:
    done = run(*arguments)
    assert isinstance(done.exception, DriftlineError), done.output
    assert line in str(done.exception)
    assert "\n" not in str(done.exception)
    assert "hush" not in str(done.exception) + done.output


def test_the_days_of_these_events_are_those_of_the_lake(home: Path) -> None:
    assert Lake(home / "lake").days(["billing"])[0] <= FIRST_DAY + 2  # type: ignore[index]
