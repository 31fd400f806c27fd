"""Segments find what was planted, name it, and part the rows; slices tell what happened in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offline.bootstrap import interval
from offline.errors import OfflineError
from offline.ladder.segments import training_segments
from offline.ladder.slices import slice_rows
from offline.training_set import TrainingSet


@pytest.fixture(scope="module")
def planted(training: TrainingSet) -> TrainingSet:
    """Every third customer has many tickets and long sessions; all else is alike."""
    rng = np.random.default_rng(0)
    names = list(training.plan.feature_names)
    X = np.ones_like(training.rows.X)
    heavy = training.customer % 3 == 0
    for name in ("tickets_30d", "sessions_30d"):
        X[:, names.index(name)] = np.where(heavy, 40.0, 3.0) + rng.normal(0.0, 0.5, len(X))
    return replace(training, rows=replace(training.rows, X=X))


def test_two_planted_groups_are_two_segments_named_by_what_sets_them_apart(planted: TrainingSet) -> None:
    found = training_segments(planted, 0)
    assert len(found.names) == 2
    heavy = planted.customer % 3 == 0
    np.testing.assert_array_equal(found.assign(planted.rows.X) == 1, heavy)
    assert found.names[1].startswith("B: high ")
    assert {"tickets_30d", "sessions_30d"} == {word.split()[-1] for word in found.names[1].split(", ")}
    assert found.silhouette > 0.8


def test_every_row_belongs_to_the_nearest_centre_and_to_one_slice(training: TrainingSet) -> None:
    found, X = training_segments(training, 0), training.rows.X[:500]
    slices = found.slices(X)
    assert np.sum(list(slices.values()), axis=0).tolist() == [1] * 500
    assert all((found.labels(X) == name).tolist() == rows.tolist() for name, rows in slices.items())
    assert 2 <= len(found.names) <= 6
    assert len(set(found.names)) == len(found.names)
    again = training_segments(training, 0)
    np.testing.assert_array_equal(found.assign(X), again.assign(X))
    assert found.names == again.names


def test_outcomes_do_not_make_segments(training: TrainingSet, relabelled: Callable[..., TrainingSet]) -> None:
    other = relabelled(training, np.where(np.isfinite(training.y), 1.0 - training.y, np.nan))
    assert training_segments(other, 0).names == training_segments(training, 0).names


def test_few_or_equal_customers_have_no_segments(training: TrainingSet) -> None:
    alike = replace(training, rows=replace(training.rows, X=np.ones_like(training.rows.X)))
    with pytest.raises(OfflineError, match="no feature tells customers apart"):
        training_segments(alike, 0)
    few = replace(training, y=np.where(training.customer < 50, training.y, np.nan))
    with pytest.raises(OfflineError, match="customers are too few to look for segments; 100 are needed"):
        training_segments(few, 0)


def test_a_slice_is_told_with_intervals_by_customer() -> None:
    rng = np.random.default_rng(2)
    customer = np.repeat(np.arange(60), 4)
    y: Any = (rng.random(240) < 0.3).astype(np.float64)
    score = rng.random(240)
    slices = {"all": np.ones(240, dtype=bool), "nobody": np.zeros(240, dtype=bool), "half": customer < 30}
    rows = slice_rows(slices, y, customer, score, score, seed=7)
    assert [row["name"] for row in rows] == ["all", "half"]
    half = rows[1]
    assert (half["n"], half["n_customers"], half["n_positive"]) == (120, 30, int(y[:120].sum()))
    theirs = interval(customer[:120], lambda w: float(np.average(y[:120], weights=w)), seed=7)
    assert half["churn_rate"] == {"value": theirs.value, "low": theirs.low, "high": theirs.high}
