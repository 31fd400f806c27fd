"""Values equal those of a slow, obvious reading of their definition, point in time on both sides of the cut-off."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from offline.errors import OfflineError
from offline.regression.target import Values, ValueTarget, target_of
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.workload import EventTopic, Field, Kind, Label, Workload, load_workload

START = 20_000 * DAY_MS
HORIZON_MS = 7 * DAY_MS
TOPIC = EventTopic(
    "orders",
    "",
    (Kind("buy", ""), Kind("look", ""), Kind("return", "")),
    (Field("amount", "number", "EUR", 100, (), ""), Field("place", "category", "1", 1, ("web",), "")),
)
OTHER = EventTopic("visits", "", (Kind("visit", ""),), (Field("minutes", "number", "min", 10, (), ""),))


def workload() -> Workload:
    return dataclasses.replace(
        load_workload("subscription_churn"),
        topics=(TOPIC, OTHER),
        features=(),
        label=Label("inactivity", ("buy",), HORIZON_MS),
    )


def history(seed: int) -> EventBatch:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 80))
    event_ms = START + rng.integers(0, 60, n) * DAY_MS // 2
    amount = np.where(rng.random(n) < 0.1, np.nan, np.round(rng.normal(20, 30, n), 2))
    return EventBatch(
        topic="orders",
        event_id=np.array([f"e{i}" for i in range(n)], dtype=object),
        customer_id=np.array([f"c{i}" for i in rng.integers(0, 5, n)], dtype=object),
        event_time_ms=event_ms,
        known_time_ms=event_ms + rng.integers(0, 4, n) * DAY_MS // 2,
        kind=rng.integers(0, 3, n),
        values={"amount": amount},
    ).sort()


@pytest.mark.parametrize("seed", range(25))
def test_values_equal_the_definition(seed: int) -> None:
    batch, target = history(seed), target_of(workload(), ["buy", "return"], "amount")
    values = Values(workload(), target)
    for part in np.array_split(np.arange(len(batch)), 3):
        values.update(batch.take(part))
    rows = [(f"c{c}", START + half * DAY_MS // 2) for c in range(6) for half in range(-4, 70, 3)]
    customer, as_of = np.array([c for c, _ in rows], dtype=object), np.array([t for _, t in rows], dtype=np.int64)
    ahead, behind = [], []
    for c, t in rows:
        mine = [
            (int(batch.event_time_ms[i]), int(batch.known_time_ms[i]), round(100 * float(batch.values["amount"][i])))
            for i in range(len(batch))
            if batch.customer_id[i] == c and batch.kind[i] != 1 and np.isfinite(batch.values["amount"][i])
        ]
        ahead.append(sum(cents for happened, _, cents in mine if t < happened <= t + HORIZON_MS) / 100)
        behind.append(
            sum(cents for happened, known, cents in mine if t - HORIZON_MS < happened <= t and known < t) / 100
        )
    np.testing.assert_array_equal(values.ahead(customer, as_of), ahead)
    np.testing.assert_array_equal(values.behind(customer, as_of), behind)


def test_without_an_event_everybody_is_worth_nothing() -> None:
    values = Values(workload(), target_of(workload(), ["buy"], "amount"))
    rows = np.array(["a"], dtype=object), np.array([START], dtype=np.int64)
    assert (values.ahead(*rows).tolist(), values.behind(*rows).tolist()) == ([0.0], [0.0])


def test_without_a_wish_it_is_the_first_sum_of_the_workload() -> None:
    found = target_of(load_workload("subscription_churn"))
    assert (found.field, found.kinds, found.horizon_ms) == ("minutes", ("session",), 30 * DAY_MS)
    assert str(found) == "sum of minutes over session"


@pytest.mark.parametrize(
    ("kinds", "field", "line"),
    [
        ((), None, "no feature of type sum"),
        (("buy",), None, "give both --of and --field, or neither"),
        ((), "amount", "give both --of and --field, or neither"),
        (("sell",), "amount", "'sell' is no kind of this workload; there are buy, look, return, visit"),
        (("buy",), "place", "'place' is no number that buy carries; there are amount"),
        (("buy", "visit"), "amount", "'amount' is no number that visit carries; there are minutes"),
    ],
)
def test_what_does_not_belong_together_is_told(kinds: tuple[str, ...], field: str | None, line: str) -> None:
    with pytest.raises(OfflineError, match=line):
        target_of(workload(), kinds, field)


def test_a_field_in_two_units_is_not_summed() -> None:
    dollars = dataclasses.replace(OTHER, fields=(Field("amount", "number", "USD", 100, (), ""),))
    with pytest.raises(OfflineError, match="its unit or scale is not the same"):
        target_of(dataclasses.replace(workload(), topics=(TOPIC, dollars)), ["buy", "visit"], "amount")


def test_a_target_says_its_unit() -> None:
    assert target_of(workload(), ["buy"], "amount") == ValueTarget("amount", ("buy",), "EUR", 100, HORIZON_MS)
