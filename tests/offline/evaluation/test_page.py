"""The page of an evaluation: whole, self-contained, the same bytes again; the terminal's lines say the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offline.costs import Costs
from offline.evaluation.findings import Questions, find_out
from offline.evaluation.page import evaluation_page
from offline.evaluation.scored import Scored
from offline.evaluation.slicing import by_feature, slicings
from offline.evaluation.terminal import evaluation_summary
from tests.offline.evaluation.rows import contributions, made_rows

COSTS = Costs(1, 10, 0.3, 150, currency="EUR")
SHORT: dict[str, Any] = {
    "test": ["2024-10-04", "2024-10-11"],
    "skill": {"claimed": True, "text": "AUC 0.8"},
    "rows": {kind: {"log_loss_prior": 0.4} for kind in ("tick", "event", "urgent")},
}


def _found(rows: Scored, **questions: Any) -> dict[str, Any]:
    return SHORT | find_out(rows, contributions, "key", Questions(**questions))


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    rows = made_rows(3_000)
    mixed = replace(rows, kind=(np.arange(3_000) % 7 == 0).astype(np.uint8))
    ticks = mixed.ticks
    return _found(mixed, slicings=slicings(ticks), protected={"plan": by_feature(ticks, "plan")}, costs=COSTS)


@pytest.fixture(scope="module")
def html(found: dict[str, Any]) -> str:
    return evaluation_page("Shop: evaluation", found).html()


def test_every_section_is_there_and_nothing_is_fetched(html: str) -> None:
    for heading in ("Figures", "Ranking", "Alarm", "Calibration", "Profit", "Slices", "Fairness", "Errors"):
        assert f">{heading}</h2>" in html
    assert html.count("<svg") == 8
    assert "<script" not in html
    assert 'src="http' not in html
    assert "customer-" not in html


def test_the_same_findings_are_the_same_bytes(found: dict[str, Any], html: str) -> None:
    assert evaluation_page("Shop: evaluation", found).html() == html


def test_findings_are_json_without_nan(found: dict[str, Any]) -> None:
    again = json.loads(json.dumps(found, allow_nan=False))
    assert {
        "metrics",
        "curves",
        "gains",
        "calibration",
        "calibrators",
        "profit",
        "slices",
        "fairness",
        "errors",
    } <= set(again)
    tick = again["metrics"]["tick"]
    counts = tick["at_threshold"]["counts"]
    assert sum(counts.values()) == tick["n"]
    assert counts["true_positive"] + counts["false_negative"] == tick["n_positive"]


def test_the_terminal_says_the_most_important_in_a_few_lines(found: dict[str, Any]) -> None:
    lines = evaluation_summary(found)
    assert len(lines) <= 8
    assert lines[0].startswith("At the threshold 0.200: ")
    assert any(line.startswith("Profit per 1,000 customers: model at its threshold ") for line in lines)
    assert any(line.startswith("Fairness by plan: ") for line in lines)


@pytest.mark.parametrize("case", ["one class", "few rows", "nothing flagged"])
def test_poor_rows_still_make_a_page(case: str) -> None:
    rows = made_rows(400)
    if case == "one class":
        rows = replace(rows, y=np.zeros(400))
    elif case == "few rows":
        rows = made_rows(6)
    else:
        rows = replace(rows, threshold=np.full(400, 1.0), probability=np.full(400, 0.1))
    protected = {"plan": by_feature(rows, "plan")}
    poor = _found(rows, slicings=slicings(rows), protected=protected, costs=COSTS)
    json.dumps(poor, allow_nan=False)
    assert "</html>" in evaluation_page("Poor", poor).html()
    assert evaluation_summary(poor)
