"""Every family's margin is what scikit-learn, XGBoost and LightGBM say of the same rows by their own ways."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from offline.errors import OfflineError
from offline.ladder import leafwise, neural, prior, rule
from offline.ladder.boosted import Boosted
from offline.ladder.family import log_odds, sample
from offline.ladder.forest import Forest
from offline.ladder.leafwise import Leafwise
from offline.ladder.logistic import Logistic
from offline.ladder.neural import Neural
from offline.ladder.steps import FAMILIES, NAMES, chosen_steps, possible_steps
from offline.ladder.svm import MAX_ROWS, Svm
from offline.ladder.tree import Tree
from offline.models import PARAMS
from offline.transforms import fit_transform_spec
from stream_app.plan import FeatureColumn

SEED = 5
COLUMNS = (
    FeatureColumn("days_since_login", "recency", "d", False, (), False, False),
    FeatureColumn("plan", "last", "1", True, ("basic", "plus", "pro"), False, False),
    FeatureColumn("sessions_7d", "count", "1", False, (), False, False),
)
Rows = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def make_rows(n: int = 700, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.exponential(9.0, n), rng.integers(0, 4, n), rng.poisson(3.0, n)]).astype(np.float32)
    y = (rng.random(n) < 1 / (1 + np.exp(2.0 - 0.15 * X[:, 0] + 0.3 * X[:, 2]))).astype(np.float64)
    X[rng.random(n) < 0.1, 0] = np.nan
    X[rng.random(n) < 0.1, 1] = np.nan
    return X, y


@pytest.fixture(scope="module")
def fitted() -> Rows:
    return make_rows()


@pytest.fixture(scope="module")
def others() -> Any:
    return make_rows(300, seed=1)[0]


def scaled(fitted: Rows, X: Any) -> Any:
    return fit_transform_spec(*fitted, COLUMNS).matrix(X)


def test_logistic_regression_is_that_of_scikit_learn(fitted: Rows, others: Any) -> None:
    theirs = LogisticRegression(C=0.1, max_iter=500).fit(scaled(fitted, fitted[0]), fitted[1])
    margin = Logistic(0.1).fit(*fitted, COLUMNS, SEED).margin(others)
    np.testing.assert_allclose(margin, theirs.decision_function(scaled(fitted, others)), rtol=1e-12)
    np.testing.assert_array_equal(margin > 0, theirs.predict(scaled(fitted, others)) == 1)


def test_the_tree_and_the_forest_take_raw_rows_with_holes(fitted: Rows, others: Any) -> None:
    tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=50, random_state=SEED).fit(*fitted)
    forest = RandomForestClassifier(20, min_samples_leaf=5, max_samples=700, random_state=SEED).fit(*fitted)
    for ours, theirs in ((Tree(3, 50), tree), (Forest(5, n_trees=20), forest)):
        margin = ours.fit(*fitted, COLUMNS, SEED).margin(others)
        np.testing.assert_allclose(margin, log_odds(theirs.predict_proba(others)[:, 1]), rtol=1e-12)
        np.testing.assert_array_equal(margin > 0, theirs.predict(others) == 1)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_support_vector_machines_decide_as_those_of_scikit_learn(fitted: Rows, others: Any, kernel: Any) -> None:
    theirs: Any = LinearSVC(C=0.1, dual=False, random_state=SEED) if kernel == "linear" else SVC(C=0.1)
    theirs.fit(scaled(fitted, fitted[0]), fitted[1])
    decided = theirs.decision_function(scaled(fitted, others))
    margin = Svm(kernel, 0.1).fit(*fitted, COLUMNS, SEED).margin(others)
    unit = theirs.decision_function(scaled(fitted, fitted[0])).std()
    np.testing.assert_allclose(margin * unit, decided, rtol=1e-9)
    np.testing.assert_array_equal(margin > 0, theirs.predict(scaled(fitted, others)) == 1)


def test_the_neural_network_is_that_of_scikit_learn(fitted: Rows, others: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(neural, "MOST_EPOCHS", 12)
    theirs = MLPClassifier((neural.N_HIDDEN,), alpha=1.0, max_iter=12, random_state=SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(scaled(fitted, fitted[0]), fitted[1])
    model = Neural(1.0).fit(*fitted, COLUMNS, SEED)
    probability = theirs.predict_proba(scaled(fitted, others))[:, 1]
    np.testing.assert_allclose(model.margin(others), log_odds(probability), rtol=1e-9)
    assert model.notes == ()


def test_boosted_trees_are_those_of_their_libraries(fitted: Rows, others: Any) -> None:
    given = {name: value for name, value in PARAMS.items() if name != "eval_metric"}
    theirs = XGBClassifier(n_estimators=25, n_jobs=1, random_state=SEED, base_score=fitted[1].mean(), **given)
    margin = Boosted(25).fit(*fitted, COLUMNS, SEED).margin(others)
    np.testing.assert_allclose(margin, theirs.fit(*fitted).predict(others, output_margin=True), atol=1e-5)
    named = dict(leafwise.PARAMS, n_estimators=25, random_state=SEED)
    their_leaves = LGBMClassifier(**named).fit(*fitted)
    margin = Leafwise(25).fit(*fitted, COLUMNS, SEED).margin(others)
    np.testing.assert_allclose(margin, their_leaves.booster_.predict(others, raw_score=True), rtol=1e-9)


def test_the_prior_is_the_log_odds_of_the_base_rate_and_the_rule_ranks_by_silence(fitted: Rows, others: Any) -> None:
    base = fitted[1].mean()
    known = prior.Prior().fit(*fitted, COLUMNS, SEED).margin(others)
    assert known == pytest.approx(math.log(base / (1 - base)))
    margin = rule.Rule().fit(*fitted, COLUMNS, SEED).margin(others)
    days = np.where(np.isnan(others[:, 0]), np.inf, others[:, 0])
    assert rule.FAMILY.cut is not None
    np.testing.assert_array_equal(margin >= rule.FAMILY.cut, days >= 14.0)
    assert (np.argsort(margin, kind="stable") == np.argsort(np.minimum(days, 400.0), kind="stable")).all()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: str(family.name))
def test_the_same_seed_gives_the_same_margins_and_no_rows_give_none(family: Any, fitted: Rows, others: Any) -> None:
    candidate = family.candidates[0]
    first, again = (candidate.fit(*fitted, COLUMNS, SEED).margin(others) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (300,)
    assert np.isfinite(first).all()
    assert candidate.fit(*fitted, COLUMNS, SEED).margin(others[:0]).shape == (0,)


def test_a_large_sample_is_cut_and_it_is_said(monkeypatch: Any, fitted: Rows) -> None:
    monkeypatch.setitem(MAX_ROWS, "rbf", 200)
    assert Svm("rbf", 1.0).fit(*fitted, COLUMNS, SEED).notes == ("fitted on a sample of 200 of 700 rows",)
    assert len(np.unique(np.arange(700)[sample(700, 200, SEED)])) == 200
    assert sample(200, 200, SEED) == slice(None)


def test_steps_come_in_the_order_of_the_ladder_with_the_yardsticks() -> None:
    assert chosen_steps(["xgboost", "logistic"]) == ("prior", "rule", "logistic", "xgboost")
    assert chosen_steps([]) == NAMES
    with pytest.raises(OfflineError, match=r"no step 'boost' on the ladder; there are prior, rule, logistic, tree"):
        chosen_steps(["boost"])


def test_what_cannot_be_climbed_is_left_out_with_its_reason(monkeypatch: Any) -> None:
    monkeypatch.setattr("offline.ladder.steps.find_spec", lambda _: None)
    possible, left_out = possible_steps(NAMES, COLUMNS[1:])
    assert set(NAMES) - set(possible) == {"rule", "lightgbm"}
    assert "not installed" in left_out["lightgbm"]
    assert "recency" in left_out["rule"]
