"""``driftline ladder``: one JSON object, one page, and one clear line for what cannot be done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from offline.ladder.progress_bar import ProgressLines
from offline.ladder_cli import ladder
from schemas.errors import DriftlineError
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload


@pytest.fixture(scope="module")
def home(workload: Workload, company: Any, fill: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ladder")
    fill(Lake(Settings(home=made).lake_dir), workload, company(workload, n_customers=250, n_days=170))
    return made


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(ladder, list(arguments), env={"DRIFTLINE_HOME": str(home)})


def told(result: Result) -> str:
    """The one line that the front door prints."""
    assert isinstance(result.exception, DriftlineError), result.output
    line = str(result.exception)
    assert "\n" not in line
    return line


def test_it_prints_one_json_object_and_writes_a_page(home: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "ladder.html"
    result = run(home, "--models", "logistic", "--no-curve", "--event-rows", "2000", "--json", "--html", str(page))
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [step["name"] for step in found["steps"]] == ["prior", "rule", "logistic"]
    assert found["learning_curve"] is None
    assert found["workload"] == "subscription_churn"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_it_prints_a_table_and_takes_cut_offs_of_the_users_own(home: Path) -> None:
    days = ["--cutoffs", "2024-01-20,2024-02-22", "--test-cutoffs", "2024-04-01", "--no-curve", "--models", "tree"]
    result = run(home, *days)
    assert result.exit_code == 0, result.output
    assert "tested on 2024-04-01, an embargo of 30 days later" in result.stdout
    assert "decision tree: " in result.stdout


def test_what_cannot_be_done_is_told_in_one_line(home: Path, tmp_path: Path) -> None:
    assert told(run(home, "--models", "logistic,boost")).startswith(
        "--models: no step 'boost' on the ladder; there are"
    )
    assert "holds no events of this workload" in told(run(tmp_path))
    assert "history too short" in told(run(home, "--until", "2024-02-01"))
    late = ["--cutoffs", "2024-01-20,2024-02-22", "--test-cutoffs", "2024-05-27", "--models", "tree"]
    assert "no matured labels to test on" in told(run(home, *late))
    assert "is not a date" in told(run(home, "--until", "soon"))


def test_elsewhere_than_on_a_terminal_a_line_is_said_now_and_then() -> None:
    now, said = [0.0], list[str]()
    lines = ProgressLines(lambda: now[0], said.append)
    lines.begin(4)
    for second, what in ((1.0, "a"), (11.0, "b"), (12.0, "c"), (30.0, "d")):
        now[0] = second
        lines.advance(what)
    assert said == ["1 of 4: b", "3 of 4: d"]
