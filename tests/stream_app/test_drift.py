"""Distances on counts against scipy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from stream_app import drift

counts = st.lists(st.integers(0, 10_000), min_size=11, max_size=11).filter(lambda c: sum(c) > 0)


@given(counts, counts)
def test_psi_is_both_kullback_leibler_divergences_of_the_smoothed_shares(a: list[int], b: list[int]) -> None:
    seen = (np.array(a) > 0) | (np.array(b) > 0)
    p, q = np.array(a)[seen] + 0.5, np.array(b)[seen] + 0.5
    assert float(drift.psi(a, b)) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), abs=1e-12)


@given(counts, counts)
def test_jensen_shannon_equals_scipy(a: list[int], b: list[int]) -> None:
    seen = (np.array(a) > 0) | (np.array(b) > 0)
    expected = distance.jensenshannon(np.array(a)[seen] + 0.5, np.array(b)[seen] + 0.5, base=2)
    assert float(drift.jensen_shannon(a, b)) == pytest.approx(expected, abs=1e-7)


@given(counts, counts)
def test_wasserstein_equals_scipy_on_bin_numbers(a: list[int], b: list[int]) -> None:
    bins = np.arange(11)
    assert float(drift.wasserstein(a, b)) == pytest.approx(stats.wasserstein_distance(bins, bins, a, b), abs=1e-9)


def test_kolmogorov_smirnov_equals_scipy_on_the_bin_numbers() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 11, 300), rng.integers(0, 9, 200)
    found = drift.kolmogorov_smirnov(np.bincount(a, minlength=11), np.bincount(b, minlength=11))
    assert float(found) == pytest.approx(stats.ks_2samp(a, b).statistic)


def test_chi_square_equals_scipy_and_leaves_out_empty_bins() -> None:
    a, b = [10, 20, 30, 0], [20, 20, 10, 0]
    statistic, degrees = drift.chi_square(a, b)
    expected = stats.chi2_contingency([a[:3], b[:3]], correction=False)
    assert (float(statistic), int(degrees)) == (pytest.approx(expected.statistic), expected.dof)


@pytest.mark.parametrize("name", ["psi", "jensen_shannon", "kolmogorov_smirnov", "wasserstein"])
def test_a_distance_is_zero_without_drift_symmetric_and_grows_with_it(name: str) -> None:
    statistic = getattr(drift, name)
    base = np.full(10, 1000)
    tilted = [base + step * np.arange(-45, 55, 10) for step in (0, 2, 5, 10, 20)]
    distances = [float(statistic(base, current)) for current in tilted]
    assert distances[0] == 0.0
    assert distances == sorted(distances)
    assert distances[-1] > distances[1] > 0.0
    assert float(statistic(base, tilted[3])) == pytest.approx(float(statistic(tilted[3], base)))


@pytest.mark.parametrize("name", ["psi", "jensen_shannon", "kolmogorov_smirnov", "wasserstein"])
def test_rows_of_a_table_are_compared_one_by_one(name: str) -> None:
    statistic = getattr(drift, name)
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 50, (4, 11)), rng.integers(0, 50, (4, 11))
    assert statistic(a, b).tolist() == pytest.approx([float(statistic(x, y)) for x, y in zip(a, b, strict=True)])


def test_a_bin_empty_on_both_sides_changes_nothing_and_one_empty_side_stays_finite() -> None:
    assert float(drift.psi([5, 0, 9], [6, 0, 3])) == pytest.approx(float(drift.psi([5, 9], [6, 3])))
    assert np.isfinite(drift.psi([100, 0], [0, 100]))
    assert np.isfinite(drift.psi([0, 0], [0, 7]))


def test_a_tiny_window_is_too_few_whatever_its_distance() -> None:
    tiny = drift.psi(np.full(10, 1000), np.eye(10, dtype=int)[0] * 10)
    assert float(tiny) > 1.5
    assert drift.verdict_of(float(tiny), 0.25, 10, 500) == "too_few"
    assert drift.verdict_of(0.3, 0.25, 500, 500) == "drifted"
    assert drift.verdict_of(0.25, 0.25, 500, 500) == "steady"
