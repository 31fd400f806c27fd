"""Gains are paired, agreement needs no truth, and both stand on rows that neither model has seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from offline import metrics
from offline.comparison import agreement, compare_versions, rank_correlation, weighted_lift
from tests.offline.judged_rows import held_out_of


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_is_scipys(seed: int) -> None:
    random = np.random.default_rng(seed)
    one, other = random.integers(0, 20, 200).astype(float), random.normal(size=200).round(1)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert np.isnan(rank_correlation(one, np.ones(200)))


@pytest.mark.parametrize("seed", range(5))
def test_a_row_of_weight_two_counts_in_the_lift_as_if_it_stood_there_twice(seed: int) -> None:
    random = np.random.default_rng(seed)
    y, score = (random.random(300) < 0.2).astype(float), random.random(300).round(2)
    weight = random.integers(0, 4, 300)
    assert weighted_lift(y, score) == pytest.approx(metrics.lift(y, score))
    twice = metrics.lift(np.repeat(y, weight), np.repeat(score, weight))
    assert weighted_lift(y, score, weight.astype(float)) == pytest.approx(twice)


def test_values_are_scikit_learns_and_gains_their_differences() -> None:
    held_out = held_out_of(seed=1)
    y, one, other = held_out.judged.y, held_out.first, held_out.second
    found = compare_versions(held_out, "v0002", "v0001")
    for name, measure in (("auc", roc_auc_score), ("log_loss", log_loss), ("brier", brier_score_loss)):
        expected = measure(y, one), measure(y, other)
        assert found.values[name] == pytest.approx(expected)
        sign = 1 if name == "auc" else -1
        assert found.gains[name].value == pytest.approx(sign * (expected[0] - expected[1]))
        assert found.gains[name].low > 0, "the first knows the truth, the second a part of it"
    assert found.verdict.is_better
    assert any("verdict on v0002: ranks better than v0001" in line for line in found.lines())
    assert found.as_json()["gains"]["auc"]["low"] > 0


def test_a_version_beside_itself_gains_nothing_and_agrees() -> None:
    held_out = held_out_of(seed=2, second_knows=1.0)
    found = compare_versions(held_out, "a", "b")
    assert all((gain.value, gain.low, gain.high) == (0, 0, 0) for gain in found.gains.values())
    assert list(found.agreement.values()) == pytest.approx([1.0, 1.0, 1.0])
    assert not found.verdict.is_better


def test_agreement_counts_sides_and_the_highest_tenth() -> None:
    one, other = np.arange(20) / 20, np.r_[np.arange(18) / 20, 0.95, 0.9]
    assert agreement(one, other, (0.5, 0.5))["same_side"] == 1.0
    assert agreement(one, other, (0.9, 0.5))["same_side"] == pytest.approx(12 / 20)
    assert agreement(one, other[::-1], (0.5, 0.5))["top_in_common"] == 0.0
    assert agreement(one, other, (0.5, 0.5))["top_in_common"] == 1.0
