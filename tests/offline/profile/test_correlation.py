"""Spearman's correlation as SciPy has it."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata, spearmanr

from offline.profile.correlation import Correlations, correlations_of, ranks_of
from tests.offline.profile.made import made_snapshots


def test_ranks_and_correlations_are_scipys() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 9, 400), rng.normal(size=400), rng.normal(size=400)]).astype(np.float32)
    X[:, 2] += X[:, 1]
    np.testing.assert_array_equal(ranks_of(X[:, 0].astype(float)), rankdata(X[:, 0]))
    found = correlations_of(made_snapshots(X, np.zeros(400)))
    np.testing.assert_allclose(found.matrix, spearmanr(X).statistic, atol=1e-12)


def test_a_missing_value_has_the_middle_rank() -> None:
    assert ranks_of(np.array([5.0, np.nan, 1.0, 3.0])).tolist() == [3.0, 2.0, 1.0, 2.0]


def test_pairs_that_say_the_same_come_strongest_first() -> None:
    matrix = np.array([[1.0, 0.96, np.nan], [0.96, 1.0, -0.99], [np.nan, -0.99, 1.0]])
    assert [(a, b) for a, b, _ in Correlations(("a", "b", "c"), matrix).pairs()] == [("b", "c"), ("a", "b")]
