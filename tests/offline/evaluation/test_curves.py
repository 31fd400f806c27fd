"""Curves equal scikit-learn's and slow counts; KS equals SciPy's."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk

from offline import metrics
from offline.bootstrap import Resampled
from offline.evaluation.curves import GAIN_SHARES, curves, gains, gains_table, pr_curve, roc_curve, thinned
from tests.offline.evaluation.rows import made_rows


def _sample(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 200))
    y = (rng.random(n) < 0.3).astype(np.float64)
    y[:2] = [0.0, 1.0]
    return y, np.round(0.4 * y + rng.random(n), 1 + seed % 3), rng.integers(1, 4, n).astype(np.float64)


@pytest.mark.parametrize("seed", range(10))
def test_roc_and_pr_curves_equal_scikit_learn(seed: int) -> None:
    y, score, weight = _sample(seed)
    for w in (None, weight):
        fpr, tpr, _ = sk.roc_curve(y, score, sample_weight=w, drop_intermediate=False)
        np.testing.assert_allclose(roc_curve(y, score, w), (fpr, tpr), atol=1e-12)
        precision, recall, _ = sk.precision_recall_curve(y, score, sample_weight=w)
        ours = pr_curve(y, score, w)
        np.testing.assert_allclose(ours[0], recall[-2::-1], atol=1e-12)
        np.testing.assert_allclose(ours[1], precision[-2::-1], atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_ks_equals_scipy(seed: int) -> None:
    y, score, weight = _sample(seed)
    expected = scipy.stats.ks_2samp(score[y > 0], score[y == 0]).statistic
    assert metrics.ks(y, score) == pytest.approx(expected)
    repeated = np.repeat(np.arange(len(y)), weight.astype(int))
    assert metrics.ks(y, score, weight) == pytest.approx(metrics.ks(y[repeated], score[repeated]))


def test_gains_and_lift_are_counts_of_the_best_scored() -> None:
    rng = np.random.default_rng(0)
    y, score = (rng.random(200) < 0.2).astype(np.float64), rng.permutation(200).astype(np.float64)
    order = np.argsort(-score)
    for share in (0.1, 0.25, 1.0):
        caught = y[order[: round(share * 200)]].sum()
        assert gains(y, score, np.array([share]))[0] == pytest.approx(caught / y.sum())
        assert metrics.lift(y, score, share) == pytest.approx(caught / (share * 200) / y.mean())


def test_weighted_gains_are_those_of_repeated_rows() -> None:
    y, score, weight = _sample(5)
    repeated = np.repeat(np.arange(len(y)), weight.astype(int))
    shares = np.array(GAIN_SHARES)
    np.testing.assert_allclose(gains(y, score, shares, weight), gains(y[repeated], score[repeated], shares))
    assert metrics.lift(y, score, 0.2, weight) == pytest.approx(metrics.lift(y[repeated], score[repeated], 0.2))


def test_a_score_that_knows_nothing_gains_nothing() -> None:
    y = np.r_[np.ones(20), np.zeros(180)]
    shares = np.array([0.1, 0.5, 1.0])
    np.testing.assert_allclose(gains(y, np.zeros(200), shares), shares)


def test_the_table_brackets_its_values() -> None:
    rows = made_rows(1_000)
    for row in gains_table(Resampled(rows.customer, 100), rows.y, rows.probability):
        gain = row["gain"]
        assert gain["low"] <= gain["value"] + 1e-9
        assert gain["value"] <= gain["high"] + 1e-9
        assert row["lift"] == pytest.approx(gain["value"] / row["share"])


def test_curves_are_thinned_and_keep_their_ends() -> None:
    values = np.arange(1_000.0)
    assert len(thinned(values)) <= 200
    assert (thinned(values)[0], thinned(values)[-1]) == (0.0, 999.0)
    rows = made_rows(1_000)
    found = curves(rows.y, rows.probability)
    assert found["roc"]["recall"][-1] == found["gains"]["gain"][-1] == 1.0
    assert sum(found["histogram"]["stayed"]) + sum(found["histogram"]["left"]) == 1_000
