"""``driftline profile`` as a user runs it: one page, short lines, JSON, and one clear line for bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from offline.profile import profile_page
from offline.profile_cli import profile
from schemas.errors import DriftlineError
from schemas.lake import Lake
from schemas.workload import Workload


@pytest.fixture(scope="module")
def filled(workload: Workload, company: Any, fill: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    fill(Lake(home / "lake"), workload, company(workload, 250, 130))
    return home


@pytest.fixture
def home(filled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DRIFTLINE_HOME", str(filled))
    return filled


@pytest.fixture(autouse=True)
def _few_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_page, "MAX_PANELS", 4)


def test_a_page_that_needs_nothing_else_and_json_that_counts_what_is_there(
    home: Path, workload: Workload, company: Any
) -> None:
    done = CliRunner().invoke(profile, ["--json", "--cutoffs", "2024-02-13,2024-03-12"], catch_exceptions=False)
    assert done.exit_code == 0
    told, batches = json.loads(done.stdout), company(workload, 250, 130)
    assert told["n_events"] == sum(map(len, batches))
    assert told["n_customers"] == 250
    cancels = sum(int((b.kind == b_kind).sum()) for b in batches if b.topic == "billing" for b_kind in [5])
    assert next(kind["n"] for kind in told["kinds"] if kind["kind"] == "cancel") == cancels
    assert [rate["name"] for rate in told["label"]["by_cutoff"]] == ["2024-02-13", "2024-03-12"]
    assert told["label"]["n_left"] == round(sum(r["rate"] * r["n"] for r in told["label"]["by_cutoff"]))
    assert len(told["features"]) == len(workload.columns())
    page = (home / "reports" / "profile-subscription_churn.html").read_text()
    assert told["html"].endswith("profile-subscription_churn.html")
    for heading in ("Summary", "Leak suspects", "Events", "Churn", "Features", "Correlation", "Missing values"):
        assert re.search(rf"<h2[^>]*>{heading}</h2>", page)
    assert page.count("<svg") == 4 + 4 + 1  # panels, then days, churn twice, correlation, and what is missing
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    assert len(page) < 5_000_000


def test_the_terminal_tells_the_same_in_a_few_lines(home: Path) -> None:
    shown = CliRunner().invoke(profile, ["--cutoffs", "2024-03-12", "--html", str(home / "x.html")])
    assert shown.exit_code == 0
    assert "Nothing looks like a leak" in shown.stdout
    assert "payment_failures_30d" in shown.stdout
    assert len(shown.stdout.splitlines()) < 45
    assert (home / "x.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--until", "2023-12-30"], "history too short"),
        (["--until", "soon"], "'soon' is not a date"),
        (["--cutoffs", "2030-01-01"], "is not matured"),
        (["--cutoffs", "2023-12-11"], "no labelled row at 1 cut-offs"),
    ],
)
def test_what_cannot_be_profiled_is_one_clear_line(home: Path, arguments: list[str], line: str) -> None:
    done = CliRunner().invoke(profile, arguments)
    assert isinstance(done.exception, DriftlineError)
    assert line in str(done.exception)
    assert "\n" not in str(done.exception)


def test_an_empty_lake_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    done = CliRunner().invoke(profile, [])
    assert "holds no events of this workload" in str(done.exception)


def test_a_company_in_which_nobody_ever_left_has_a_page_too(
    workload: Workload, company: Any, fill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    stayed = [b.take(b.kind != 5) if b.topic == "billing" else b for b in company(workload, 60, 130)]
    fill(Lake(tmp_path / "lake"), workload, [batch for batch in stayed if len(batch)])
    done = CliRunner().invoke(profile, ["--json", "--cutoffs", "2024-03-12"], catch_exceptions=False)
    told = json.loads(done.stdout)
    assert told["label"]["n_left"] == 0
    assert told["suspects"] == []
    assert (tmp_path / "reports" / "profile-subscription_churn.html").is_file()
