"""Measured metrics equal those of the other modules, and the intervals of gains cover for all pairs at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, log_loss, roc_auc_score

from offline.bootstrap import difference, interval
from offline.ladder.resampling import Gains, Measured, SortedScore, resample
from offline.metrics import pr_auc, roc_auc


def made(n: int = 300, seed: int = 0) -> tuple[Any, Any, list[Any], list[Any]]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(np.float64)
    scores = [np.zeros(n), np.round(y + rng.normal(0, 2, n), 1), y + rng.normal(0, 1, n)]
    probabilities = [1 / (1 + np.exp(-score)) for score in scores]
    return y, rng.integers(0, 80, n) % 80, scores, probabilities


def measured(seed: int = 0, n_replicates: int = 40) -> Measured:
    y, customer, scores, probabilities = made(seed=seed)
    flagged = [probability >= 0.6 for probability in probabilities]
    return resample(y, customer, scores, probabilities, flagged, n_replicates=n_replicates, seed=seed)


def test_a_weighted_ranking_is_that_of_the_metrics() -> None:
    y, _, scores, _ = made()
    weights = np.array([*np.random.default_rng(3).integers(0, 4, (5, len(y))).astype(np.float64), 1.0 - y])
    for score in scores:
        areas = SortedScore(y, score).areas(weights)
        np.testing.assert_allclose(areas[0], [roc_auc(y, score, weight) for weight in weights], rtol=1e-12)
        np.testing.assert_allclose(areas[1], [pr_auc(y, score, weight) for weight in weights], rtol=1e-12)


def test_every_metric_is_that_of_scikit_learn() -> None:
    y, _, scores, probabilities = made()
    found = measured().value
    for i in (1, 2):
        assert found["roc_auc"][i] == pytest.approx(roc_auc_score(y, scores[i]))
        assert found["pr_auc"][i] == pytest.approx(average_precision_score(y, scores[i]))
        assert found["log_loss"][i] == pytest.approx(log_loss(y, probabilities[i]))
        assert found["brier"][i] == pytest.approx(brier_score_loss(y, probabilities[i]))
        assert found["f1"][i] == pytest.approx(f1_score(y, probabilities[i] >= 0.6))
    assert found["f1"][0] == 0.0  # nobody is flagged


def test_intervals_and_paired_differences_are_those_of_the_bootstrap() -> None:
    y, customer, scores, _ = made()
    found = measured()
    theirs = interval(customer, lambda w: roc_auc(y, scores[2], w), n_replicates=40)
    assert found.interval("roc_auc", 2) == theirs
    paired = difference(customer, roc_auc, y, scores[2], scores[1], n_replicates=40)
    drawn = found.drawn["roc_auc"][2] - found.drawn["roc_auc"][1]
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([paired.low, paired.high])
    gain = Gains(found, "roc_auc").over(2, 1)
    assert gain.value == pytest.approx(paired.value)
    assert gain.high - gain.low > paired.high - paired.low


def test_a_gain_in_log_loss_is_how_much_less_it_is() -> None:
    found = measured()
    gain = Gains(found, "log_loss").over(2, 1)
    assert gain.value == pytest.approx(found.value["log_loss"][1] - found.value["log_loss"][2])
    back = Gains(found, "log_loss").over(1, 2)
    assert (back.low, back.high) == pytest.approx((-gain.high, -gain.low))


def test_one_class_has_no_intervals_and_no_gains() -> None:
    y, scores = np.ones(20), [np.arange(20.0), np.zeros(20)]
    flagged = [np.ones(20, dtype=bool)] * 2
    found = resample(y, np.arange(20), scores, [np.full(20, 0.5)] * 2, flagged, n_replicates=10)
    assert np.isnan(found.interval("roc_auc", 0).low)
    assert np.isnan(Gains(found, "roc_auc").over(0, 1).low)


def world(seed: int, shifts: tuple[float, ...], n: int = 400) -> Measured:
    """Normal scores of unlike noise, each shifted for positives, of customers with one row each."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(np.float64)
    scores = [shift * y + rng.normal(0, 1, n) for shift in shifts]
    probabilities, flagged = [np.full(n, 0.3)] * len(shifts), [np.zeros(n, dtype=bool)] * len(shifts)
    return resample(y, np.arange(n), scores, probabilities, flagged, n_replicates=100, seed=seed)


def test_when_no_step_is_better_hardly_ever_one_looks_better() -> None:
    """In 5 % of the worlds, since intervals hold for all pairs at once; one for each pair alone fails in a third."""
    n_worlds, claims, plain_claims = 100, 0, 0
    for seed in range(n_worlds):
        found = world(seed, (0.0,) * 7)
        gains, drawn = Gains(found, "roc_auc"), found.drawn["roc_auc"]
        pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
        claims += any(gains.over(i, j).low > 0.0 for i, j in pairs)
        plain_claims += any(np.quantile(drawn[i] - drawn[j], 0.025) > 0.0 for i, j in pairs)
    assert claims <= n_worlds * (0.05 + 3.0 * np.sqrt(0.05 * 0.95 / n_worlds))
    assert plain_claims > 0.3 * n_worlds


def test_true_gains_lie_in_their_intervals_all_at_once() -> None:
    """The true AUC of a normal score shifted by d is Phi(d / sqrt 2)."""
    true, n_worlds, covered = [0.5, 0.611351, 0.638163, 0.760250], 100, 0
    for seed in range(n_worlds):
        gains = Gains(world(1_000 + seed, (0.0, 0.4, 0.5, 1.0)), "roc_auc")
        covered += all(gains.over(i, j).covers(true[i] - true[j]) for i in range(4) for j in range(i))
    assert covered >= n_worlds * (0.95 - 3.0 * np.sqrt(0.05 * 0.95 / n_worlds))
