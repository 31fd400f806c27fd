"""Platt calibration and the F1 threshold against slow searches and a second library."""

import numpy as np
import pytest
from sklearn.calibration import _SigmoidCalibration

from offline.calibrate import fit_platt
from offline.metrics import precision_recall_f1
from offline.threshold import best_f1_threshold


@pytest.mark.parametrize("seed", range(10))
def test_platt_equals_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    margin = rng.normal(size=400) * 3 - 1
    y = (rng.random(400) < 1 / (1 + np.exp(-(0.6 * margin - 0.5)))).astype(np.float64)
    ours, theirs = fit_platt(y, margin), _SigmoidCalibration().fit(margin, y)
    assert ours.a == pytest.approx(-theirs.a_, rel=1e-3)
    assert ours.b == pytest.approx(-theirs.b_, rel=1e-3, abs=1e-3)


def test_separable_and_one_sided_folds_stay_finite() -> None:
    margin = np.r_[-np.ones(10), np.ones(10)]
    for y in (np.r_[np.zeros(10), np.ones(10)], np.zeros(20), np.ones(20)):
        platt = fit_platt(y, margin)
        assert np.isfinite([platt.a, platt.b]).all()
    assert np.isfinite(fit_platt(np.r_[0.0, 1.0], np.zeros(2)).b)  # one margin for all


def test_calibrated_probabilities_sum_to_the_positives_nearly() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(1000) < 0.1).astype(np.float64)
    margin = y + rng.normal(size=1000)
    assert fit_platt(y, margin).probability(margin).mean() == pytest.approx(y.mean(), abs=0.005)


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_has_a_better_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    y = (rng.random(n) < 0.4).astype(np.float64)
    y[0] = 1.0
    p = np.round(rng.random(n), 1 + seed % 3)
    ours = precision_recall_f1(y, p >= best_f1_threshold(y, p))[2]
    assert ours == pytest.approx(max(precision_recall_f1(y, p >= t)[2] for t in np.r_[p, 0.0]))


def test_without_positives_nothing_is_flagged() -> None:
    assert best_f1_threshold(np.zeros(5), np.linspace(0, 0.9, 5)) == 1.0
