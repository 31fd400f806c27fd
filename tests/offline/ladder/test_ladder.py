"""The ladder as a whole: what it recommends where there is skill, and where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from offline.bootstrap import difference
from offline.folds import time_folds
from offline.ladder.climb import climb
from offline.ladder.family import Family
from offline.ladder.ladder import Ladder, climb_ladder
from offline.ladder.lines import ladder_lines
from offline.ladder.prior import PriorModel
from offline.ladder.progress import Silence
from offline.metrics import roc_auc
from offline.training_set import TrainingSet

YARDSTICKS = ("prior", "rule")
QUICK = ("logistic", "tree", "xgboost")


def test_where_there_is_signal_the_lowest_step_that_is_not_beaten_is_recommended(ladder: Ladder) -> None:
    found = ladder.found
    assert found["recommended"]["step"] == "logistic"
    logistic = found["steps"][2]
    assert logistic["worth_it"]
    assert logistic["rows"]["tick"]["gain_over_rule"]["roc_auc"]["low"] > 0
    assert [step["name"] for step in found["steps"]] == ["prior", "rule", "logistic", "tree", "xgboost", "online"]
    text = "\n".join(ladder_lines(found))
    assert "recommended: logistic" in text
    assert "decision tree: no better than logistic" in text


def test_a_gain_is_the_paired_difference_on_the_same_test_rows(training: TrainingSet, ladder: Ladder) -> None:
    ticks = training.rows.kind[training.fold("test")] == 0
    rows = training.fold("test", row_kind=0)
    rule, logistic = (ladder.climbed[i].answers.test[ticks] for i in (1, 2))
    theirs = difference(training.customer[rows], roc_auc, training.y[rows], logistic, rule, n_replicates=2)
    ours = ladder.found["steps"][2]["rows"]["tick"]["gain_over_rule"]["roc_auc"]
    assert ours["value"] == pytest.approx(theirs.value)


@pytest.mark.parametrize("seed", range(2))
def test_shuffled_labels_are_not_better_than_the_rule_or_the_prior(
    training: TrainingSet, relabelled: Callable[..., TrainingSet], seed: int
) -> None:
    y = training.y.copy()
    known = np.isfinite(y)
    y[known] = np.random.default_rng(seed).permutation(y[known])
    _shows_no_skill(climb_ladder(relabelled(training, y), QUICK, with_curve=False))


def test_a_company_whose_customers_leave_at_random_shows_no_skill(training_of: Callable[..., TrainingSet]) -> None:
    _shows_no_skill(climb_ladder(training_of(signal=False, n_customers=300), QUICK, with_curve=False))


def _shows_no_skill(ladder: Ladder) -> None:
    assert ladder.found["recommended"]["step"] in YARDSTICKS
    assert "better" in ladder.found["recommended"]["text"]
    for step in ladder.found["steps"]:
        if step["name"] not in YARDSTICKS:
            assert not step["worth_it"]
            assert step["verdict"].startswith(("not better than the rule", "not better than the prior")), step[
                "verdict"
            ]


def test_eight_positives_tell_nothing(training: TrainingSet, relabelled: Callable[..., TrainingSet]) -> None:
    test = training.fold("test", row_kind=0)
    y = training.y.copy()
    y[np.flatnonzero(test & (y == 1))[8:]] = 0.0
    found = climb_ladder(relabelled(training, y), ("logistic",), with_curve=False).found
    assert found["recommended"]["step"] == "prior"
    assert "only 8 of" in found["recommended"]["text"]
    assert "no step can be shown to be better than the rule" in found["recommended"]["text"]
    assert found["steps"][2]["verdict"].startswith("not better than the rule (only 8 of")


def test_the_same_seed_gives_the_same_table(training: TrainingSet) -> None:
    names = ("logistic", "tree")
    first, again = (climb_ladder(training, names, seed=3, with_curve=False).found for _ in range(2))
    assert first == again
    other = climb_ladder(training, names, seed=4, with_curve=False).found
    assert other["steps"][2]["rows"]["tick"]["roc_auc"] != first["steps"][2]["rows"]["tick"]["roc_auc"]


def test_seconds_come_from_the_clock_that_is_handed_in(ladder: Ladder) -> None:
    assert [step["fit_s"] for step in ladder.found["steps"]] == [1.0] * 6


def test_every_row_kind_is_judged_by_itself(training: TrainingSet, ladder: Ladder) -> None:
    test = training.fold("test")
    for code, kind in enumerate(("tick", "event", "urgent")):
        assert ladder.found["rows"][kind]["n"] == int((training.rows.kind[test] == code).sum())
    assert ladder.found["rows"]["urgent"]["base_rate"] == 1.0
    assert ladder.found["steps"][2]["rows"]["urgent"]["roc_auc"]["value"] is None


@dataclass(frozen=True)
class Spy:
    """Remembers which rows it was fitted on: the first column holds their number."""

    name: str
    seen: list[tuple[str, list[int]]]

    def says(self) -> str:
        return self.name

    def fit(self, X: Any, y: Any, columns: Any, seed: int) -> PriorModel:
        self.seen.append((self.name, X[:, 0].astype(int).tolist()))
        return PriorModel(0.0)


def test_a_test_row_is_never_fitted_on_and_the_calibration_rows_only_at_the_end(training: TrainingSet) -> None:
    X = training.rows.X.copy()
    X[:, 0] = np.arange(len(X))
    numbered = replace(training, rows=replace(training.rows, X=X))
    folds, seen = time_folds(numbered), list[tuple[str, list[int]]]()
    family = Family("spy", "spy", (Spy("a", seen), Spy("b", seen)))
    climbed = climb(family, numbered, folds, 0, lambda: 0.0, Silence())
    assert [name for name, _ in seen] == ["a"] * len(folds) + ["b"] * len(folds) + ["a", "a"]
    for fold, (_, rows) in zip(folds, seen, strict=False):
        assert set(rows) <= set(np.flatnonzero(fold.fit))
    assert seen[-2][1] == np.flatnonzero(training.fold("fit")).tolist()
    assert seen[-1][1] == np.flatnonzero(training.fold("fit", "between", "later")).tolist()
    assert climbed.answers.n_fit == len(seen[-1][1])
    assert not {row for _, rows in seen for row in rows} & set(np.flatnonzero(training.fold("test")))
