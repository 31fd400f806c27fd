"""Planted leaks are called by name and with a reason; honest features, however strong, are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offline.profile.census import Census, KindCount
from offline.profile.event_suspects import event_suspects
from offline.profile.log_order import n_behind
from offline.profile.portraits import portraits_of
from offline.profile.snapshots import Snapshots, take_snapshots
from offline.profile.suspect import Suspect
from offline.profile.suspects import feature_suspects
from producers import simulate as simulation
from producers.sources import read_events
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.workload import Workload, load_workload
from tests.offline.profile.made import by_known_day, leaky_workload, made_snapshots, planted

RNG_ROWS = 2000


def suspects_of(workload: Workload, batches: Sequence[EventBatch], days: tuple[int, ...] = ()) -> list[Suspect]:
    census = Census(workload)
    rows = take_snapshots(workload, lambda: batches, days=days, look=census.look, count=census.count).some(20_000)
    return [*feature_suspects(portraits_of(rows, rows), rows), *event_suspects(workload, census, Counter())]


def feature_suspects_of(rows: Snapshots) -> dict[str, str]:
    return {suspect.what: suspect.rule for suspect in feature_suspects(portraits_of(rows, rows), rows)}


def outcome(seed: int = 0, share: float = 0.1) -> tuple[np.random.Generator, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return rng, (rng.random(RNG_ROWS) < share).astype(np.float64)


# ---- planted ----


def test_events_that_only_leavers_have_and_a_field_with_the_future_end_are_called(company: Any) -> None:
    workload = leaky_workload()
    honest = company(workload, n_days=240)
    found = suspects_of(workload, by_known_day([*honest, planted(workload, honest, ("noted", "exit_call"))]))
    assert {(s.what, s.rule) for s in found} == {("exit_calls_90d", "too good alone"), ("end_day", "too good alone")}
    assert all("find out when its source writes it" in suspect.advice for suspect in found)


def test_what_was_filled_in_afterwards_is_called_by_its_place_in_the_log(
    company: Any, fill: Any, tmp_path: Path
) -> None:
    workload = leaky_workload()
    honest = company(workload, n_days=240)
    lake, census = Lake(tmp_path), Census(workload)
    notes = planted(workload, honest, ("noted",))  # the log of the crm: notes as they came, then the partings of all
    fill(lake, workload, [*honest, notes, planted(workload, honest, ("parting",))])
    for batch in [*honest, notes, planted(workload, honest, ("parting",))]:
        census.look(batch)
    for kind in census.kinds:
        kind.n = 200
    behind = n_behind(lake, workload)
    assert set(behind) == {"parting"}
    assert [(s.what, s.rule) for s in event_suspects(workload, census, behind)] == [("parting", "filled in afterwards")]


def test_being_there_is_called_when_it_tells_the_outcome() -> None:
    rng, y = outcome()
    X = rng.normal(size=(RNG_ROWS, 2))
    X[(y == 0) & (rng.random(RNG_ROWS) < 0.97), 0] = np.nan
    assert feature_suspects_of(made_snapshots(X, y)) == {"f0": "missing tells"}


def test_a_feature_that_is_gone_a_week_earlier_is_called() -> None:
    rng, y = outcome()
    then = rng.normal(size=(RNG_ROWS, 2))
    now = then + np.column_stack([1.9 * y, 0.4 * y])
    there = np.ones(RNG_ROWS, bool)
    rows = made_snapshots(now, y, earlier={7: then.astype(np.float32)}, was_there={7: there})
    assert feature_suspects_of(rows) == {"f0": "collapses earlier"}
    fading = (then + np.column_stack([1.6 * y, 0.2 * y])).astype(np.float32)
    assert feature_suspects_of(made_snapshots(now, y, earlier={7: fading}, was_there={7: there})) == {}


def test_a_feature_that_always_knows_the_nearest_ends_is_called() -> None:
    rng, y = outcome(share=0.2)
    near = (y == 1) & (rng.random(RNG_ROWS) < 0.4)
    X = rng.normal(size=(RNG_ROWS, 1)) + 6.0 * near[:, None]
    assert feature_suspects_of(made_snapshots(X, y, near=near)) == {"f0": "certain near the end"}


def test_kinds_that_come_after_the_end_or_become_known_after_it_are_called(workload: Workload) -> None:
    census = Census(workload)
    for kind in census.kinds:
        kind.n = kind.n_before_end = 1000
    _set(census.kinds, "profile_changed", n_after_end=2500)
    _set(census.kinds, "survey_answered", n_late=100, n_known_after_end=60)
    _set(census.kinds, "session", n_late=900, n_known_after_end=40, n_after_end=800)
    found = {(s.what, s.rule) for s in event_suspects(workload, census, {})}
    assert found == {("profile_changed", "changes after the end"), ("survey_answered", "known after the end")}


def _set(kinds: list[KindCount], name: str, **counts: int) -> None:
    kind = next(kind for kind in kinds if kind.name == name)
    for key, value in counts.items():
        setattr(kind, key, value)


# ---- honest ----


def test_failed_payments_and_silence_of_a_company_are_not_called(workload: Workload, company: Any) -> None:
    assert suspects_of(workload, company(workload, n_days=240)) == []


def test_what_drives_simulated_customers_away_is_not_called() -> None:
    config = simulation.SimulationConfig(
        n_customers=700, n_days=150, start_day=date(2025, 1, 1), seed=3, drifts=(), oracle_every_days=0
    )
    batches = [batch for day in simulation.simulate(config) for batch in day.batches]
    assert suspects_of(load_workload("subscription_churn"), batches) == []


@pytest.mark.parametrize(("example", "days"), [("cdnow", (10_140, 10_260)), ("online_retail", (14_980, 15_100))])
def test_the_features_of_real_logs_are_not_called(example: str, days: tuple[int, ...], repository: Path) -> None:
    assert suspects_of(*_real(example, repository), days) == []


@pytest.mark.slow
def test_silence_of_a_real_app_is_not_called_although_it_follows_the_contract(repository: Path) -> None:
    workload, batches = _real("subscription_usage", repository, until_day=18_513)  # 2020-09-08
    assert suspects_of(workload, batches) == []


def _real(example: str, repository: Path, until_day: int | None = None) -> tuple[Workload, list[EventBatch]]:
    data = repository.parent / "shared" / "data" / example
    if not data.is_dir():
        pytest.skip(f"the log {example!r} is not at hand: no folder {data}")
    workload = load_workload(repository / "examples" / f"{example}.toml")
    recording = read_events(workload, data).between(None, until_day)
    return workload, [batch for day in recording for batch in day.batches]
