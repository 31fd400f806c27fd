"""Errors of predicted values are those of scikit-learn, and of closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from offline.regression.value_metrics import mae, r2, rmse


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("of", "oracle"), [(mae, mean_absolute_error), (rmse, root_mean_squared_error), (r2, r2_score)]
)
def test_errors_are_those_of_scikit_learn(of, oracle, seed: int) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    y, predicted, weight = rng.gamma(0.5, 30, 50), rng.gamma(1, 15, 50), rng.integers(0, 4, 50).astype(float)
    np.testing.assert_allclose(of(y, predicted), oracle(y, predicted), rtol=1e-12)
    np.testing.assert_allclose(of(y, predicted, weight), oracle(y, predicted, sample_weight=weight), rtol=1e-12)
    np.testing.assert_allclose(of(y, predicted, weight), of(np.repeat(y, weight.astype(int)),
                                                            np.repeat(predicted, weight.astype(int))))  # fmt: skip


def test_the_own_mean_explains_nothing_and_a_constant_has_no_spread() -> None:
    y = np.array([1.0, 2.0, 6.0])
    assert r2(y, np.full(3, y.mean())) == pytest.approx(0.0, abs=1e-15)
    assert rmse(y, np.full(3, y.mean())) == pytest.approx(y.std())
    assert np.isnan(r2(np.ones(3), np.zeros(3)))
    assert np.isnan(mae(np.zeros(0), np.zeros(0)))
