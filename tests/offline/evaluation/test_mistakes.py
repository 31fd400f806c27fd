"""The most confident errors, once per customer and without names; drivers by hand; errors planted are found."""

import re
from dataclasses import replace

import numpy as np
import pytest

from offline.evaluation.learners import fit_shallow_tree
from offline.evaluation.mistakes import N_WORST, drivers, gathered, mistakes, questions_text, value_text, worst
from offline.evaluation.scored import hashed
from tests.offline.evaluation.rows import COLUMNS, WEIGHTS, contributions, made_rows


def test_the_worst_false_alarms_are_the_highest_scores_of_stayers_once_for_each_customer() -> None:
    rows = made_rows(2_000)
    wrong = rows.flagged & (rows.y == 0)
    found = worst(rows, wrong, True, contributions, str)
    best: dict[str, float] = {}
    for customer, p in zip(rows.customer_id[wrong], rows.probability[wrong], strict=True):
        best[customer] = max(p, best.get(customer, 0.0))
    expected = sorted(best.values(), reverse=True)[:N_WORST]
    assert [row["probability"] for row in found] == pytest.approx(expected)
    assert len({row["customer"] for row in found}) == N_WORST
    assert found[0]["reasons"][0]["feature"] == "days_since_session"
    assert found[0]["reasons"][0]["contribution"] > 0


def test_missed_leavers_are_the_lowest_and_their_reasons_push_down() -> None:
    rows = made_rows(2_000)
    found = worst(rows, ~rows.flagged & (rows.y > 0), False, contributions, str)
    scores = [row["probability"] for row in found]
    assert scores == sorted(scores)
    assert all(reason["contribution"] < 0 for row in found for reason in row["reasons"])


def test_customers_are_hashed_unless_named() -> None:
    rows = made_rows(1_000)
    hidden, named = (mistakes(rows, contributions, "key", shown) for shown in (False, True))
    assert "customer-" not in str(hidden)
    assert named["false_alarms"][0]["customer"].startswith("customer-")
    assert hidden["false_alarms"][0]["customer"] == hashed(named["false_alarms"][0]["customer"], "key")
    assert hashed("a", "key") != hashed("a", "another key")


def test_drivers_are_differences_of_mean_contributions() -> None:
    rows = made_rows(1_000)
    wrong, right = rows.flagged & (rows.y == 0), ~rows.flagged & (rows.y == 0)
    found = {row["feature"]: row for row in drivers(rows, wrong, right, contributions)}
    silence = rows.X[:, 1].astype(np.float64)
    expected = WEIGHTS[1] * (silence[wrong].mean() - silence[right].mean())
    assert found["days_since_session"]["difference"] == pytest.approx(expected, rel=1e-5)
    assert next(iter(found)) == "days_since_session"
    assert drivers(rows, np.zeros(1_000, bool), right, contributions) == []


def test_errors_that_gather_in_one_plan_are_found_there() -> None:
    rows = made_rows(4_000, threshold=0.5)
    planted = (rows.X[:, 3] == 1) & (rows.X[:, 2] > 200)
    found = gathered(replace(rows, y=np.where(planted, (rows.probability < 0.5).astype(np.float64), 0.0)))
    worst_leaf = found["leaves"][0]
    assert "plan is plus" in worst_leaf["where"]
    assert re.search(r"tenure > (19|20)\d", worst_leaf["where"])
    assert worst_leaf["wrong"]["value"] > 0.9
    assert sum(leaf["n"] for leaf in found["leaves"]) == pytest.approx(2_000, abs=2)


def test_few_rows_gather_nothing() -> None:
    assert gathered(made_rows(100))["leaves"] == []


def test_missing_values_are_in_the_words_only_where_there_are_any() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((400, 2))
    X[:100, 0] = np.nan
    target = (np.isnan(X[:, 0]) | (X[:, 0] > 0.5)).astype(np.float64)
    tree = fit_shallow_tree(X, target, 1, 20)
    names = [("spend", ""), ("visits", "")]
    texts = {questions_text(questions, names) for questions in tree.leaves.values()}
    assert any(text.startswith("spend > 0.5") and text.endswith("or missing") for text in texts)
    assert any(text.startswith("spend <= 0.5") and "missing" not in text for text in texts)
    assert set(tree.leaf_of(X)) == set(tree.leaves)


def test_values_read_as_a_person_knows_them() -> None:
    assert [value_text(COLUMNS[3], v) for v in (0.0, 3.0, np.nan)] == ["basic", "unseen", "missing"]
    assert value_text(COLUMNS[0], 12.0) == "12"
