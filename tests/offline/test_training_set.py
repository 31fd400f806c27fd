"""Rows and labels of a training set are those of a slow reading of the log: what was known then, what came later."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from offline.cutoffs import choose_cutoffs, choose_short_cutoffs
from offline.training_set import TrainingSet, build_training_set
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.workload import Workload
from tests import oracles

HORIZON = 30
N_DAYS = 150


def _known_late(batches: list[EventBatch], seed: int) -> list[EventBatch]:
    """A third of the events become known up to two days after they happened."""
    rng = np.random.default_rng(seed)
    whole = {name: EventBatch.concat([b for b in batches if b.topic == name]) for name in {b.topic for b in batches}}
    late = []
    for batch in whole.values():
        delay = np.where(rng.random(len(batch)) < 0.3, rng.integers(0, 2 * DAY_MS, len(batch)), 0)
        late.append(dataclasses.replace(batch, known_time_ms=batch.event_time_ms + delay).sort())
    days = sorted({int(day) for batch in late for day in np.unique(batch.known_time_ms // DAY_MS)})
    parts = [batch.take(batch.known_time_ms // DAY_MS == day) for day in days for batch in late]
    return [part for part in parts if len(part)]


@pytest.fixture(scope="module")
def batches(workload: Workload, company: Any) -> list[EventBatch]:
    return _known_late(company(workload, n_customers=60, n_days=N_DAYS, seed=5), seed=5)


@pytest.fixture(scope="module")
def training(workload: Workload, batches: list[EventBatch]) -> TrainingSet:
    return build_training_set(
        workload,
        lambda: batches,
        lambda span: choose_cutoffs(span.first_day, span.known_until_day, HORIZON),
        purposes={},
    )


@pytest.fixture(scope="module")
def lives(workload: Workload, batches: list[EventBatch]) -> dict[str, list[oracles.Event]]:
    return oracles.by_customer(oracles.in_merge_order(workload, oracles.events_of(workload, batches)))


def _left(life: list[oracles.Event], t: int, known_until_ms: int) -> float:
    """Did the customer cancel in (t, t + horizon]? NaN when that is not known, or was over already."""
    end = t + HORIZON * DAY_MS
    cancels = [(e["event_time_ms"], e["known_time_ms"]) for e in life if e["kind"] == "cancel"]
    if end > known_until_ms or any(happened <= t <= known for happened, known in cancels):
        return np.nan
    return float(any(t < happened <= end for happened, _ in cancels))


def test_a_row_knows_what_was_known_at_its_cut_off_and_nothing_more(
    workload: Workload, training: TrainingSet, lives: dict[str, list[oracles.Event]]
) -> None:
    rows, n_late = training.rows, 0
    for day in training.cutoffs.days:
        t = day * DAY_MS
        known = {c: [e for e in life if e["known_time_ms"] < t] for c, life in lives.items()}
        scored = {c: seen for c, seen in known.items() if oracles.is_scored(workload, seen, t)}
        expected = {c: oracles.features(workload, seen, t) for c, seen in scored.items()}
        mine = np.flatnonzero((rows.kind == 0) & (rows.as_of_ms == t))
        assert sorted(rows.customer_id[mine]) == sorted(expected)
        for row in mine:
            np.testing.assert_array_equal(rows.X[row], np.array(expected[rows.customer_id[row]], np.float32))
        happened = {c: [e for e in life if e["event_time_ms"] < t] for c, life in lives.items()}
        n_late += sum(len(happened[c]) != len(known[c]) for c in expected)
    assert n_late > 50  # events that had happened and were not known: no row has them


def test_labels_are_those_of_the_definition_and_unknown_until_the_horizon_has_passed(
    training: TrainingSet, lives: dict[str, list[oracles.Event]]
) -> None:
    rows, until = training.rows, training.span.last_known_ms
    expected = [_left(lives[c], t, until) for c, t in zip(rows.customer_id, rows.as_of_ms.tolist(), strict=True)]
    np.testing.assert_array_equal(training.y, expected)
    assert np.isnan(training.y).any()
    unmatured = rows.as_of_ms + HORIZON * DAY_MS > until
    assert np.isnan(training.y[unmatured]).all()
    assert not any(training.fold(name)[unmatured].any() for name in ("fit", "between", "later", "test"))


def test_no_label_of_a_block_ends_after_the_next_block_begins_whatever_the_row_kind(training: TrainingSet) -> None:
    as_of, horizon = training.rows.as_of_ms, HORIZON * DAY_MS
    fit, later = training.fold("fit"), training.fold("later")
    trained, test = training.fold("fit", "between", "later"), training.fold("test")
    assert {0, 1} <= set(training.rows.kind[trained])
    assert as_of[fit].max() + horizon <= as_of[later].min()
    assert as_of[trained].max() + horizon <= as_of[test].min()


def test_a_customer_has_several_rows_in_a_block_and_intervals_keep_them_together(training: TrainingSet) -> None:
    rows = training.fold("fit", row_kind=0)
    names, codes = training.rows.customer_id[rows], training.customer[rows]
    assert len(set(names)) < rows.sum()
    assert len(set(names)) == len(set(codes)) == len(set(zip(names, codes, strict=True)))


def test_in_a_short_history_the_rows_that_calibrate_are_of_customers_that_nothing_was_fitted_on(
    workload: Workload, batches: list[EventBatch]
) -> None:
    training = build_training_set(
        workload,
        lambda: batches,
        lambda span: choose_short_cutoffs(span.first_day, span.known_until_day, HORIZON),
        purposes={},
    )
    fit, later, trained = training.fold("fit"), training.fold("later"), training.fold("fit", "between", "later")
    assert fit.any()
    assert later.any()
    assert not set(training.rows.customer_id[fit]) & set(training.rows.customer_id[later])
    assert ((fit | later) == trained).all()
    as_of = training.rows.as_of_ms
    assert as_of[trained].max() + HORIZON * DAY_MS <= as_of[training.fold("test")].min()
