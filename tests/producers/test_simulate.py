"""The simulated log: repeatable, valid, as hard as it claims to be, and drifting as its truth says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from producers.simulate import Drift, SimulatedDay, SimulationConfig, SimulationError, simulate, truth, write_truth
from producers.simulate.drifts import PlantedDrifts
from producers.simulate.law import N_STATES, transition
from producers.simulate.layout import TOPICS
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.workload import load_workload

HORIZON_DAYS = 30
SMALL = SimulationConfig(n_customers=400, n_days=60, seed=5)
LARGE = SimulationConfig(n_customers=6_000, n_days=150, seed=11, oracle_every_days=15, events_per_customer_day=2.0)
LONG = SimulationConfig(n_customers=800, n_days=200, seed=13, events_per_customer_day=1.0)


class Log:
    """All events of a simulation by topic, and its oracle days by offset."""

    def __init__(self, config: SimulationConfig) -> None:
        self.first_day = config.first_day
        self.days: list[SimulatedDay] = list(simulate(config))
        self.oracle = {day.day - config.first_day: day.oracle for day in self.days if day.oracle is not None}
        self.topics = {name: self._topic(name) for name in TOPICS}

    def _topic(self, name: str) -> EventBatch:
        return EventBatch.concat([b for day in self.days for b in day.batches if b.topic == name])

    def of(self, topic: str, kind: str) -> EventBatch:
        batch = self.topics[topic]
        return batch.take(np.flatnonzero(batch.kind == TOPICS[topic].kinds.index(kind)))

    def offset(self, batch: EventBatch) -> Any:
        """Days after the first on which events happened."""
        return batch.event_time_ms // DAY_MS - self.first_day

    def outcome(self, offset: int) -> tuple[Any, Any]:
        """Oracle probability and whether the customer cancelled within the horizon."""
        cancel = self.of("billing", "cancel")
        days = self.offset(cancel)
        gone = set(cancel.customer_id[(days >= offset) & (days < offset + HORIZON_DAYS)])
        oracle = self.oracle[offset]
        return oracle.p_churn, np.array([customer in gone for customer in oracle.customer_id])


@cache
def small() -> Log:
    return Log(SMALL)


@cache
def long() -> Log:
    return Log(LONG)


@cache
def large() -> Log:
    return Log(LARGE)


def digest(days: Sequence[SimulatedDay]) -> str:
    running = hashlib.sha256()
    for batch in (batch for day in days for batch in day.batches):
        for column in (batch.event_time_ms, batch.known_time_ms, batch.kind):
            running.update(column.tobytes())
        for text in (batch.event_id, batch.customer_id, *batch.values.values()):
            running.update(repr(text.tolist()).encode())
    return running.hexdigest()


def changed(config: SimulationConfig, **settings: Any) -> SimulationConfig:
    return SimulationConfig(**{**config.__dict__, **settings})


# ---- repeatable -----------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_events_and_another_seed_others() -> None:
    again, other = Log(SMALL), Log(changed(SMALL, seed=6))
    assert digest(again.days) == digest(small().days) != digest(other.days)


def test_asking_the_oracle_changes_no_event() -> None:
    assert digest(Log(changed(SMALL, oracle_every_days=7)).days) == digest(small().days)


def test_a_drift_changes_nothing_before_it_starts() -> None:
    drifts = tuple(Drift.from_text(f"{kind}@30") for kind in ("covariate", "concept", "seasonal", "upstream_bug"))
    drifting = Log(changed(SMALL, drifts=drifts))
    assert digest(drifting.days[:30]) == digest(small().days[:30])
    assert digest(drifting.days[30:]) != digest(small().days[30:])


# ---- valid ----------------------------------------------------------------------------------------------


def test_topics_kinds_and_fields_are_those_of_the_default_workload() -> None:
    workload = load_workload("subscription_churn")
    assert [topic.name for topic in workload.topics] == list(TOPICS)
    for topic in workload.topics:
        layout = TOPICS[topic.name]
        assert tuple(kind.name for kind in topic.kinds) == layout.kinds
        assert {field.name for field in topic.fields} == set(small().topics[topic.name].values)
        assert {f.name: f.categories for f in topic.fields if f.type == "category"} == layout.categories
        assert {f.name: 10**digits for f in topic.fields for digits in [layout.fields.get(f.name)] if digits} == {
            f.name: f.scale for f in topic.fields if f.type == "number"
        }
    assert workload.label.horizon_ms == HORIZON_DAYS * DAY_MS


def test_every_kind_happens_and_every_field_has_values_on_its_scale() -> None:
    for topic, layout in TOPICS.items():
        batch = long().topics[topic]
        assert set(batch.kind.tolist()) == set(range(len(layout.kinds)))
        for name, digits in layout.fields.items():
            given = batch.values[name][~np.isnan(batch.values[name])]
            assert len(given)
            np.testing.assert_allclose(given * 10**digits, np.rint(given * 10**digits), atol=1e-6)
        for name, categories in layout.categories.items():
            assert set(batch.values[name].tolist()) - {None} == set(categories)


def test_events_are_known_after_they_happened_within_lateness_and_on_their_day() -> None:
    lateness_ms = load_workload("subscription_churn").lateness_ms
    for day in small().days:
        for batch in day.batches:
            wait_ms = batch.known_time_ms - batch.event_time_ms
            assert wait_ms.min() >= 0
            assert wait_ms.max() <= lateness_ms
            assert np.all(batch.known_time_ms // DAY_MS == day.day)
            assert np.all(np.diff(batch.known_time_ms) >= 0)


def test_the_shuffled_share_is_late_and_out_of_order() -> None:
    usage, none = small().topics["usage"], Log(changed(SMALL, shuffled_share=0.0)).topics["usage"]
    late = np.mean(usage.known_time_ms - usage.event_time_ms > 60_000)
    assert late == pytest.approx(SMALL.shuffled_share, abs=5 * np.sqrt(0.02 / len(usage)))
    assert (none.known_time_ms - none.event_time_ms).max() < 60_000


def test_event_ids_are_unique_and_customer_ids_tell_no_order() -> None:
    ids = np.concatenate([batch.event_id.astype(str) for batch in long().topics.values()])
    assert len(np.unique(ids)) == len(ids)
    joined = long().of("billing", "subscribe")
    numbers = [int(customer[1:]) for customer in joined.customer_id]
    assert abs(np.corrcoef(numbers, joined.event_time_ms)[0, 1]) < 5 / np.sqrt(len(joined))


def test_a_customer_is_silent_between_cancel_and_the_next_subscribe() -> None:
    contract: dict[str, bool] = {}
    n_returns = 0
    for _, customer, kind in sorted(told(long())):
        runs = contract.get(customer)
        assert runs or kind == "subscribe", f"{customer}: {kind} without a contract"
        assert not (runs and kind == "subscribe")
        n_returns += runs is False
        contract[customer] = kind != "cancel"
    assert 0 < n_returns < 0.1 * sum(not runs for runs in contract.values())


def told(log: Log) -> Iterator[tuple[int, str, str]]:
    for name, batch in log.topics.items():
        kinds = np.array(TOPICS[name].kinds, dtype=object)[batch.kind]
        yield from zip(batch.event_time_ms.tolist(), batch.customer_id.tolist(), kinds.tolist(), strict=True)


def test_a_live_customer_has_about_the_events_asked_for() -> None:
    log = large()
    live = sum(len(log.oracle[offset].p_churn) for offset in (60, 75, 90))
    events = sum(log.days[offset + day].n_events for offset in (60, 75, 90) for day in range(7)) / 7
    assert events / live == pytest.approx(LARGE.events_per_customer_day, rel=0.1)


# ---- as hard as it claims to be -------------------------------------------------------------------------


@pytest.mark.parametrize("bills", [False, True])
def test_transitions_are_probabilities(bills: bool) -> None:
    matrix = transition(bills, money_is_tight=True)
    assert matrix.shape == (N_STATES, N_STATES)
    assert matrix.min() >= 0.0
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)


@pytest.mark.parametrize("concept", [False, True])
def test_two_to_five_per_cent_churn_in_a_month(concept: bool) -> None:
    log = concept_log() if concept else large()
    for offset in (30, 60, 90, 120):
        p_churn, churned = log.outcome(offset)
        assert 0.02 < churned.mean() < 0.05
        assert 0.02 < p_churn.mean() < 0.05


def test_the_oracle_is_calibrated_in_every_decile() -> None:
    """Realised against expected, in binomial standard deviations; months do not overlap."""
    months = [large().outcome(offset) for offset in (30, 60, 90, 120)]
    p_churn, churned = (np.concatenate(column) for column in zip(*months, strict=True))
    for rows in np.array_split(np.argsort(p_churn), 10):
        expected, spread = p_churn[rows].sum(), np.sqrt((p_churn[rows] * (1 - p_churn[rows])).sum())
        assert abs(churned[rows].sum() - expected) < 4.0 * spread


def test_the_oracle_ranks_well_and_recency_does_not() -> None:
    offsets = (45, 60, 75, 90, 105, 120)
    outcomes = [large().outcome(offset) for offset in offsets]
    p_churn, churned = (np.concatenate(column) for column in zip(*outcomes, strict=True))
    silence = np.concatenate([days_since_session(large(), offset) for offset in offsets])
    assert 0.85 < roc_auc_score(churned, p_churn) < 0.92
    assert 0.55 < roc_auc_score(churned, silence) < 0.75


def days_since_session(log: Log, offset: int) -> Any:
    sessions = log.of("usage", "session")
    seen = sessions.event_time_ms < (log.first_day + offset) * DAY_MS
    last: dict[str, int] = {}
    for customer, ms in zip(sessions.customer_id[seen].tolist(), sessions.event_time_ms[seen].tolist(), strict=True):
        last[customer] = max(ms, last.get(customer, 0))
    now_ms = (log.first_day + offset) * DAY_MS
    return np.array([(now_ms - last.get(customer, 0)) / DAY_MS for customer in log.oracle[offset].customer_id])


# ---- drifting as the truth says -------------------------------------------------------------------------


@cache
def concept_log() -> Log:
    return Log(changed(LARGE, seed=12, drifts=(Drift("concept", 90),)))


def minutes_of_two_fortnights(log: Log, offset: int) -> Any:
    """A plain stand-in for what a model sees: how little a customer used the product, against the month before."""
    sessions = log.of("usage", "session")
    days, oracle = log.offset(sessions), log.oracle[offset].customer_id
    use = []
    for start in (offset - 14, offset - 56):
        rows = (days >= start) & (days < start + 14)
        who, where = np.unique(sessions.customer_id[rows].astype(str), return_inverse=True)
        total = dict(zip(who.tolist(), np.bincount(where, sessions.values["minutes"][rows]), strict=True))
        use.append(np.log1p([total.get(customer, 0.0) for customer in oracle]))
    return np.stack(use, axis=1)


def test_a_model_of_falling_usage_is_lost_after_the_concept_drift() -> None:
    log = concept_log()
    (before, old), (after, new) = (
        (minutes_of_two_fortnights(log, offset), log.outcome(offset)[1]) for offset in (60, 120)
    )
    model = LogisticRegression().fit(before, old)
    assert roc_auc_score(old, model.decision_function(before)) > 0.68
    assert roc_auc_score(new, model.decision_function(after)) < 0.55


def test_the_oracle_stays_good_and_calibrated_through_the_concept_drift() -> None:
    months = [concept_log().outcome(offset) for offset in (75, 90, 120)]
    for p_churn, churned in months:
        spread = np.sqrt((p_churn * (1 - p_churn)).sum())
        assert abs(churned.sum() - p_churn.sum()) < 4.0 * spread
    assert roc_auc_score(months[2][1], months[2][0]) > 0.80


def test_a_campaign_brings_other_customers_and_its_oracle_stays_calibrated() -> None:
    log = Log(SimulationConfig(2_000, 100, seed=3, oracle_every_days=10, drifts=(Drift("covariate", 40, size=0.5),)))
    joined, profile = log.of("billing", "subscribe"), log.topics["profile"]
    in_campaign = (log.offset(joined) >= 40) & (log.offset(joined) < 61)
    usual_per_day = 2_000 * SimulationConfig().growth / 30
    assert in_campaign.sum() == pytest.approx(1_000 + 21 * usual_per_day, abs=5 * np.sqrt(1_050))
    from_ads, set_on = profile.values["channel"] == "ads", log.offset(profile)
    assert np.mean(from_ads[(set_on >= 40) & (set_on < 61)]) > 2 * np.mean(from_ads[set_on < 40])
    p_churn, churned = log.outcome(70)
    assert abs(churned.sum() - p_churn.sum()) < 4.0 * np.sqrt((p_churn * (1 - p_churn)).sum())


def test_a_wave_takes_usage_down_and_gives_it_back() -> None:
    wave = Log(changed(SMALL, n_days=90, drifts=(Drift("seasonal", 30, 58),))).topics["usage"]
    per_day = np.bincount(wave.event_time_ms // DAY_MS - SMALL.first_day, minlength=90)
    before, trough, after = (per_day[start : start + 14].mean() for start in (14, 37, 60))
    assert trough < 0.75 * before
    assert after > 0.85 * before


def test_an_upstream_bug_spoils_one_field_while_it_lasts() -> None:
    bugs = (Drift("upstream_bug", 20, 30), Drift("upstream_bug", 40, 50, size=float("nan"), field="survey.csat"))
    log = Log(changed(SMALL, drifts=bugs))
    sessions, survey = log.of("usage", "session"), log.topics["survey"]
    spoilt = (log.offset(sessions) >= 20) & (log.offset(sessions) < 30)
    minutes = sessions.values["minutes"]
    assert np.median(minutes[spoilt]) == pytest.approx(60 * np.median(minutes[~spoilt]), rel=0.1)
    null = np.isnan(survey.values["csat"])
    np.testing.assert_array_equal(null, (log.offset(survey) >= 40) & (log.offset(survey) < 50))


def test_the_truth_names_what_was_planted(tmp_path: Path) -> None:
    config = changed(SMALL, n_days=20, oracle_every_days=10, drifts=(Drift("concept", 12, name="rival"),))
    log = Log(config)
    write_truth(tmp_path, config, (day.oracle for day in log.days))
    drift = json.loads((tmp_path / "truth.json").read_text())["drifts"][0]
    assert drift == truth(config)["drifts"][0]
    assert (drift["name"], drift["kind"], drift["start_date"]) == ("rival", "concept", "2025-01-13")
    assert (drift["start_day"], drift["end_day"]) == (config.first_day + 12, None)
    table = pq.read_table(tmp_path / "oracle.parquet")
    assert table.column_names == ["day", "customer_id", "p_churn"]
    assert table.num_rows == sum(len(day.p_churn) for day in log.oracle.values())


@pytest.mark.parametrize("text", ["rain@3", "concept", "concept@x", "seasonal@9-4", "concept@-1"])
def test_a_drift_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(SimulationError):
        Drift.from_text(text)


def test_settings_out_of_range_and_unknown_fields_are_refused() -> None:
    with pytest.raises(SimulationError, match="n_days"):
        SimulationConfig(n_days=0)
    with pytest.raises(SimulationError, match=r"usage\.hours"):
        PlantedDrifts(SimulationConfig(drifts=(Drift("upstream_bug", 3, field="usage.hours"),)))


def test_the_observer_knows_less_than_the_oracle_and_is_right_on_average() -> None:
    """Its forecast is the mean of the true probability over what it cannot see: equal means, smaller spread."""
    config = SimulationConfig(n_customers=250, n_days=70, seed=5, oracle_every_days=14, oracle_after_days=40)
    truth, told = [], []
    for day in simulate(replace(config, has_observer=True)):
        if day.oracle is not None and day.observer is not None:
            assert (day.oracle.customer_id == day.observer.customer_id).all()
            truth.append(day.oracle.p_churn)
            told.append(day.observer.p_churn)
    p, q = np.concatenate(truth), np.concatenate(told)
    assert len(truth) == 2
    error = (p - q).std() / np.sqrt(len(p) / 2)
    assert abs(p.mean() - q.mean()) < 4 * error
    assert q.std() < p.std()
    assert np.corrcoef(p, q)[0, 1] > 0.7
    assert np.abs(np.polyfit(q, p, 1)[0] - 1.0) < 0.25  # E[truth | told] = told


def test_neither_oracle_nor_observer_changes_the_log() -> None:
    config = SimulationConfig(n_customers=60, n_days=12, seed=5)
    plain = [batch for day in simulate(config) for batch in day.batches]
    asked = [b for day in simulate(replace(config, oracle_every_days=3, has_observer=True)) for b in day.batches]
    assert [len(batch) for batch in plain] == [len(batch) for batch in asked]
    for one, other in zip(plain, asked, strict=True):
        assert (one.event_id == other.event_id).all()
        assert (one.kind == other.kind).all()
