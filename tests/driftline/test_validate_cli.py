"""``driftline validate`` and ``driftline lake``: what they print, write and answer with."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from driftline.ingest_cli import ingest
from driftline.validate_cli import validate
from offline.lake_cli import lake
from schemas.errors import DriftlineError

SHOP = """
[workload]
name = "shop"
[topics.orders]
kinds = { bought = "bought" }
[topics.orders.fields]
stars = { type = "integer", unit = "1..5" }
[label]
type = "inactivity"
of = ["bought"]
horizon = "30d"
[[feature]]
name = "recency"
type = "recency"
of = ["bought"]
[[source]]
name = "log"
path = "log.csv"
customer_id = "who"
event_time = "at"
[[source.event]]
kind = "bought"
values = { stars = "stars" }
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "shop.toml").write_text(SHOP)
    lines = [f"c{i % 5},2024-01-{1 + i % 28:02},{1 + i % 5}" for i in range(280)]
    (tmp_path / "log.csv").write_text("\n".join(["who,at,stars", *lines, "c1,soon,1"]))
    return {"DRIFTLINE_HOME": str(tmp_path / "home"), "DRIFTLINE_WORKLOAD": str(tmp_path / "shop.toml")}


def run(command: click.Command, *arguments: str, env: dict[str, str]) -> Result:
    return CliRunner().invoke(command, list(arguments), env=env)


def test_lake_and_files_are_validated_alike(env: dict[str, str], tmp_path: Path) -> None:
    assert run(ingest, "--from-files", env=env).exit_code == 0
    from_lake, from_files = run(validate, env=env), run(validate, "--from-files", "--json", env=env)

    assert (from_lake.exit_code, from_files.exit_code) == (0, 0), from_lake.output
    page = tmp_path / "home" / "reports" / "validation-shop.html"
    lines = from_lake.stdout.splitlines()
    assert lines[0] == "orders: 280 events = 280 applied + 0 duplicates + 0 refused, 2024-01-01 to 2024-01-28"
    assert lines[-2:] == ["in order: nothing is beyond its limit", str(page)]
    found = json.loads(from_files.stdout)
    assert found["topics"]["orders"]["n_applied"] == 280
    assert found["sources"][0]["refused"] == {"bad time": 1}
    assert "<h2" in page.read_text()


def test_beyond_a_limit_the_exit_code_is_one(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("who,at,stars\na,2024-01-01,7\na,2024-01-02,1\n")
    done = run(validate, "--from-files", "--html", str(tmp_path / "page.html"), env=env)
    assert done.exit_code == 1
    assert "WRONG  orders: outside 1..5 (stars) 1 of 2 = 50.00%, limit 1.0%" in done.stdout
    assert (tmp_path / "page.html").is_file()
    lenient = run(validate, "--from-files", "--max-invalid", "0.5", "--html", str(tmp_path / "page.html"), env=env)
    assert lenient.exit_code == 0


def test_refused_rows_lie_below_the_home(env: dict[str, str], tmp_path: Path) -> None:
    done = run(ingest, "--from-files", "--json", env=env)
    quarantine = tmp_path / "home" / "quarantine" / "shop.jsonl"
    content = json.loads(done.stdout)
    assert (content["n_events"], content["quarantine"]) == (280, str(quarantine))
    assert json.loads(quarantine.read_text()) == {
        "source": "log",
        "file": "log.csv",
        "row": 281,
        "reason": "bad time",
        "column": "at",
        "cells": {"who": "c1", "at": "soon", "stars": "1"},
    }


def test_the_lake_is_shown_and_compacted(env: dict[str, str]) -> None:
    run(ingest, "--from-files", env=env)
    shown = run(lake, "show", env=env).stdout.splitlines()
    assert shown[0].endswith("lake, from files (log)")
    assert shown[1].startswith("orders: 280 events in ")
    assert shown[1].endswith(" files, 2024-01-01 to 2024-01-28")
    assert json.loads(run(lake, "compact", "--json", env=env).stdout)["n_events"] == 0
    assert "slices " in run(lake, "compact", env=env).stdout
    again = run(ingest, "--from-files", env=env)
    assert "nothing changed" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [([], "holds no events of this workload"), (["--from-files", "--data", "nowhere"], "there is no such file")],
)
def test_what_cannot_be_told_is_one_line(arguments: list[str], says: str, env: dict[str, str]) -> None:
    done = run(validate, *arguments, env=env)
    assert isinstance(done.exception, DriftlineError)
    assert says in str(done.exception)
    assert "\n" not in str(done.exception)


def test_data_needs_files(env: dict[str, str]) -> None:
    done = run(validate, "--data", ".", env=env)
    assert (done.exit_code, "--data needs --from-files" in done.output) == (2, True)


@pytest.mark.parametrize(
    ("command", "name"), [(validate, "validate"), (lake.commands["compact"], "lake compact"), (ingest, "ingest")]
)
def test_help_has_an_example(command: click.Command, name: str) -> None:
    assert f"\n    driftline {name}" in run(command, "--help", env={}).output
