"""Candidates are entries that parse, that are not there yet, and that real events can fill."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offline.entries import with_features
from offline.features.candidates import Occurrences, candidates
from schemas.events import EventBatch
from schemas.workload import WINDOWS_D, Workload
from tests.workloads import named_workload


def everything(workload: Workload) -> Occurrences:
    """As if every kind and field had many events."""
    found = Occurrences(workload)
    for topic in workload.topics:
        for kind in topic.kinds:
            found.n[kind.name] = 1000
            found.n_values.update({(kind.name, field.name): 1000 for field in topic.fields})
    return found


@pytest.mark.parametrize("name", ["subscription_churn", "lapse", "silence", "random-3", "random-4"])
def test_candidates_parse_beside_the_entries_that_are_there(name: str) -> None:
    workload = named_workload(name)
    found = candidates(workload, everything(workload))
    made = with_features(workload, found[:60])
    assert set(workload.columns()) <= set(made.columns())
    assert len({feature.name for feature in (*workload.features, *found)}) == len(workload.features) + len(found)
    assert not set(workload.columns()) & {column for feature in found for column in feature.columns()}


def test_no_window_that_is_there_is_proposed_again(workload: Workload) -> None:
    found = candidates(workload, everything(workload))
    sessions = next(f for f in found if f.type == "count" and f.of == ("session",))
    assert sessions.windows == tuple(days for days in WINDOWS_D if days not in (1, 7, 14, 30, 60))
    exports = next(f for f in found if f.type == "count" and f.of == ("export",))
    assert exports.windows == tuple(days for days in WINDOWS_D if days not in (7, 30))
    assert not any(f.type == "tenure" for f in found)
    ratios = [(f.windows, f.field) for f in found if f.type == "ratio" and f.of == ("session",)]
    assert ((7, 30), None) not in ratios
    assert {((7, 30), "minutes"), ((14, 60), None)} <= set(ratios)


def test_every_kind_of_feature_is_proposed(workload: Workload) -> None:
    found = candidates(workload, everything(workload))
    assert {f.type for f in found} >= {
        "count", "sum", "mean", "max", "distinct_days", "ratio", "trend", "recency", "last", "delay", "open",
    }  # fmt: skip


def test_a_date_gives_the_days_until_it(workload: Workload) -> None:
    lapse = named_workload("lapse")
    assert not any(f.type == "until" for f in candidates(lapse, everything(lapse)))  # it has one
    without = replace(lapse, features=tuple(f for f in lapse.features if f.type != "until"))
    (until,) = [f for f in candidates(without, everything(without)) if f.type == "until"]
    assert (until.of, until.field) == (("period_paid", "refunded"), "paid_until")


def test_kinds_without_events_and_ends_are_left_out(workload: Workload, company: Any) -> None:
    occurrences = Occurrences(workload)
    for batch in company(workload):
        occurrences.update(batch)
    found = candidates(workload, occurrences)
    used = {kind for f in found for kind in (*f.of, *f.from_, *f.to, *f.closed_by)}
    assert used == {"login", "session", "subscribe", "payment_failed"}


def test_values_are_counted_by_kind(workload: Workload) -> None:
    occurrences, n = Occurrences(workload), 60
    occurrences.update(
        EventBatch(
            topic="billing",
            event_id=[f"e{i}" for i in range(n)],  # type: ignore[arg-type]
            customer_id=["c"] * n,  # type: ignore[arg-type]
            event_time_ms=np.arange(n),
            known_time_ms=np.arange(n),
            kind=np.zeros(n, np.int16),
            values={
                "price": np.full(n, 9.0),
                "amount": np.full(n, np.nan),
                "plan": np.array(["plus", None] * 30, object),
            },
        )
    )
    assert occurrences.has("subscribe", "price")
    assert not occurrences.has("subscribe", "amount")
    assert occurrences.n_values["subscribe", "plan"] == 30
