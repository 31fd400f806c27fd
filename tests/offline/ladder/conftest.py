"""Training sets of a small company, and a climbed ladder of a few quick steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offline.cutoffs import choose_cutoffs
from offline.ladder.ladder import Ladder, climb_ladder
from offline.training_set import TrainingSet, build_training_set
from schemas.workload import Workload

HORIZON_DAYS = 30
QUICK = ("logistic", "tree", "xgboost")


@pytest.fixture(scope="session")
def training_of(workload: Workload, company: Callable[..., Any]) -> Callable[..., TrainingSet]:
    def build(**more: Any) -> TrainingSet:
        batches = company(workload, **more)
        return build_training_set(
            workload,
            lambda: batches,
            lambda span: choose_cutoffs(span.first_day, span.known_until_day, HORIZON_DAYS),
            n_event_rows=6_000,
        )

    return build


@pytest.fixture(scope="session")
def training(training_of: Callable[..., TrainingSet]) -> TrainingSet:
    return training_of()


@pytest.fixture(scope="session")
def relabelled() -> Callable[[TrainingSet, Any], TrainingSet]:
    def with_labels(training: TrainingSet, y: Any) -> TrainingSet:
        return replace(training, y=np.asarray(y, dtype=np.float64))

    return with_labels


@pytest.fixture(scope="session")
def ladder(training: TrainingSet) -> Ladder:
    seconds = iter(range(10**9))
    return climb_ladder(training, (*QUICK, "online"), clock=lambda: float(next(seconds)))
