"""Draws are made once, sums equal loops over weights, and intervals cover the truth when rows of a customer agree."""

import numpy as np
import pytest

from offline import metrics
from offline.bootstrap import Resampled, interval, interval_of
from offline.evaluation.auc import auc_replicates


def test_every_replicate_draws_as_many_customers_as_there_are() -> None:
    drawn = Resampled(np.arange(1_000) // 4, 50).drawn
    assert drawn.shape == (50, 250)
    assert (drawn.sum(axis=1) == 250).all()
    assert np.array_equal(drawn, Resampled(np.arange(1_000) // 4, 50).drawn)


def test_sums_equal_those_of_each_weight_vector() -> None:
    rng = np.random.default_rng(0)
    customer, values = rng.integers(0, 90, 300), rng.normal(size=(300, 3))
    customer[:90] = np.arange(90)
    resampled = Resampled(customer, 70)
    found = resampled.sums(values)
    np.testing.assert_allclose(found[0], values.sum(axis=0))
    np.testing.assert_allclose(found[1:], [w @ values for w in resampled.weights()])


@pytest.mark.parametrize("seed", range(5))
def test_aucs_of_all_replicates_equal_the_weighted_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = (rng.random(300) < 0.3).astype(np.float64)
    score = np.round(rng.random(300) + 0.3 * y, 1 + seed % 3)
    resampled, rows = Resampled(np.arange(300) // 3, 40), np.flatnonzero(rng.random(300) < 0.5)
    found = auc_replicates(resampled, y, score, rows)
    expected = [metrics.roc_auc(y[rows], score[rows], w[rows]) for w in resampled.weights()]
    np.testing.assert_allclose(found[1:], expected, atol=1e-12)
    assert found[0] == pytest.approx(metrics.roc_auc(y[rows], score[rows]))


def test_one_class_has_no_auc_in_any_replicate() -> None:
    resampled = Resampled(np.arange(10), 5)
    assert np.isnan(auc_replicates(resampled, np.zeros(10), np.arange(10.0), np.arange(10))).all()
    assert np.isnan(interval_of(np.full(6, np.nan)).low)


def test_intervals_of_a_mean_cover_it_when_rows_of_a_customer_are_alike() -> None:
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        y = np.repeat((rng.random(80) < 0.3).astype(np.float64), 6)
        sums = Resampled(np.repeat(np.arange(80), 6), 200, seed).sums(np.column_stack([y, np.ones(480)]))
        covered += interval_of(sums[:, 0] / sums[:, 1]).covers(0.3)
    assert 87 <= covered <= 99


def test_no_rows_have_no_interval() -> None:
    found = interval(np.zeros(0, np.int64), lambda w: float("nan"))
    assert np.isnan([found.value, found.low, found.high]).all()
