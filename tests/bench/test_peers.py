"""The other engines' side of the benchmark: what can be said without running them."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.peers.agreement import compare_prefix, event_scores
from bench.peers.engines import TITLES
from bench.peers.environments import HERE
from bench.peers.picture import LEFT, picture_of
from bench.peers.python_run import MODULES
from bench.peers.results import markdown
from bench.run import Run


def row(rate: float) -> dict[str, Any]:
    spread = {"median": rate, "min": 0.9 * rate, "max": 1.1 * rate}
    names = ("events_per_s", "events_per_cpu_s", "rows_scored_per_s", "rss_mb")
    return {"events": 1000} | dict.fromkeys(names, spread)


@pytest.fixture
def found() -> dict[str, Any]:
    part = {"engines": {"ours": row(100_000.0), "faust": row(1_000.0)}, "ratios": {}, "agreements": {}}
    return {
        "engine": "a broker", "date": "2026-01-01", "events": 1000, "customers": 100, "runs": 3, "machine": {},
        "keys": {"uniform": part, "zipf": part}, "missing": {"quix": "no wheel"},
    }  # fmt: skip


def test_every_python_engine_pins_its_versions_and_names_no_address() -> None:
    for engine in MODULES:
        for line in (HERE / "requirements" / f"{engine}.txt").read_text().splitlines():
            assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line), (engine, line)


def test_a_bar_is_longer_by_the_logarithm_of_the_rate(found: dict[str, Any]) -> None:
    tree = ElementTree.fromstring(picture_of(found))
    widths = [float(bar.get("width", "0")) for bar in tree.iter() if bar.get("x") == str(LEFT) and bar.get("width")]
    assert len(widths) == 4
    decade = (860 - LEFT - 110) / 4  # of an axis from 100 to 1,000,000
    assert widths[0] - widths[2] == pytest.approx(2 * decade, abs=0.2)


def test_the_table_names_every_engine_and_those_left_out(found: dict[str, Any]) -> None:
    text = markdown(found, "picture.svg")
    assert all(TITLES[name] in text for name in ("ours", "faust", "quix"))
    assert "no wheel" in text


def test_a_prefix_agrees_where_the_same_rows_have_the_same_scores() -> None:
    ours = event_scores({"a": {"customer_id": "C1", "as_of_ms": 5, "row_kind": "event", "score": 0.25}})

    def run(score: float, n_rows: int) -> Run:
        return Run("faust", 10, n_rows, 1.0, 1.0, 1.0, {"n_due": 100, "scores": {"C1@5/1": score, "C2@7/2": 0.5}})

    assert compare_prefix(ours, run(0.25, 98)).is_full
    assert not compare_prefix(ours, run(0.3, 98)).is_full
    assert not compare_prefix(ours, run(0.25, 90)).is_full
