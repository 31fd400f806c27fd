"""Entries as text are read back as what they were, and change nothing of the features that were there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offline.entries import entry_text, with_features
from schemas.errors import WorkloadError
from schemas.workload import Feature
from stream_app.plan import Plan
from stream_app.recording import tick_rows
from tests.workloads import named_workload


@pytest.mark.parametrize("name", ["lapse", "silence", "subscription_churn", "random-1", "random-2"])
def test_every_entry_is_read_back_as_what_it_was(name: str) -> None:
    workload = named_workload(name)
    renamed = [
        Feature(**{**vars(feature), "name": f"again_{feature.name}", "doc": ""}) for feature in workload.features
    ]
    made = with_features(workload, renamed)
    assert list(made.features) == [*workload.features, *renamed]
    assert made.features[: len(workload.features)] == workload.features


def test_further_entries_leave_the_old_columns_bit_equal(workload: Any, company: Any) -> None:
    batches, n = company(workload, 100), len(workload.columns())
    more = [
        Feature("n", "count", of=("session",), windows=(1, 7, 14, 30, 60, 90)),
        Feature("r", "ratio", of=("session",), windows=(14, 60)),
        Feature("d", "distinct_days", of=("login", "session"), windows=(1, 14, 60)),
        Feature("s", "sum", of=("payment", "invoice"), field="amount", windows=(1, 90)),
    ]
    one, other = (
        tick_rows(Plan.from_workload(w), batches, [19_760, 19_800]) for w in (workload, with_features(workload, more))
    )
    assert one.customer_id.tolist() == other.customer_id.tolist()
    assert one.X.tobytes() == np.ascontiguousarray(other.X[:, :n]).tobytes()


def test_an_entry_that_cannot_be_is_refused_as_in_a_file(workload: Any) -> None:
    with pytest.raises(WorkloadError, match="sessionn"):
        with_features(workload, [Feature("x", "count", of=("sessionn",), windows=(7,))])
    assert entry_text(Feature("w", "calendar", part="month")).endswith('part = "month"')
