"""The parts of the Brier score add up, bins keep ties together, and curves equal a second library's."""

import numpy as np
import pytest
import sklearn.metrics as sk
from sklearn.calibration import calibration_curve

from offline.bootstrap import Resampled
from offline.evaluation.calibration import bin_of, binned, binned_replicates


def _sample(seed: int, n_values: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 6, 500) if n_values is None else rng.choice(np.linspace(0.05, 0.9, n_values), 500)
    return (rng.random(500) < p**1.3).astype(np.float64), p, rng.integers(0, 3, 500).astype(np.float64)


@pytest.mark.parametrize("seed", range(5))
def test_the_parts_add_up_to_scikit_learns_brier_score(seed: int) -> None:
    y, p, weight = _sample(seed)
    for w in (None, weight):
        found = binned(y, p, weight=w)
        brier = sk.brier_score_loss(y, p, sample_weight=w)
        assert found.brier[0] == pytest.approx(brier, abs=1e-12)
        parts = found.reliability - found.resolution + found.uncertainty + found.within_bins
        assert parts[0] == pytest.approx(brier, abs=1e-12)
        assert found.gap[0] == pytest.approx(np.average(p, weights=w) - np.average(y, weights=w))


@pytest.mark.parametrize("seed", range(5))
def test_with_equal_probabilities_in_a_bin_murphys_three_parts_are_all(seed: int) -> None:
    y, p, _ = _sample(seed, n_values=6)
    found = binned(y, p)
    assert found.weight.shape[1] <= 6
    assert found.within_bins[0] == pytest.approx(0.0, abs=1e-12)
    groups = [(y[p == value].mean(), value, (p == value).sum()) for value in np.unique(p)]
    reliability = sum(n * (value - rate) ** 2 for rate, value, n in groups) / 500
    resolution = sum(n * (rate - y.mean()) ** 2 for rate, _, n in groups) / 500
    if found.weight.shape[1] == 6:
        assert found.reliability[0] == pytest.approx(reliability)
        assert found.resolution[0] == pytest.approx(resolution)
    assert found.uncertainty[0] == pytest.approx(y.mean() * (1 - y.mean()))


def test_the_expected_calibration_error_is_the_mean_distance_over_bins() -> None:
    y = np.array([1.0, 0.0, 1.0, 1.0])
    p = np.array([0.2, 0.2, 0.8, 0.8])
    assert binned(y, p).ece[0] == pytest.approx((2 * abs(0.2 - 0.5) + 2 * abs(0.8 - 1.0)) / 4)


def test_the_curve_equals_scikit_learns_on_bins_of_equal_size() -> None:
    y, p, _ = _sample(1)
    rate, said = calibration_curve(y, p, n_bins=10, strategy="quantile")
    found = binned(y, p)
    np.testing.assert_allclose(found.said[0], said, atol=2e-3)  # one row may lie on the other side of an edge
    np.testing.assert_allclose(found.churned[0], rate, atol=0.03)


def test_ties_are_never_torn_apart() -> None:
    p = np.array([0.1] * 70 + [0.2, 0.3, 0.4] * 10)
    bins = bin_of(p)
    assert all(len(set(bins[p == value])) == 1 for value in np.unique(p))
    assert set(bins) == set(range(bins.max() + 1))
    assert len(bin_of(np.zeros(0))) == 0


def test_intervals_of_the_curve_cover_what_was_true_about_as_often_as_they_say() -> None:
    covered = total = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        p = np.repeat([0.1, 0.3, 0.6], 150)
        y = (rng.random(450) < p).astype(np.float64)
        found = binned_replicates(Resampled(np.arange(450), 200, seed), y, p).curve()
        for row in found:
            covered += row["churned"]["low"] <= row["probability"] <= row["churned"]["high"]
            total += 1
    assert 0.88 <= covered / total <= 0.99
