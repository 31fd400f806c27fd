"""Snapshots are the rows that training takes, and those of the same customers some days earlier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offline.cutoffs import given_cutoffs
from offline.errors import HistoryTooShortError, OfflineError
from offline.profile import snapshots as module
from offline.profile.snapshots import take_snapshots
from offline.training_set import build_training_set
from schemas.durations import DAY_MS
from schemas.workload import Workload
from stream_app.plan import Plan
from stream_app.recording import tick_rows

FIRST = 19_700
CUTOFFS = (FIRST + 60, FIRST + 95, FIRST + 150)


def test_rows_and_labels_are_those_of_a_training_set(workload: Workload, company: Any) -> None:
    batches = company(workload)
    rows = take_snapshots(workload, lambda: batches, days=CUTOFFS)
    split = given_cutoffs(list(CUTOFFS[:2]), [CUTOFFS[2]], 30)
    training = build_training_set(workload, lambda: batches, lambda _: split, n_event_rows=0, purposes={})
    at = np.isin(training.rows.as_of_ms // DAY_MS, CUTOFFS) & np.isfinite(training.y)
    mine, theirs = np.column_stack([rows.day, rows.y, rows.X]), training.rows.as_of_ms[at] // DAY_MS
    expected = np.column_stack([theirs, training.y[at], training.rows.X[at]])
    for table in (mine, expected):  # the order of customers is each reader's own
        table[np.isnan(table)] = -1.0
    np.testing.assert_array_equal(mine[np.lexsort(mine.T)], expected[np.lexsort(expected.T)])
    assert rows.cutoff_days == CUTOFFS
    assert [column.name for column in rows.columns] == list(workload.columns())


def test_earlier_rows_are_of_the_same_customers(workload: Workload, company: Any) -> None:
    batches = company(workload)
    rows = take_snapshots(workload, lambda: batches, days=CUTOFFS[1:2])
    plan = Plan.from_workload(workload)
    now, then = (tick_rows(plan, batches, [CUTOFFS[1] - days]) for days in (0, 7))
    of_then = dict(zip(then.customer_id, then.X, strict=True))
    kept = np.isfinite(rows.y)
    assert len(now) == len(rows) == kept.sum()
    for i, customer in enumerate(now.customer_id):
        assert rows.was_there[7][i] == (customer in of_then)
        expected = of_then.get(customer, np.full(plan.n_features, np.nan, np.float32))
        np.testing.assert_array_equal(rows.earlier[7][i], expected)


def test_near_ends_are_those_of_a_tenth_of_the_horizon(workload: Workload, company: Any) -> None:
    rows = take_snapshots(workload, lambda: company(workload), days=CUTOFFS)
    assert rows.near is not None
    assert 0 < rows.near.sum() < rows.y.sum()
    assert (rows.y[rows.near] == 1.0).all()


def test_a_large_history_is_seen_through_a_share_of_its_customers(
    workload: Workload, company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = company(workload)
    whole = take_snapshots(workload, lambda: batches)
    monkeypatch.setattr(module, "MAX_ROWS", 1200)
    part = take_snapshots(workload, lambda: batches)
    assert part.share == pytest.approx(1200 / 400 / len(part.cutoff_days))
    assert 0.5 * part.share < len(np.unique(part.customer)) / len(np.unique(whole.customer)) < 1.6 * part.share


def test_some_rows_are_all_rows_of_some_customers(workload: Workload, company: Any) -> None:
    rows = take_snapshots(workload, lambda: company(workload))
    some = rows.some(1000)
    assert 700 < len(some) < 1300
    counts, all_counts = np.bincount(some.customer), np.bincount(rows.customer)
    assert sorted(counts.tolist()) != []
    assert set(counts.tolist()) <= set(all_counts.tolist())
    assert counts.min() >= 1


def test_what_cannot_be_looked_at_is_told(workload: Workload, company: Any) -> None:
    batches = company(workload, n_days=121)
    with pytest.raises(OfflineError, match="is not matured: the last day with a label is"):
        take_snapshots(workload, lambda: batches, days=(FIRST + 110,))
    early = [batch for batch in batches if batch.known_time_ms.max() < (FIRST + 40) * DAY_MS]
    with pytest.raises(HistoryTooShortError, match="58 needed"):
        take_snapshots(workload, lambda: early)
