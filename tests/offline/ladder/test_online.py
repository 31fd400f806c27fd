"""The online challenger never sees a label early, and is river's own logistic regression."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from river import linear_model, optim, preprocessing

from offline.ladder.online import L2, OnlineLogistic
from offline.ladder.progressive import progressive_margins
from stream_app.plan import FeatureColumn

HORIZON_MS = 30
COLUMNS = (
    FeatureColumn("a", "count", "1", False, (), False, False),
    FeatureColumn("plan", "last", "1", True, ("basic", "plus"), False, False),
    FeatureColumn("b", "count", "1", False, (), False, False),
)


class Notebook:
    """Writes down what it was taught, and answers with how much that was."""

    def __init__(self) -> None:
        self.taught: list[tuple[int, float]] = []
        self.asked: dict[int, list[tuple[int, float]]] = {}

    def update(self, x: Any, outcome: float) -> None:
        self.taught.append((int(x[0]), outcome))

    def margin(self, x: Any) -> float:
        self.asked[int(x[0])] = list(self.taught)
        return float(len(self.taught))


@pytest.mark.parametrize("seed", range(5))
def test_a_row_is_taught_exactly_when_its_horizon_has_passed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 120
    X = np.arange(n, dtype=np.float32)[:, None]
    as_of_ms = rng.integers(0, 150, n)
    y = np.where(rng.random(n) < 0.1, np.nan, (rng.random(n) < 0.3).astype(np.float64))
    book = Notebook()
    margins = progressive_margins(X, y, as_of_ms, HORIZON_MS, book)
    for row in range(n):
        known = {(i, y[i]) for i in range(n) if np.isfinite(y[i]) and as_of_ms[i] + HORIZON_MS <= as_of_ms[row]}
        assert set(book.asked[row]) == known
        assert margins[row] == len(known)
    moments = [as_of_ms[row] for row, _ in book.taught]
    assert moments == sorted(moments)
    assert len(set(book.taught)) == len(book.taught)


def stream(n: int = 400, seed: int = 0) -> tuple[Any, Any, Any]:
    """No number lies so far out that it would be cut."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(5.0, 2.0, n), rng.integers(0, 3, n), rng.uniform(0.0, 9.0, n)]).astype(np.float32)
    y = (rng.random(n) < 1 / (1 + np.exp(-(X[:, 0] - 5.0)))).astype(np.float64)
    return X, y, np.sort(rng.integers(0, 300, n))


def test_a_label_that_is_not_yet_known_changes_no_margin() -> None:
    X, y, as_of_ms = stream()
    learner = OnlineLogistic(0.01)
    before = progressive_margins(X, y, as_of_ms, HORIZON_MS, learner.create_learner(COLUMNS))
    changed = 200
    other = y.copy()
    other[changed] = 1.0 - other[changed]
    after = progressive_margins(X, other, as_of_ms, HORIZON_MS, learner.create_learner(COLUMNS))
    differs = before != after
    np.testing.assert_array_equal(differs, as_of_ms >= as_of_ms[changed] + HORIZON_MS)


def test_it_is_rivers_scaler_and_logistic_regression() -> None:
    X, y, _ = stream()
    X[:, 1] = 5  # no known category: its indicators are 0 and weigh nothing
    theirs = preprocessing.StandardScaler() | linear_model.LogisticRegression(optim.SGD(0.01), l2=L2)
    ours = OnlineLogistic(0.01).create_learner(COLUMNS)
    for x, outcome in zip(X, y, strict=True):
        row = {"a": float(x[0]), "b": float(x[2])}
        ours.update(x, outcome)
        theirs.learn_one(row, bool(outcome))
        expected = theirs.predict_proba_one(row)[True]
        assert 1 / (1 + np.exp(-ours.margin(x))) == pytest.approx(expected, rel=1e-6)


def test_a_missing_number_counts_as_the_mean_and_moves_no_scale() -> None:
    X, y, _ = stream()
    ours, again = (OnlineLogistic(0.01).create_learner(COLUMNS) for _ in range(2))
    for x, outcome in zip(X, y, strict=True):
        ours.update(x, outcome)
        again.update(x, outcome)
    mean = X[:, 2].astype(np.float64).mean()
    hole, filled = X[0].copy(), X[0].astype(np.float64)
    hole[2], filled[2] = np.nan, mean
    assert ours.margin(hole) == pytest.approx(again.margin(filled), abs=1e-9)
