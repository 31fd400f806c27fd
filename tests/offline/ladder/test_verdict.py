"""What is said of a step follows from what it beats beyond doubt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offline.calibrate import Platt
from offline.ladder.calibrated import KindCalibration, calibrate_kinds
from offline.ladder.climb import Answers, Climbed
from offline.ladder.judge import Judged, judge
from offline.ladder.verdict import recommended, verdicts

N = 1_200
KIND = KindCalibration(Platt(), 0.5, None)


def judged(names: list[str], quality: list[float], n_positive: int = 300) -> Judged:
    """Steps whose scores are the outcome times their quality, plus the same noise for all."""
    rng = np.random.default_rng(0)
    y = np.r_[np.ones(n_positive), np.zeros(N - n_positive)]
    noise = rng.normal(0, 1, N)
    margins = [np.zeros(N) if q == 0.0 else q * y + noise for q in quality]
    empty = Answers(np.zeros(0), np.zeros(0), 0, 0.0, ())
    climbed = [Climbed(name, name, "", None, None, empty) for name in names]
    return judge(y, np.arange(N), climbed, margins, [KIND] * len(names), seed=0)


def test_each_step_that_beats_all_below_is_worth_it() -> None:
    found = judged(["prior", "rule", "logistic", "xgboost"], [0.0, 0.5, 1.0, 2.0])
    assert [verdict.worth_it for verdict in verdicts(found)] == [False, True, True, True]
    assert recommended(found)[0] == 3
    assert recommended(found)[1].endswith("no step stands above it")


def test_a_step_that_is_as_good_as_the_one_below_is_not_worth_it() -> None:
    found = judged(["prior", "rule", "logistic", "tree", "xgboost"], [0.0, 0.5, 1.5, 0.8, 1.5])
    said = verdicts(found)
    assert said[3].text.startswith("worse than logistic: -0.")
    assert said[4].text.startswith("no better than logistic: +0.000")
    assert recommended(found) == (2, pytest.approx(recommended(found)[1]))
    assert "none of the 2 steps above is better beyond doubt" in recommended(found)[1]


def test_a_step_that_does_not_beat_the_yardsticks_is_told_so() -> None:
    found = judged(["prior", "rule", "logistic"], [0.0, 1.0, 1.0])
    assert verdicts(found)[2].text == "not better than the rule"
    assert recommended(found) == (1, "no step is better than the rule beyond doubt: no skill is shown")
    without_rule = judged(["prior", "logistic"], [0.0, 0.01])
    assert verdicts(without_rule)[1].text == "not better than the prior"
    assert without_rule.steps[1]["gain_over_rule"]["step"] == "prior"


@pytest.mark.parametrize(
    ("n_positive", "rare"), [(29, "29 of 1200 test rows churned"), (1180, "20 of 1200 test rows stayed")]
)
def test_a_perfect_score_on_a_few_rows_of_a_class_claims_nothing(n_positive: int, rare: str) -> None:
    found = judged(["prior", "rule", "logistic"], [0.0, 0.5, 50.0], n_positive)
    assert found.steps[2]["roc_auc"]["value"] == 1.0
    assert verdicts(found)[2].text.startswith(f"not better than the rule (only {rare}")
    assert recommended(found)[0] == 0


def test_a_kind_with_few_of_a_class_takes_the_calibration_of_ticks_and_a_cut_is_kept() -> None:
    rng = np.random.default_rng(1)
    kind = np.repeat([0, 1, 2], [300, 300, 20]).astype(np.uint8)
    margin: Any = rng.normal(0, 1, 620)
    y = (rng.random(620) < 1 / (1 + np.exp(-margin))).astype(np.float64)
    kinds, notes = calibrate_kinds(y, kind, margin, None)
    assert kinds[1] != kinds[0]
    assert kinds[2] == kinds[0]
    assert list(notes) == ["urgent"]
    np.testing.assert_array_equal(kinds[0].flagged(margin), kinds[0].platt.probability(margin) >= kinds[0].threshold)
    assert kinds[0].notes() == ()
    turned, _ = calibrate_kinds(y, kind, -margin / 50.0, None)
    np.testing.assert_array_equal(turned[0].ranked(-margin / 50.0), margin / 50.0)
    assert [note.split()[0] for note in turned[0].notes()] == ["on", "its"]
    kinds, _ = calibrate_kinds(y, kind, margin, 0.7)
    np.testing.assert_array_equal(kinds[0].flagged(margin), margin >= 0.7)
