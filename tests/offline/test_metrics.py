"""Metrics equal scikit-learn's on random data with ties and weights."""

import numpy as np
import pytest
import sklearn.metrics as sk

from offline import metrics
from offline.bootstrap import difference, interval


def _sample(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 300))
    y = (rng.random(n) < 0.3).astype(np.float64)
    y[:2] = [0.0, 1.0]
    score = np.round(np.clip(0.3 * y + rng.random(n) * 0.7, 0.001, 0.999), int(rng.integers(1, 5)))
    return y, score, rng.integers(0, 4, n).astype(np.float64) + 1e-3


@pytest.mark.parametrize("seed", range(20))
def test_ranking_metrics_equal_scikit_learn(seed: int) -> None:
    y, score, weight = _sample(seed)
    for w in (None, weight):
        assert metrics.roc_auc(y, score, w) == pytest.approx(sk.roc_auc_score(y, score, sample_weight=w), abs=1e-12)
        assert metrics.pr_auc(y, score, w) == pytest.approx(
            sk.average_precision_score(y, score, sample_weight=w), abs=1e-12
        )


@pytest.mark.parametrize("seed", range(20))
def test_probability_metrics_equal_scikit_learn(seed: int) -> None:
    y, score, weight = _sample(seed)
    p = np.clip(score, 0.01, 0.99)
    for w in (None, weight):
        assert metrics.log_loss(y, p, w) == pytest.approx(sk.log_loss(y, p, sample_weight=w), abs=1e-12)
        assert metrics.brier(y, p, w) == pytest.approx(sk.brier_score_loss(y, p, sample_weight=w), abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_alarm_metrics_equal_scikit_learn(seed: int) -> None:
    y, score, _ = _sample(seed)
    flagged = score >= 0.5
    expected = sk.precision_recall_fscore_support(y, flagged, average="binary", zero_division=0.0)[:3]
    assert metrics.precision_recall_f1(y, flagged) == pytest.approx(expected, abs=1e-12)


def test_lift_of_a_perfect_order_is_capped_by_the_share() -> None:
    y = np.r_[np.ones(5), np.zeros(95)]
    assert metrics.lift(y, y, 0.1) == pytest.approx(5 / 10 / 0.05)
    assert metrics.lift(y, np.zeros(100), 0.1) == pytest.approx(1.0)  # one big tie knows nothing


def test_one_class_has_no_auc() -> None:
    assert np.isnan(metrics.roc_auc(np.zeros(3), np.arange(3.0)))
    assert np.isnan(metrics.pr_auc(np.zeros(3), np.arange(3.0)))
    assert np.isnan(metrics.lift(np.zeros(3), np.arange(3.0)))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        y = (rng.random(200) < 0.4).astype(np.float64)
        score = y + rng.normal(size=200)  # AUC of two unit normals one apart: Phi(1 / sqrt 2) = 0.7602
        customer = np.arange(200)
        found = interval(customer, lambda w, y=y, s=score: metrics.roc_auc(y, s, w), n_replicates=100, seed=1000 + seed)
        covered += found.covers(0.7602499)
    assert 50 <= covered <= 60


def test_customers_resampled_whole_give_wider_intervals_than_rows() -> None:
    rng = np.random.default_rng(1)
    y = np.repeat((rng.random(50) < 0.4).astype(np.float64), 20)  # one customer, twenty equal rows
    score = np.repeat(y[::20] + rng.normal(size=50), 20)

    def auc(w: np.ndarray | None) -> float:
        return metrics.roc_auc(y, score, w)

    by_customer = interval(np.repeat(np.arange(50), 20), auc)
    by_row = interval(np.arange(1000), auc)
    assert by_customer.high - by_customer.low > 2 * (by_row.high - by_row.low)


def test_a_score_is_no_better_than_itself() -> None:
    y, score, _ = _sample(3)
    same = difference(np.arange(len(y)), metrics.roc_auc, y, score, score)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
