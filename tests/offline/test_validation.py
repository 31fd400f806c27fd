"""What is planted is found and counted, nothing else; every event is applied, a duplicate or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offline.errors import EmptyLakeError
from offline.history import read_history
from offline.validation import Finding, Limits, Validation, lake_findings, lake_tables, source_findings, validate
from offline.validation_page import validation_lines, validation_page
from offline.volume_gaps import gap_days
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.lake_table import table_of
from schemas.workload import Workload
from schemas.workload_parse import parse_workload

SHOP = """
[workload]
name = "shop"
lateness = "2d"
[topics.orders]
kinds = { bought = "bought", rated = "gave stars" }
[topics.orders.fields]
amount = { type = "number", unit = "EUR", scale = 100 }
stars = { type = "integer", unit = "1..5" }
plan = { type = "category", categories = ["basic", "plus"] }
[topics.visits]
kinds = { visit = "came by" }
deduplicate = false
[label]
type = "inactivity"
of = ["bought"]
horizon = "30d"
[[feature]]
name = "recency"
type = "recency"
of = ["bought"]
"""
FIRST_DAY = 19_723  # 2024-01-01
Row = dict[str, Any]


@pytest.fixture(scope="module")
def shop() -> Workload:
    return parse_workload(SHOP, "shop.toml")


def orders(n_days: int = 70, a_day: int = 12) -> list[Row]:
    """Orders in good order: every customer of a day buys once, an hour apart."""
    return [
        {
            "event_id": f"{day}-{i}",
            "customer_id": f"c{i}",
            "event_time_ms": (FIRST_DAY + day) * DAY_MS + i * 3_600_000,
            "known_time_ms": (FIRST_DAY + day) * DAY_MS + i * 3_600_000,
            "kind": "bought",
            "amount": float(day + i),
            "stars": None,
            "plan": "basic" if i % 2 else "plus",
        }
        for day in range(n_days)
        for i in range(a_day)
    ]


def batch(workload: Workload, topic: str, rows: list[Row]) -> EventBatch:
    return EventBatch.from_records(workload.topic(topic), sorted(rows, key=lambda row: row["event_time_ms"]))


def validated(workload: Workload, rows: list[Row], limits: Limits | None = None, n_parts: int = 3) -> Validation:
    """The validation of orders that come in some parts of whole days."""
    events = batch(workload, "orders", rows)
    topic, days = workload.topic("orders"), events.event_time_ms // DAY_MS
    cuts = np.linspace(days.min(), days.max() + 1, n_parts + 1)
    masks = [(days >= low) & (days < high) for low, high in pairwise(cuts)]
    tables = [(topic, table_of(topic, events.take(m), 0, np.flatnonzero(m))) for m in masks if m.any()]
    return validate(workload, tables, limits)


def found(validation: Validation, topic: str = "orders") -> dict[tuple[str, str], Finding]:
    return {(one.check, one.about): one for one in validation.findings if one.place == topic}


def test_orders_in_good_order_have_only_their_missing_stars(shop: Workload) -> None:
    validation = validated(shop, orders())
    assert found(validation) == {("missing", "stars"): Finding("orders", "missing", "stars", 840, 840, 0.3)}
    rated = [row | {"kind": "rated", "stars": 5, "event_id": f"r{row['event_id']}"} for row in orders()]
    assert found(validated(shop, orders() + rated)) == {}, "a kind that never carries a field does not miss it"


@pytest.mark.parametrize("n_parts", [1, 5])
def test_what_is_planted_is_counted(shop: Workload, n_parts: int) -> None:
    rows = orders()
    rng = np.random.default_rng(0)
    places = rng.permutation(len(rows))
    plants: dict[str, Callable[[Row], Row]] = {
        "late": lambda row: row | {"known_time_ms": row["known_time_ms"] + 3 * DAY_MS},
        "ahead": lambda row: row | {"known_time_ms": row["known_time_ms"] - 700_000},
        "unseen": lambda row: row | {"plan": "gold"},
        "stars": lambda row: row | {"stars": 6, "kind": "rated"},
        "good stars": lambda row: row | {"stars": 3, "kind": "rated"},
        "no amount": lambda row: row | {"amount": None},
        "huge": lambda row: row | {"amount": 1e12},
        "long": lambda row: row | {"customer_id": "x" * 41},
    }
    n_each = {name: 3 + i for i, name in enumerate(plants)}
    at = 0
    for name, plant in plants.items():
        for place in places[at : at + n_each[name]]:
            rows[place] = plant(rows[place])
        at += n_each[name]
    healthy = [rows[place] for place in places[at : at + 20]]
    twice, nearly = healthy[:7], healthy[7:16]
    rows += twice + [
        row
        | {
            "event_id": f"n{row['event_id']}",
            "event_time_ms": row["event_time_ms"] + 4_000,
            "known_time_ms": row["known_time_ms"] + 4_000,
        }
        for row in nearly
    ]

    validation = validated(shop, rows, n_parts=n_parts)

    counts = {key: one.n for key, one in found(validation).items()}
    assert counts == {
        ("refused", ""): n_each["late"] + n_each["ahead"] + n_each["huge"] + n_each["long"],
        ("duplicates by id", ""): len(twice),
        ("near-duplicates", "5 s"): len(nearly),
        ("missing", "amount"): n_each["no amount"],
        ("category not declared", "plan"): n_each["unseen"],
        ("outside 1..5", "stars"): n_each["stars"],
        ("too large to be kept", "amount"): n_each["huge"],
        ("known later than the workload allows", "lateness_ms"): n_each["late"],
        ("happened more than 10 minutes after it was known", "lateness_ms"): n_each["ahead"],
    }
    (orders_counts, _) = validation.topics
    assert orders_counts.refused == {"too_late": 3, "in_future": 4, "out_of_range": 9, "key_too_long": 10}
    assert orders_counts.n_rows == len(rows)
    assert orders_counts.n_rows == orders_counts.n_accepted + orders_counts.n_refused


def test_days_with_far_fewer_events_than_their_weekday_usually_has_are_gaps(shop: Workload) -> None:
    days = Counter(row["event_time_ms"] // DAY_MS for row in orders())
    rows = [row for row in orders() if row["event_time_ms"] // DAY_MS not in (FIRST_DAY + 30, FIRST_DAY + 31)]
    gap = found(validated(shop, rows))["days with a gap in volume", ""]
    assert (gap.n, gap.n_of, gap.detail) == (2, 70, "2024-01-31, 2024-02-01")
    sundays = {day: n for day, n in days.items() if day % 7 != 3}
    assert gap_days(sundays) == ([], 69), "closed on Sundays, and the last day is one"
    assert gap_days({}) == ([], 0)
    assert gap_days({day: 2 for day in range(50) if day != 30}) == ([], 50), "two a day: silence proves nothing"


def test_limits_decide_and_what_has_none_is_only_told(shop: Workload) -> None:
    rows = orders() + orders()[:20]
    assert [one.check for one in validated(shop, rows, Limits(missing=1.0)).wrong] == ["duplicates by id"]
    lenient = validated(shop, rows, Limits(missing=1.0, duplicates=0.5))
    assert lenient.wrong == ()
    assert lenient.verdict == "in order: nothing is beyond its limit"
    assert not Finding("orders", "near-duplicates", "", 5, 5, None).is_wrong


def test_a_lake_is_validated_as_the_offline_side_reads_it(
    workload: Workload, company: Any, fill: Any, tmp_path: Path
) -> None:
    lake, batches = Lake(tmp_path), company(workload, n_customers=60, n_days=60)
    fill(lake, workload, batches)

    validation = validate(workload, lake_tables(lake, workload))

    read = Counter[str]()
    for one in read_history(lake, workload):
        read[one.topic] += len(one)
    assert {counts.topic.name: counts.n_accepted for counts in validation.topics if counts.n_rows} == read
    assert lake_findings(lake, validation) == []
    next(iter((tmp_path / "usage").glob("event_day=*/*.parquet"))).unlink()
    with pytest.raises(Exception, match="cannot be read"):
        validate(workload, lake_tables(lake, workload))


def test_an_empty_lake_is_one_clear_error(workload: Workload, tmp_path: Path) -> None:
    with pytest.raises(EmptyLakeError, match="run `driftline ingest`"):
        validate(workload, lake_tables(Lake(tmp_path), workload))


def test_sources_are_judged_by_their_rows() -> None:
    source = {"name": "log", "n_rows": 100, "refused": {"bad time": 2, "no customer": 1}, "n_duplicates": 1}
    refused, duplicates = source_findings([source], Limits())
    assert (refused.n, refused.n_of, refused.is_wrong, refused.detail) == (3, 100, True, "2 bad time, 1 no customer")
    assert (duplicates.n, duplicates.is_wrong) == (1, False)
    assert source_findings([source | {"refused": {}, "n_duplicates": 0}], Limits()) == []


def test_page_and_lines_say_the_same(shop: Workload) -> None:
    validation = validated(shop, [row | {"plan": "<b>"} for row in orders()])
    html, lines = validation_page(shop, validation, "files").html(), validation_lines(validation)
    assert lines[0] == "orders: 840 events = 840 applied + 0 duplicates + 0 refused, 2024-01-01 to 2024-03-10"
    assert lines[-1].startswith("not in order: 2 of ")
    assert any(line.startswith("WRONG  orders: category not declared (plan) 840 of 840") for line in lines)
    assert "Not in order: 2 of " in html
    assert "&#39;&lt;b&gt;&#39; 840" in html
    assert "<b>" not in html
    assert html.count("<svg") == 2
