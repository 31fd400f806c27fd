"""Made-up held-out rows whose true probabilities are known, and two models that know more or less of them."""

from __future__ import annotations

import numpy as np

from offline.cutoffs import Block, Cutoffs
from offline.evaluate import Judged
from offline.held_out import HeldOut
from offline.training_set import Span, TrainingSet
from schemas.durations import DAY_MS
from schemas.workload import load_workload
from stream_app.plan import Plan
from stream_app.recording import Rows

TEST_DAY = 19_900


def held_out_of(
    seed: int = 0, n: int = 6_000, second_knows: float = 0.3, inflated: float = 1.0, bad_slice: float | None = None
) -> HeldOut:
    """Rows of n / 3 customers.

    Parameters
    ----------
    second_knows
        Share of the log-odds that the second model knows, the rest is noise; 1 makes it the first.
    inflated
        By what the first model's probabilities are multiplied.
    bad_slice
        Value of the first categorical column for whom the first model is turned upside down.
    """
    random = np.random.default_rng(seed)
    plan = Plan.from_workload(load_workload("subscription_churn"))
    x = random.exponential(10, (n, plan.n_features)).astype(np.float32)
    for j, column in enumerate(plan.columns):
        if column.is_categorical:
            x[:, j] = random.integers(0, len(column.categories), n)
    odds = random.normal(-1.5, 1.2, n)
    p = 1 / (1 + np.exp(-odds))
    y = (random.random(n) < p).astype(float)
    guess = -1.5 + second_knows * (odds + 1.5) + (1.0 - second_knows) * random.normal(0, 1.2, n)
    first, second = p * inflated, p if second_knows == 1.0 else 1 / (1 + np.exp(-guess))
    if bad_slice is not None:
        j = next(i for i, column in enumerate(plan.columns) if column.is_categorical)
        first = np.where(x[:, j] == bad_slice, p.max() - p, first)
    customer = np.arange(n) // 3
    names = np.array([f"customer-{c}" for c in customer], object)
    rows = Rows(names, np.full(n, TEST_DAY * DAY_MS), np.zeros(n, np.uint8), x)
    nothing, test = Block(0, -1, ()), Block(TEST_DAY, TEST_DAY, (TEST_DAY,))
    testing = TrainingSet(plan, rows, y, Cutoffs(nothing, nothing, nothing, test, 30), Span(0, 0, 0))
    judged = Judged(y, customer.astype(np.int64), float(y.mean()))
    return HeldOut(testing, np.arange(n), judged, first, second, (0.5, 0.5))
