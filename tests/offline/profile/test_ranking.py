"""AUC within cut-offs counts the pairs of each cut-off; scores of bins come from other customers alone."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from offline.profile.ranking import Ranking, binned_score, bins_of, edges_of

Array = np.ndarray[Any, Any]


def rows(n: int = 300, n_groups: int = 1, seed: int = 0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(np.float64)
    return y, np.round(rng.normal(y, 1.0), 1), rng.integers(0, n_groups, n)


def slow_auc(y: Array, score: Array, group: Array) -> float:
    pairs = [(a, b) for a, b in product(np.flatnonzero(y == 1), np.flatnonzero(y == 0)) if group[a] == group[b]]
    return float(np.mean([1.0 if score[a] > score[b] else 0.5 if score[a] == score[b] else 0.0 for a, b in pairs]))


def test_one_group_is_scikit_learns_auc_with_and_without_weights() -> None:
    y, score, group = rows()
    weight = np.random.default_rng(1).integers(0, 4, len(y)).astype(np.float64)
    ranking = Ranking(y, score, group)
    assert ranking.auc() == pytest.approx(roc_auc_score(y, score))
    assert ranking.auc(weight) == pytest.approx(roc_auc_score(y, score, sample_weight=weight))


@pytest.mark.parametrize("n_groups", [2, 7, 60])
def test_several_groups_count_their_own_pairs_only(n_groups: int) -> None:
    y, score, group = rows(n_groups=n_groups)
    assert Ranking(y, score, group).auc() == pytest.approx(slow_auc(y, score, group))


def test_a_level_that_differs_between_groups_changes_nothing() -> None:
    y, score, group = rows(n_groups=5)
    assert Ranking(y, score + 100.0 * group, group).auc() == pytest.approx(Ranking(y, score, group).auc())


def test_rows_without_value_or_outcome_are_left_out() -> None:
    y, score, group = rows()
    score[::3], y[1::7] = np.nan, np.nan
    known = np.isfinite(score) & np.isfinite(y)
    assert Ranking(y, score, group).auc() == pytest.approx(roc_auc_score(y[known], score[known]))


def test_without_a_pair_there_is_no_auc() -> None:
    y, score, group = rows(20)
    assert np.isnan(Ranking(np.zeros(20), score, group).auc())
    assert np.isnan(Ranking(y, np.full(20, np.nan), group).auc())
    assert np.isnan(Ranking(y[:0], score[:0], group[:0]).auc())


def test_bins_are_about_equally_full_and_missing_has_its_own() -> None:
    values = np.r_[np.random.default_rng(0).normal(size=1000), np.full(50, np.nan)]
    counts = np.bincount(bins_of(values, 10))
    assert len(counts) == 11
    assert counts[-1] == 50
    assert np.abs(counts[:-1] - 100).max() <= 2
    assert len(edges_of(np.zeros(9), 10)) == 0


def test_a_bin_knows_nothing_of_its_own_half() -> None:
    rng = np.random.default_rng(0)
    customer = np.repeat(np.arange(200), 5)
    y = (rng.random(200) < 0.5).astype(np.float64)[customer]
    score = binned_score(customer.astype(np.float64), y, customer, is_categorical=True)
    assert len(np.unique(score)) <= 2  # each customer is a category of its own: only base rates are left
    noise = [
        Ranking(y, binned_score(rng.normal(size=200)[customer], y, customer), np.zeros(1000, int)).auc()
        for _ in range(40)
    ]
    assert np.mean(noise) == pytest.approx(0.5, abs=0.02)


def test_bins_find_what_is_not_monotone() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    y = (np.abs(x) > 1.0).astype(np.float64)
    customer = np.arange(4000)
    assert abs(Ranking(y, x, np.zeros(4000, int)).auc() - 0.5) < 0.05
    assert Ranking(y, binned_score(x, y, customer), np.zeros(4000, int)).auc() > 0.98
