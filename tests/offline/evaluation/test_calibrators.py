"""Beta calibration equals a logistic regression; another calibrator is praised only where it is better."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from offline.evaluation.calibrators import beta_probability, compare_calibrators, crossed, folds, platt_probability
from offline.evaluation.learners import isotonic_probability
from tests.offline.evaluation.rows import made_rows


def _fold(seed: int, n: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    margin = rng.normal(-1, 1.5, n)
    p = 1 / (1 + np.exp(-(0.8 * margin + 0.2)))
    return (rng.random(n) < p).astype(np.float64), margin


@pytest.mark.parametrize("seed", range(3))
def test_beta_equals_an_unpenalised_logistic_regression_on_both_logarithms(seed: int) -> None:
    y, margin = _fold(seed)
    p = 1 / (1 + np.exp(-margin))
    columns = np.column_stack([np.log(p), -np.log1p(-p)])
    model = LogisticRegression(C=1e8, max_iter=10_000, tol=1e-10).fit(columns, y)
    assert (model.coef_ > 0).all()
    np.testing.assert_allclose(beta_probability(y, margin, margin), model.predict_proba(columns)[:, 1], atol=1e-4)


def test_beta_drops_a_slope_that_wants_to_be_negative_and_stays_monotone() -> None:
    rng = np.random.default_rng(0)
    margin = np.linspace(-4, 4, 500)
    y = (rng.random(500) < np.where(margin < 0, 0.4, 0.1 + 0.1 * margin)).astype(np.float64)
    found = beta_probability(y, margin, margin)
    assert (np.diff(found) >= -1e-12).all()
    separated = beta_probability(np.r_[np.zeros(50), np.ones(50)], np.r_[-np.ones(50), np.ones(50)], np.array([0.0]))
    assert np.isfinite(separated).all()


def test_isotonic_steps_never_reach_zero_or_one() -> None:
    y, margin = np.r_[np.zeros(20), np.ones(20)], np.arange(40.0)
    found = isotonic_probability(y, margin, np.array([-5.0, 50.0]))
    np.testing.assert_allclose(found, [0.5 / 41, 1 - 0.5 / 41])


def test_nobody_is_judged_by_a_calibrator_that_saw_them() -> None:
    rows = made_rows(1_000)
    parts = folds(rows.customer)
    assert np.sum(parts, axis=0).tolist() == [1] * 1_000
    assert all(not set(rows.customer[part]) & set(rows.customer[~part]) for part in parts)
    shifted = replace(rows, y=np.where(parts[0], 1 - rows.y, rows.y))
    same = crossed(platt_probability, rows)[parts[0]] == crossed(platt_probability, shifted)[parts[0]]
    assert same.all()  # a fold's own outcomes do not touch its probabilities


def test_true_sigmoids_need_no_other_calibrator() -> None:
    found = compare_calibrators(made_rows(4_000))
    assert found["text"].startswith("no calibrator does better than Platt beyond doubt")
    assert found["tried"]["Platt"]["log_loss_below_platt"]["value"] == 0.0
    assert set(found["tried"]) == {"as released", "Platt", "beta", "isotonic"}


def test_margins_that_are_no_log_odds_are_told_of_and_nothing_is_changed() -> None:
    rows = made_rows(6_000)
    bent = replace(rows, margin=np.where(rows.margin > -1.5, rows.margin, -1.5 + 8 * (rows.margin + 1.5)))
    found = compare_calibrators(bent)
    assert "would lower log loss by" in found["text"]
    assert found["text"].endswith("The stream runs Platt; nothing was changed")
    assert found["tried"]["isotonic"]["log_loss_below_platt"]["low"] > 0


def test_too_few_leavers_compare_nothing() -> None:
    assert "too few leavers" in compare_calibrators(made_rows(60))["text"]
