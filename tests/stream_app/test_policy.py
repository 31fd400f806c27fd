"""When a signal is opened, and how it may live."""

from __future__ import annotations

import itertools

import pytest

from stream_app.drift import DAY_MS, Finding, Scope, Verdict
from stream_app.errors import SignalMoveRefused
from stream_app.policy import POLICIES, Decision, RetrainPolicy, Streaks
from stream_app.signals import FINAL, MOVES, STATUSES, Ledger, moved, opened


def _finding(
    day: int,
    verdict: Verdict = "drifted",
    *,
    scope: Scope = "feature",
    name: str = "minutes",
    statistic: str = "psi",
    share: float = 1.0,
    by_construction: bool = False,
) -> Finding:
    return Finding(
        day=day,
        as_of_ms=day * DAY_MS,
        scope=scope,
        name=name,
        statistic=statistic,
        distance=0.5,
        threshold=0.25,
        verdict=verdict,
        n=5000,
        model_version="v1",
        share=share,
        by_construction=by_construction,
    )


def _lost(day: int) -> Finding:
    return _finding(day, scope="performance", name="tick", statistic="auc")


def _run(policy: RetrainPolicy, days: list[list[Finding]]) -> dict[int, Decision]:
    streaks, ledger, decisions = Streaks(), Ledger(), {}
    for day, findings in enumerate(days):
        streaks.update("v1", findings)
        decision = policy.decide(day, findings, streaks, ledger)
        if decision:
            decisions[day] = decision
            ledger.update(opened("w", "v1", day, decision.reason, decision.evidence))
    return decisions


def test_no_drift_opens_nothing() -> None:
    assert _run(RetrainPolicy(), [[_finding(day, "steady")] for day in range(300)]) == {}


def test_a_feature_must_stay_drifted_for_days_in_a_row_and_then_opens_one_signal() -> None:
    assert list(_run(RetrainPolicy(), [[_finding(day)] for day in range(100)])) == [6]
    interrupted = [[_finding(day, "steady" if day % 7 == 6 else "drifted")] for day in range(100)]
    assert _run(RetrainPolicy(), interrupted) == {}


def test_different_features_on_different_days_are_no_streak() -> None:
    assert _run(RetrainPolicy(), [[_finding(day, name=f"f{day % 2}")] for day in range(100)]) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"by_construction": True},
        {"share": 0.75},
        {"statistic": "jensen_shannon"},
        {"scope": "volume"},
        {"scope": "calibration"},
        {"scope": "missing"},
    ],
)
def test_ageing_partial_and_upstream_findings_never_open_a_signal(changes: dict[str, object]) -> None:
    days = [[_finding(day, **changes)] for day in range(100)]  # type: ignore[arg-type]
    assert _run(RetrainPolicy(), days) == {}


def test_lost_performance_opens_at_once_and_says_by_how_much() -> None:
    decisions = _run(RetrainPolicy(), [[_lost(0)]])
    assert decisions[0].reason == "AUC on matured labels fell by 0.500"
    assert decisions[0].evidence == (_lost(0),)


def test_after_an_end_it_cools_down() -> None:
    policy, streaks, ledger = RetrainPolicy(cool_down_days=30), Streaks(), Ledger()
    signal = opened("w", "v1", 0, "r", [])
    ledger.update(signal)
    assert policy.decide(5, [_lost(5)], streaks, ledger) is None
    ledger.update(moved(signal, "refused", 10 * DAY_MS))
    assert policy.decide(39, [_lost(39)], streaks, ledger) is None
    assert policy.decide(40, [_lost(40)], streaks, ledger) is not None


def test_another_model_version_starts_its_streaks_anew() -> None:
    streaks = Streaks()
    for day in range(6):
        streaks.update("v1", [_finding(day)])
    streaks.update("v2", [_finding(6)])
    assert streaks.of(_finding(6)) == 1


def test_the_named_policies_do_what_they_are_named_after() -> None:
    both = [[_finding(day), _lost(day)] if day >= 10 else [] for day in range(100)]
    assert {name: list(_run(policy, both)) for name, policy in POLICIES.items()} == {
        "never": [],
        "monthly": [29],
        "drift": [16],
        "performance": [10],
        "both": [10],
    }


@pytest.mark.parametrize(("before", "after"), list(itertools.product(STATUSES, STATUSES)))
def test_only_the_moves_of_the_table_are_made(before: str, after: str) -> None:
    signal = opened("w", "v1", 3, "why", [_lost(3)]) | {"status": before}
    if after in MOVES[before]:
        record = moved(signal, after, 5 * DAY_MS)
        assert (record["status"], record["event_id"]) == (after, "w-v1-1970-01-04:" + after)
        assert record["evidence"] == signal["evidence"]
    else:
        with pytest.raises(SignalMoveRefused):
            moved(signal, after, 5 * DAY_MS)


def test_every_life_ends() -> None:
    assert {status for status in STATUSES if not MOVES[status]} == FINAL
    assert all(any(after in FINAL for after in MOVES[status]) for status in STATUSES if status not in FINAL)


def test_a_ledger_takes_a_final_status_for_good_whatever_comes_late_or_again() -> None:
    ledger = Ledger()
    signal = opened("w", "v1", 3, "why", [])
    done = moved(moved(signal, "accepted", 4 * DAY_MS), "released", 9 * DAY_MS, released_version="v2")
    assert ledger.update(done)
    assert not ledger.update(signal)
    assert not ledger.update(done)
    assert ledger.unfinished() == ()
    assert ledger.last_finished_day() == 9
    assert signal["signal_id"] in ledger
