"""AUC and its companions from counts, against scikit-learn, and intervals that hold for correlated days."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from stream_app.performance import (
    N_SCORE_BINS,
    Outcomes,
    auc,
    auc_interval,
    brier,
    effective_positives,
    estimated_auc,
    lift,
    observed_to_expected,
    precision_recall,
)

RNG = np.random.default_rng(3)
MEANS = (np.arange(N_SCORE_BINS) + 0.5) / N_SCORE_BINS


def _rows(outcomes: Outcomes) -> tuple[np.ndarray, np.ndarray]:
    bins = np.repeat(np.tile(np.arange(N_SCORE_BINS), 2), np.concatenate([outcomes.negatives, outcomes.positives]))
    labels = np.repeat([0, 1], [outcomes.negatives.sum(), outcomes.positives.sum()])
    return labels, bins


def _some() -> Outcomes:
    positives = RNG.integers(0, 20, N_SCORE_BINS) * np.arange(N_SCORE_BINS)
    return Outcomes((7,), RNG.integers(1, 500, N_SCORE_BINS), positives)


def test_auc_and_brier_equal_scikit_learn_on_the_same_rows() -> None:
    outcomes = _some()
    labels, bins = _rows(outcomes)
    assert auc(outcomes.positives, outcomes.negatives) == pytest.approx(roc_auc_score(labels, bins))
    assert brier(outcomes, MEANS) == pytest.approx(brier_score_loss(labels, MEANS[bins]))


def test_precision_and_recall_equal_counting() -> None:
    outcomes = _some()
    labels, bins = _rows(outcomes)
    precision, recall = precision_recall(outcomes, 12)
    assert precision == pytest.approx(labels[bins >= 12].mean())
    assert recall == pytest.approx(labels[bins >= 12].sum() / labels.sum())


def test_lift_of_everybody_is_one_and_of_a_perfect_top_is_the_inverse_base_rate() -> None:
    negatives, positives = np.zeros(20, int), np.zeros(20, int)
    negatives[0], positives[19] = 90, 10
    outcomes = Outcomes((0,), negatives, positives)
    assert lift(outcomes, 1.0) == pytest.approx(1.0)
    assert lift(outcomes, 0.1) == pytest.approx(10.0)


def test_one_sided_outcomes_have_no_auc() -> None:
    nobody = np.zeros(20, int)
    assert np.isnan(auc(nobody, nobody + 1))
    assert auc_interval(Outcomes((1,), nobody + 1, nobody), 30).variance == float("inf")


def test_effective_positives_of_one_day_are_its_positives_and_of_distant_days_their_sum() -> None:
    assert effective_positives(120, (5,), 30) == pytest.approx(120)
    assert effective_positives(240, (5, 100), 30) == pytest.approx(240)


def test_effective_positives_of_neighbouring_days_equal_kish_counted_out() -> None:
    days, horizon, leaving_a_day = tuple(range(10)), 30, 4
    weights = [sum(day < c <= day + horizon for day in days) for c in range(1, 40)]
    kish = leaving_a_day * sum(weights) ** 2 / sum(w * w for w in weights)
    assert effective_positives(leaving_a_day * sum(weights), days, horizon) == pytest.approx(kish)
    assert 120 < kish < 160


def test_the_interval_covers_the_truth_at_least_as_often_as_it_says_for_the_same_customers_on_many_days() -> None:
    horizon, days, customers, hits, n = 30, 10, 1500, 0, 150
    for seed in range(n):
        rng = np.random.default_rng(seed)
        leaves = rng.random(customers) < 0.08
        when = np.where(leaves, rng.integers(1, days + horizon, customers), 10_000)
        score = rng.normal(size=customers) + 1.2 * leaves
        bins = np.clip((score * 2 + 10).astype(int), 0, 19)
        positives, negatives = np.zeros(20, int), np.zeros(20, int)
        for day in range(days):
            live, left = when > day, (when > day) & (when <= day + horizon)
            positives += np.bincount(bins[left], minlength=20)
            negatives += np.bincount(bins[live & (when == 10_000)], minlength=20)
        interval = auc_interval(Outcomes(tuple(range(days)), negatives, positives), horizon)
        hits += interval.low <= 0.8001 <= interval.high
    assert hits / n >= 0.9


def test_the_interval_of_independent_rows_is_that_of_the_bootstrap() -> None:
    outcomes = Outcomes((0,), np.array([400, 300, 200, 80, 20] + [0] * 15), np.array([5, 10, 20, 30, 35] + [0] * 15))
    rng = np.random.default_rng(5)
    drawn = [
        auc(rng.multinomial(100, outcomes.positives / 100), rng.multinomial(1000, outcomes.negatives / 1000))
        for _ in range(2000)
    ]
    assert np.sqrt(auc_interval(outcomes, 30).variance) == pytest.approx(np.std(drawn), rel=0.08)


def test_calibration_is_zero_when_as_many_left_as_the_scores_said() -> None:
    rows = np.full(20, 2000)
    positives = (rows * MEANS).astype(int)
    ratio, error = observed_to_expected(Outcomes((0,), rows - positives, positives), MEANS, 30)
    assert abs(ratio) < 0.001
    assert 0.0 < error < 0.02
    more = Outcomes((0,), rows - positives, positives * 2)
    said = float((rows + positives) @ MEANS)
    assert observed_to_expected(more, MEANS, 30)[0] == pytest.approx(np.log(2 * positives.sum() / said), abs=1e-3)


def test_the_estimate_without_labels_equals_the_auc_when_scores_are_calibrated() -> None:
    rows = np.full(20, 2000)
    positives = (rows * MEANS).astype(int)
    assert estimated_auc(rows, MEANS) == pytest.approx(auc(positives, rows - positives), abs=1e-9)
