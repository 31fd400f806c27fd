"""Folds in time: an embargo between what is fitted and what is judged, and never a row of the test block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offline.cutoffs import choose_cutoffs
from offline.errors import OfflineError
from offline.folds import time_folds
from offline.training_set import TrainingSet, build_training_set
from schemas.durations import DAY_MS
from schemas.workload import Workload

HORIZON = 30


def _training(workload: Workload, company: Any, n_days: int = 260, **more: Any) -> TrainingSet:
    batches = company(workload, n_days=n_days, **more)
    return build_training_set(
        workload, lambda: batches, lambda span: choose_cutoffs(span.first_day, span.known_until_day, HORIZON)
    )


@pytest.fixture(scope="module")
def training(workload: Workload, company: Any) -> TrainingSet:
    return _training(workload, company)


def test_a_label_is_known_before_the_first_row_it_is_judged_on(training: TrainingSet) -> None:
    folds = time_folds(training, 3)
    assert len(folds) >= 2
    for fold in folds:
        last_fit, first_judged = (training.rows.as_of_ms[rows] for rows in (fold.fit, fold.judge))
        assert last_fit.max() + HORIZON * DAY_MS <= first_judged.min()
        assert {0.0, 1.0} == set(training.y[fold.fit]) == set(training.y[fold.judge])


def test_the_test_block_is_in_no_fold_and_no_row_is_judged_twice(training: TrainingSet) -> None:
    folds = time_folds(training, 3)
    assert not any((training.fold("test") & (fold.fit | fold.judge)).any() for fold in folds)
    assert np.sum([fold.judge for fold in folds], axis=0).max() == 1


def test_a_history_without_leavers_before_the_embargo_is_told(workload: Workload, training: TrainingSet) -> None:
    y = np.where(training.rows.as_of_ms < (training.cutoffs.later.last_day) * DAY_MS, 0.0, training.y)
    stayed = TrainingSet(training.plan, training.rows, y, training.cutoffs, training.span)
    with pytest.raises(OfflineError, match="no fold in time"):
        time_folds(stayed)
