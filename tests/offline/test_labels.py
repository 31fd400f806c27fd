"""Labels equal those of a slow, obvious reading of their definition."""

import dataclasses

import numpy as np
import pytest

from offline.labels import Outcomes
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.workload import EventTopic, Field, Kind, Label, Workload, load_workload

START = 20_000 * DAY_MS
FIELD = Field("paid_until", "time", "1", 1, (), "paid until")
TOPIC = EventTopic("contract", "", (Kind("pay", ""), Kind("other", ""), Kind("leave", "")), (FIELD,))


def _workload(label: Label) -> Workload:
    return dataclasses.replace(load_workload("subscription_churn"), topics=(TOPIC,), label=label)


def _history(seed: int) -> EventBatch:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    event_ms = START + rng.integers(0, 60, n) * DAY_MS // 2
    paid = event_ms + rng.integers(-10, 40, n) * DAY_MS // 2
    return EventBatch(
        topic="contract",
        event_id=np.array([f"e{i}" for i in range(n)], dtype=object),
        customer_id=np.array([f"c{i}" for i in rng.integers(0, 5, n)], dtype=object),
        event_time_ms=event_ms,
        known_time_ms=event_ms + rng.integers(0, 4, n) * DAY_MS // 2,
        kind=rng.integers(0, 3, n),
        values={"paid_until": np.where(rng.random(n) < 0.1, np.nan, paid.astype(np.float64))},
    ).sort()


def _oracle(label: Label, batch: EventBatch, customer: str, t: int, known_until_ms: int) -> float:
    """The definition, event by event."""
    end = t + label.horizon_ms
    if end > known_until_ms:
        return np.nan
    events = [
        (int(batch.event_time_ms[i]), int(batch.known_time_ms[i]), float(batch.values["paid_until"][i]))
        for i in range(len(batch))
        if batch.customer_id[i] == customer and TOPIC.kinds[batch.kind[i]].name in label.of
    ]
    if label.type == "cancel":
        if any(happened <= t <= known for happened, known, _ in events):
            return np.nan
        return float(any(t < happened <= end for happened, _, _ in events))
    if label.type == "inactivity":
        return float(not any(t < happened <= end for happened, _, _ in events))
    for happened, _, paid in events:
        lapse = paid + label.grace_ms
        if np.isfinite(paid) and t < lapse <= end and happened <= lapse:
            paid_by_then = [p for when, _, p in events if when <= lapse and np.isfinite(p)]
            if max(paid_by_then) == paid:
                return 1.0
    return 0.0


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize(
    "label",
    [
        Label("cancel", ("leave",), 7 * DAY_MS),
        Label("inactivity", ("pay", "other"), 7 * DAY_MS),
        Label("lapse", ("pay",), 7 * DAY_MS, grace_ms=3 * DAY_MS, field="paid_until"),
    ],
    ids=lambda label: label.type,
)
def test_labels_equal_the_definition(label: Label, seed: int) -> None:
    batch = _history(seed)
    outcomes = Outcomes(_workload(label))
    for part in np.array_split(np.arange(len(batch)), 3):  # in pieces, as a reader hands them over
        outcomes.update(batch.take(part))
    until = START + 25 * DAY_MS
    rows = [(f"c{c}", START + half * DAY_MS // 2) for c in range(6) for half in range(-4, 60)]
    customers = np.array([c for c, _ in rows], dtype=object)
    found = outcomes.labels(customers, np.array([t for _, t in rows], dtype=np.int64), until)
    expected = [_oracle(label, batch, c, t, until) for c, t in rows]
    np.testing.assert_array_equal(found, expected)


def test_without_an_outcome_event_nobody_cancelled_and_everybody_was_inactive() -> None:
    rows = np.array(["a"], dtype=object), np.array([START], dtype=np.int64)
    for label, expected in ((Label("cancel", ("leave",), DAY_MS), 0.0), (Label("inactivity", ("pay",), DAY_MS), 1.0)):
        assert Outcomes(_workload(label)).labels(*rows, START + DAY_MS).tolist() == [expected]


def test_a_row_is_unlabelled_until_its_horizon_has_passed() -> None:
    label = Label("cancel", ("leave",), 7 * DAY_MS)
    rows = np.array(["a", "a"], dtype=object), np.array([START, START + 1], dtype=np.int64)
    found = Outcomes(_workload(label)).labels(*rows, START + 7 * DAY_MS)
    np.testing.assert_array_equal(found, [0.0, np.nan])
