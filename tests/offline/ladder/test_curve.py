"""The learning curve: nested customers, the same test rows at every share, and what more customers would bring."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offline.bootstrap import Interval
from offline.ladder.climb import some_customers
from offline.ladder.curve import Point, learning_curve, more_customers, n_units
from offline.ladder.ladder import Ladder
from offline.training_set import TrainingSet


class Counting:
    def __init__(self) -> None:
        self.n = 0

    def begin(self, n_units: int) -> None: ...

    def advance(self, what: str) -> None:
        self.n += 1


def test_customers_of_a_smaller_share_are_in_every_larger_one(training: TrainingSet) -> None:
    small, half, everybody = (set(training.customer[some_customers(training, s, 3)]) for s in (0.1, 0.5, 1.0))
    assert small < half < everybody
    assert everybody == set(training.customer[training.fold("fit", "between", "later")])


def test_all_customers_are_the_step_itself_and_its_gain_over_itself_is_nothing(
    training: TrainingSet, ladder: Ladder
) -> None:
    step, counting = ladder.climbed[2], Counting()
    points = learning_curve(step, training, 0, lambda: 0.0, counting, shares=(0.2, 1.0), n_draws=2)
    assert counting.n == n_units((0.2, 1.0), 2)
    whole = points[-1]
    assert whole.metrics["roc_auc"].value == pytest.approx(ladder.found["steps"][2]["rows"]["tick"]["roc_auc"]["value"])
    assert whole.gain_of_all["roc_auc"] == Interval(0.0, 0.0, 0.0)
    assert (points[0].n_customers, whole.n_rows) == (round(0.2 * whole.n_customers), step.answers.n_fit)
    assert points[0].n_rows < whole.n_rows
    assert [point["share"] for point in ladder.found["learning_curve"]["points"]] == [0.1, 0.25, 0.5, 1.0]


def test_a_share_of_one_class_is_left_out(training: TrainingSet, ladder: Ladder) -> None:
    counting = Counting()
    points = learning_curve(ladder.climbed[2], training, 0, lambda: 0.0, counting, shares=(0.003, 1.0), n_draws=1)
    assert [point.share for point in points] == [1.0]
    assert counting.n == 4
    assert more_customers(points) == "too few customers to tell what more of them would bring"


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (Interval(0.03, 0.01, 0.05), "more customers help"),
        (Interval(0.001, 0.0001, 0.002), "would hardly help"),
        (Interval(0.01, -0.01, 0.03), "cannot tell whether more customers would help"),
        (Interval(0.001, -0.01, 0.015), "a doubling would bring little"),
        (Interval(-0.03, -0.05, -0.01), "did not help"),
    ],
)
def test_the_last_doubling_tells_what_more_customers_would_bring(gain: Interval, said: str) -> None:
    some: Any = {"roc_auc": Interval(0.7, 0.6, 0.8)}
    points = [Point(0.5, 500, 5_000, some, {"roc_auc": gain}), Point(1.0, 1_000, 10_000, some, some)]
    text = more_customers(points)
    assert text.startswith(f"from 500 to 1,000 customers the AUC moved by {gain.value:+.3f}")
    assert said in text
    assert np.isfinite(gain.value)
