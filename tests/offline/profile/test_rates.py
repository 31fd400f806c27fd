"""Churn rates are counts, and their intervals those of the house's bootstrap by customer."""

from __future__ import annotations

import numpy as np
import pytest

from offline.bootstrap import interval
from offline.profile.rates import N_REPLICATES, many_rates, rates_of


def test_rates_and_intervals_are_those_of_the_bootstrap_by_customer() -> None:
    rng = np.random.default_rng(0)
    n = 600
    customer = rng.integers(0, 120, n)
    customer = np.unique(customer, return_inverse=True)[1].astype(np.int64)
    y = (rng.random(n) < 0.2).astype(np.float64)
    one, other = rng.integers(0, 3, n), rng.integers(0, 4, n)
    found = many_rates(np.stack([one, other], axis=1), ["abc", "wxyz"], y, customer)
    assert [rate.name for rates in found for rate in rates] == list("abcwxyz")
    for group, rates in ((one, found[0]), (other, found[1])):
        for at, rate in enumerate(rates):
            mine = group == at

            def share(w: np.ndarray | None, mine: np.ndarray = mine) -> float:  # type: ignore[type-arg]
                weight = np.ones(n) if w is None else w
                return float((weight * y)[mine].sum() / weight[mine].sum())

            theirs = interval(customer, share, N_REPLICATES)
            assert (rate.n, rate.value) == (mine.sum(), pytest.approx(theirs.value))
            assert (rate.low, rate.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_an_empty_group_has_no_rate() -> None:
    rates = rates_of(np.zeros(5, np.int64), ["some", "none"], np.ones(5), np.arange(5))
    assert rates[0].as_json() == {"name": "some", "n": 5, "rate": 1.0, "low": 1.0, "high": 1.0}
    assert rates[1].as_json() == {"name": "none", "n": 0, "rate": None, "low": None, "high": None}
