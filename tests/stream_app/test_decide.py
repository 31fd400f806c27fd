"""What is published, which alerts open and close: against rules written out in plain Python, in any batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from stream_app import opcodes as op
from stream_app.bins import score_bins
from stream_app.decide_kernel import (
    CLOSED,
    NOT_PUBLISHED,
    OPENED,
    PUBLISHED_BAND,
    PUBLISHED_MOVED,
    PUBLISHED_TICK,
    decide,
)
from stream_app.plan import Plan
from stream_app.state import PartitionState
from tests.fakes import moody
from tests.lives import tangled_events
from tests.streams import DAY_MS, Driver, Logs, new_task, replay
from tests.workloads import named_workload

HOUR_MS = 3_600_000
STEP = 50_000
THRESHOLDS = np.array([0.5, 0.4, 0.6])
RULES = np.zeros((2, 3, 3))  # rule, row kind, (open above, close below, cool-down)
RULES[0] = [[0.5, 0.35, 5 * HOUR_MS], [0.4, 0.28, 5 * HOUR_MS], [0.6, 0.42, 5 * HOUR_MS]]
RULES[1] = [0.8, 0.8, 0]


@dataclass
class Customer:
    """What the oracle remembers of one customer."""

    score: float | None = None
    band: int | None = None
    episode: list[int] = field(default_factory=lambda: [0, 0])
    opened_at: list[int | None] = field(default_factory=lambda: [None, None])
    closed_at: list[int | None] = field(default_factory=lambda: [None, None])
    memory: dict[int, int] = field(default_factory=dict)

    def publish(self, kind: int, score: float, band: int) -> int:
        """Every tick; else the first score, another band, or a move by more than 0.05."""
        if kind == op.TICK:
            why = PUBLISHED_TICK
        elif self.score is None:
            why = PUBLISHED_MOVED
        elif band != self.band:
            why = PUBLISHED_BAND
        elif abs(round(score * 1e6) - round(self.score * 1e6)) > STEP:
            why = PUBLISHED_MOVED
        else:
            return NOT_PUBLISHED
        self.score, self.band = score, band
        return why

    def alert(self, rule: int, kind: int, score: float, as_of: int) -> int:
        """Opens at its limit unless it closed a short while ago; closes below a lower one, or when the customer
        left.
        """
        if self.opened_at[rule] is not None:
            if kind == op.ENDED or score < RULES[rule, kind, 1]:
                self.closed_at[rule] = as_of
                return CLOSED
            return 0
        closed_at = self.closed_at[rule]
        if kind == op.ENDED or score < RULES[rule, kind, 0]:
            return 0
        if closed_at is not None and as_of - closed_at < RULES[rule, kind, 2]:
            return 0
        self.opened_at[rule] = as_of
        self.episode[rule] += 1
        return OPENED


def oracle(rows: np.ndarray, scores: np.ndarray, customers: list[Customer]) -> tuple[list[int], list[tuple[int, ...]]]:
    whys, actions = [], []
    for i, ((slot, as_of, kind), score) in enumerate(zip(rows.tolist(), scores.astype(float).tolist(), strict=True)):
        customer = customers[slot]
        whys.append(NOT_PUBLISHED)
        if kind != op.ENDED:
            whys[-1] = customer.publish(kind, score, int(score >= THRESHOLDS[kind]))
        if kind == op.TICK:
            customer.memory[as_of // DAY_MS] = int(score_bins(np.array([score]))[0])
        for rule in range(2):
            action = customer.alert(rule, kind, score, as_of)
            if action:
                actions.append((i, rule, action, customer.episode[rule], customer.opened_at[rule]))
            if action == CLOSED:
                customer.opened_at[rule] = None
    return whys, actions


@pytest.mark.parametrize("seed", range(4))
def test_decisions_are_those_of_the_oracle_in_any_batches(seed: int) -> None:
    plan = Plan.from_workload(named_workload("lapse"))  # two rules
    state, random, n_slots, n = PartitionState(plan), np.random.default_rng(seed), 6, 4000
    state.s64.reshape(-1, state.row64)[:n_slots, plan.decision_at + op.SCORE] = -1
    customers = [Customer() for _ in range(n_slots)]
    moments = np.cumsum(random.integers(0, HOUR_MS // 3, n)) + 20_000 * DAY_MS
    kinds = random.choice([op.TICK, op.EVENT, op.URGENT, op.ENDED], n, p=[0.3, 0.4, 0.2, 0.1])
    rows = np.stack([random.integers(0, n_slots, n), moments, kinds], axis=1)
    walk = np.abs((np.cumsum(random.normal(0, 0.04, n)) + 0.5) % 2 - 1)  # slow, so that scores linger at the limits
    scores = np.where(random.random(n) < 0.2, random.choice([0.4, 0.5, 0.35, 0.8, 1.0, 0.0], n), walk).astype(
        np.float32
    )

    at = 0
    n_actions = np.zeros(3, np.int64)
    while at < n:
        end = min(n, at + int(random.integers(1, 500)))
        why, actions = np.zeros(end - at, np.int64), np.zeros((2 * (end - at), 5), np.int64)
        count = decide(
            rows[at:end],
            scores[at:end],
            THRESHOLDS,
            RULES,
            STEP,
            state.s64,
            state.s8,
            state.row64,
            plan.rule,
            why,
            actions,
        )
        whys, expected = oracle(rows[at:end], scores[at:end], customers)
        assert why.tolist() == whys
        assert [tuple(action) for action in actions[:count].tolist()] == expected
        n_actions += np.bincount(actions[:count, 2], minlength=3)
        at = end
    assert n_actions[OPENED] > 20
    for slot, customer in enumerate(customers):
        row = state.s64[slot * state.row64 : (slot + 1) * state.row64]
        for rule in range(2):
            place = plan.decision_at + op.N_DECISION + rule * op.N_RULE
            assert row[place + op.EPISODE] == customer.episode[rule]
            assert row[place + op.OPEN_SINCE] == (customer.opened_at[rule] or 0)
        today = rows[-1, 1] // DAY_MS
        for day in range(today - plan.memory_days + 1, today + 1):
            kept = state.s8[slot * plan.row_bytes + plan.memory_at + day % plan.memory_days]
            newest = max((d for d in customer.memory if d % plan.memory_days == day % plan.memory_days), default=None)
            assert kept == (0 if newest is None else customer.memory[newest] + 1)


# ---- through the whole task -----------------------------------------------------------------------------


def alerts_of(driver: Driver) -> list[dict[str, Any]]:
    return [driver.task.codec.decode(value, "alert") for _, value in driver.records("alerts")]


@pytest.mark.parametrize("name", ["subscription_churn", "lapse", "silence"])
def test_decisions_do_not_depend_on_batches(name: str) -> None:
    """Opened and left on the same day, in one batch or in many: the same records in the same order, byte for byte."""
    workload = named_workload(name)
    plan = Plan.from_workload(workload)
    logs, found = Logs(workload).write(tangled_events(workload, 400, 12, 2, days=60)), []
    for seed, longest in ((1, 5000), (2, 9), (3, 150)):
        driver = Driver(logs, new_task(plan, schedule=moody(plan)), seed, longest).run()
        by_customer: dict[bytes, list[bytes]] = {}
        for key, value in [*driver.records("alerts"), *driver.records("scores")]:
            by_customer.setdefault(key, []).append(value)
        found.append((by_customer, driver.task.state.rows.copy(), vars(driver.task.scorer.alerts)))
    for by_customer, rows, counts in found[1:]:
        assert by_customer == found[0][0]
        assert counts == found[0][2]
        assert sorted(map(bytes, rows)) == sorted(map(bytes, found[0][1]))
    assert found[0][2]["closed"] > 10


@pytest.mark.parametrize("name", ["subscription_churn", "lapse", "silence"])
def test_an_episode_opens_once_and_closes_once(name: str) -> None:
    workload = named_workload(name)
    plan = Plan.from_workload(workload)
    driver = Driver(
        Logs(workload).write(tangled_events(workload, 400, 12, 2, days=60)), new_task(plan, schedule=moody(plan))
    )
    alerts = alerts_of(driver.run())
    lives: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for alert in alerts:
        lives.setdefault((alert["customer_id"], alert["rule"]), []).append(alert)
    rules = {rule.name: rule for rule in workload.alerts}
    for (customer, rule), life in lives.items():
        assert [alert["status"] for alert in life] == (["opened", "closed"] * len(life))[: len(life)]
        assert [alert["episode"] for alert in life] == [1 + i // 2 for i in range(len(life))]
        assert all(alert["alert_id"] == f"{rule}/{customer}/{alert['episode']}" for alert in life)
        assert all(alert["event_id"] == f"{alert['alert_id']}:{alert['status']}" for alert in life)
        for closed, opened in zip(life[1::2], life[2::2], strict=False):
            assert opened["as_of_ms"] - closed["as_of_ms"] >= rules[rule].cool_down_ms
        for alert in life:
            assert len(alert["reasons"]) == (1 if alert["status"] == "opened" else 0)
    counts = driver.task.scorer.alerts
    assert (counts.opened, counts.closed) == tuple(sum(a["status"] == s for a in alerts) for s in ("opened", "closed"))


def by_customer(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In each customer's order: events of others may go between the ticks of a day."""
    return sorted(alerts, key=lambda alert: str(alert["customer_id"]))


def test_an_alert_closes_when_the_customer_leaves() -> None:
    """At the event that ends the contract, or at the tick after it ran out in silence; nobody stays open for ever."""
    for name in ("subscription_churn", "lapse", "silence"):
        workload = named_workload(name)
        plan = Plan.from_workload(workload)
        driver = Driver(
            Logs(workload).write(tangled_events(workload, 300, 12, 3, days=40)), new_task(plan, schedule=moody(plan))
        )
        driver.logs.clock += range(driver.logs.clock[-1] + 1, driver.logs.clock[-1] + 45)  # then silence
        alerts = alerts_of(driver.run())
        open_ids = {a["alert_id"] for a in alerts if a["status"] == "opened"}
        closed_ids = {a["alert_id"] for a in alerts if a["status"] == "closed"}
        left = open_ids - closed_ids
        live = set(driver.task.state.event_part()) if name == "subscription_churn" else set()
        assert {alert_id.split("/")[1].encode() for alert_id in left} <= live
        assert len(closed_ids) > 5


def test_before_live_from_alerts_are_silent_and_counted() -> None:
    workload = named_workload("lapse")
    plan = Plan.from_workload(workload)
    logs = Logs(workload).write(tangled_events(workload, 300, 10, 4, days=50))
    whole = Driver(logs, new_task(plan, schedule=moody(plan)), 1).run()
    live_from = (logs.clock[0] + 25) * DAY_MS
    late = Driver(logs, new_task(plan, schedule=moody(plan), live_from_ms=live_from), 2).run()

    spoken = {a["alert_id"] for a in alerts_of(whole) if a["status"] == "opened" and a["as_of_ms"] >= live_from}
    expected = [alert for alert in alerts_of(whole) if alert["alert_id"] in spoken]
    assert by_customer(alerts_of(late)) == by_customer(expected)
    opened = sum(alert["status"] == "opened" for alert in alerts_of(whole))
    assert late.task.scorer.alerts.silent == opened - len(spoken) > 0
    assert sorted(map(bytes, late.task.state.rows)) == sorted(map(bytes, whole.task.state.rows))


@pytest.mark.parametrize("name", ["subscription_churn", "lapse"])
def test_a_replay_of_the_journal_takes_the_same_decisions(name: str) -> None:
    """Whole rows and all outputs, even where the sources were read in an order of their own (no clock, lagging)."""
    workload = named_workload(name)
    plan = Plan.from_workload(workload)
    logs = Logs(workload).write(tangled_events(workload, 300, 10, 5, days=45))
    driver = Driver(logs, new_task(plan, schedule=moody(plan)), 5, longest_span=30)
    step = driver.task.step
    driver.task.step = lambda empty_at, clock, is_live: step([0.0] * len(empty_at), 0.0, is_live)  # type: ignore[method-assign]
    driver.run()  # whatever is there is taken at once: ticks come early, events late
    twin = replay(logs, new_task(plan, schedule=moody(plan)), [c.journal for c in driver.checkpoints])
    assert sorted(map(bytes, twin.task.state.rows)) == sorted(map(bytes, driver.task.state.rows))
    for topic in ("alerts", "scores"):  # events may go between the ticks of a day
        assert sorted(twin.records(topic), key=lambda record: record[0]) == sorted(
            driver.records(topic), key=lambda record: record[0]
        )
    orderly = Driver(logs, new_task(plan, schedule=moody(plan)), 6).run()
    assert orderly.records("alerts") != driver.records("alerts")
    assert orderly.task.state.event_part() == driver.task.state.event_part()
