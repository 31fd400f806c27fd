"""The gain over the defaults: paired, and not fooled by the best of many that are all alike."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from offline.calibrate import fit_platt
from offline.metrics import Floats
from offline.tuning.criterion import CRITERIA
from offline.tuning.fold_models import JudgedRows
from offline.tuning.gain import gain_over_defaults

N_CUSTOMERS = 400


def judged(rng: np.random.Generator) -> tuple[JudgedRows, Floats]:
    """Two folds of customers, and their true log odds."""
    margin = rng.normal(-1.0, 1.2, 2 * N_CUSTOMERS)
    y = (rng.random(len(margin)) < 1.0 / (1.0 + np.exp(-margin))).astype(np.float64)
    customer = np.tile(np.arange(N_CUSTOMERS), 2)
    return JudgedRows(y, customer, (N_CUSTOMERS, 2 * N_CUSTOMERS)), margin


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_criterion_is_that_of_scikit_learn_averaged_over_folds(name: str, weighted: bool) -> None:
    rng = np.random.default_rng(1)
    rows, margin = judged(rng)
    margin = np.round(margin + rng.normal(0, 1, len(margin)), 1)  # with ties
    weight = rng.integers(0, 3, len(margin)).astype(np.float64) if weighted else np.ones(len(margin))
    values = []
    for part in (slice(0, N_CUSTOMERS), slice(N_CUSTOMERS, None)):
        y, m, w = rows.y[part], margin[part], weight[part]
        if name == "log_loss":
            values.append(log_loss(y, fit_platt(y, m).probability(m), sample_weight=w))
        else:
            oracle = roc_auc_score if name == "roc_auc" else average_precision_score
            values.append(oracle(y, m, sample_weight=w))
    found = rows.statistic(CRITERIA[name], margin)(weight if weighted else None)
    np.testing.assert_allclose(found, np.mean(values), rtol=1e-9)


def test_the_best_of_many_equals_is_no_gain() -> None:
    """Twenty noisy copies of the same knowledge: the winner looks better on the folds, and is not."""
    n_fooled = n_claimed = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        rows, margin = judged(rng)
        margins = {i: margin + rng.normal(0, 0.7, len(margin)) for i in range(20)}
        found = gain_over_defaults(CRITERIA["log_loss"], rows, margins, n_replicates=80)
        n_fooled += found.on_folds.low > 0
        n_claimed += found.is_worth_it
    assert n_fooled >= 3, "else this test shows nothing"
    assert n_claimed <= 1


def test_a_real_gain_is_claimed_and_of_the_right_size() -> None:
    rng = np.random.default_rng(0)
    rows, margin = judged(rng)
    margins = {i: margin + rng.normal(0, 0.4 if i == 7 else 2.0, len(margin)) for i in range(10)}
    found = gain_over_defaults(CRITERIA["roc_auc"], rows, margins, n_replicates=100)
    assert found.is_worth_it
    assert "worth it" in found.text(CRITERIA["roc_auc"])
    truth = _gain_on_many(np.random.default_rng(1))
    assert found.expected.low < truth < found.expected.high
    assert found.on_folds.low < found.on_folds.value < found.on_folds.high


def _gain_on_many(rng: np.random.Generator) -> float:
    """The same gain on 200,000 rows."""
    margin = rng.normal(-1.0, 1.2, 200_000)
    y = rng.random(len(margin)) < 1.0 / (1.0 + np.exp(-margin))
    good, bad = (roc_auc_score(y, margin + rng.normal(0, noise, len(margin))) for noise in (0.4, 2.0))
    return float(good - bad)


def test_when_the_defaults_win_nothing_is_gained() -> None:
    rng = np.random.default_rng(0)
    rows, margin = judged(rng)
    margins = {0: margin, **{i: rng.normal(0, 1, len(margin)) for i in range(1, 5)}}
    found = gain_over_defaults(CRITERIA["pr_auc"], rows, margins, n_replicates=50)
    assert (found.on_folds.value, found.expected.value) == (0.0, 0.0)
    assert "Keep the defaults" in found.text(CRITERIA["pr_auc"])
