"""Figures of an alarm equal scikit-learn's, weighted, for the rows as they are and for every replicate."""

import numpy as np
import pytest
import sklearn.metrics as sk

from offline.bootstrap import Resampled
from offline.evaluation.confusion import FIGURES, confusion, confusions


def _sample(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(30, 300))
    y = (rng.random(n) < 0.3).astype(np.float64)
    y[:2] = [0.0, 1.0]
    flagged = rng.random(n) < 0.2 + 0.5 * y
    flagged[:2] = [True, True]
    return y, flagged, rng.integers(0, 4, n) + 1e-3


@pytest.mark.parametrize("seed", range(10))
def test_figures_equal_scikit_learn(seed: int) -> None:
    y, flagged, weight = _sample(seed)
    for w in (None, weight):
        found = confusion(y, flagged, w)
        expected = {
            "alert_rate": np.average(flagged, weights=w),
            "precision": sk.precision_score(y, flagged, sample_weight=w),
            "recall": sk.recall_score(y, flagged, sample_weight=w),
            "f1": sk.f1_score(y, flagged, sample_weight=w),
            "specificity": sk.recall_score(1 - y, ~flagged, sample_weight=w),
            "accuracy": sk.accuracy_score(y, flagged, sample_weight=w),
            "balanced_accuracy": sk.balanced_accuracy_score(y, flagged, sample_weight=w),
        }
        assert set(expected) == set(FIGURES)
        for name, value in expected.items():
            assert getattr(found, name)[0] == pytest.approx(value, abs=1e-12), name


def test_every_replicate_is_the_matrix_of_its_weights() -> None:
    y, flagged, _ = _sample(3)
    resampled = Resampled(np.arange(len(y)) // 3, 20)
    found = confusions(resampled, y, flagged)
    for i, weight in enumerate(resampled.weights()):
        once = confusion(y, flagged, weight)
        assert found.true_positive[i + 1] == once.true_positive[0]
        assert found.f1[i + 1] == pytest.approx(once.f1[0])


def test_a_share_of_nothing_does_not_exist() -> None:
    found = confusion(np.zeros(3), np.zeros(3, bool))
    assert np.isnan([found.precision[0], found.recall[0], found.f1[0], found.balanced_accuracy[0]]).all()
    assert found.as_json({})["precision"] == {"value": None, "low": None, "high": None}
