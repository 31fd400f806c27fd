"""Skill is claimed on enough leavers alone, beyond the base rate and the rule."""

import numpy as np
import pytest

from offline.evaluate import Judged, skill


def _judged(n_customers: int, rate: float, rows: int = 1, seed: int = 0) -> tuple[Judged, np.ndarray]:
    """A score that knows much of who leaves; every customer has a few rows that are alike."""
    rng = np.random.default_rng(seed)
    y = np.repeat((rng.random(n_customers) < rate).astype(np.float64), rows)
    score = np.clip(0.3 + 0.4 * y + 0.1 * rng.normal(size=len(y)), 0.01, 0.99)
    return Judged(y, np.repeat(np.arange(n_customers), rows), rate), score


def test_eight_leavers_are_too_few_however_often_they_were_looked_at() -> None:
    judged, score = _judged(200, 0.0, rows=6)
    y = judged.y.copy()
    y[: 8 * 6] = 1.0
    few = Judged(y, judged.customer, 0.04)
    found = skill(few, np.where(y > 0, 0.9, score), None)
    assert not found["claimed"]
    assert found["text"] == "too few leavers to tell: 48 positive rows of 8 customers, at least 10 needed"
    assert few.size()["n_positive"] == 48
    assert few.n_leavers == 8


def test_a_score_that_knows_is_believed_and_one_that_does_not_is_not() -> None:
    judged, score = _judged(400, 0.2)
    assert skill(judged, score, None)["claimed"]
    blind = np.random.default_rng(1).random(400)
    found = skill(judged, blind, None)
    assert not found["claimed"]
    assert "covers 0.5" in found["text"]
    as_good = skill(judged, score, score)
    assert not as_good["claimed"]
    assert "the rule does as well" in as_good["text"]


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_outcomes_show_no_skill(seed: int) -> None:
    judged, score = _judged(300, 0.2, rows=2, seed=seed)
    order = np.random.default_rng(seed).permutation(300)
    y = judged.y.reshape(300, 2)[order].ravel()
    assert not skill(Judged(y, judged.customer, 0.2), score, None)["claimed"]
