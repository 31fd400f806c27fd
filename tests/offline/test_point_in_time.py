"""Training is point in time: what becomes known after a cut-off changes no bit of a row at the cut-off.

The law is tried on rows, on training sets and on a builder that breaks it, so that it is known to see a leak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offline.cutoffs import given_cutoffs
from offline.training_set import build_training_set
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.workload import Workload
from stream_app.plan import Plan
from stream_app.recording import Rows, tick_rows
from tests.offline.conftest import make_company
from tests.offline.profile.made import by_known_day, leaky_workload, planted

FIRST = 19_700
CUTOFF = FIRST + 70
WORKLOAD = leaky_workload()
PLAN = Plan.from_workload(WORKLOAD)
HONEST = make_company(WORKLOAD, n_customers=40, n_days=100)
BASE = [*HONEST, planted(WORKLOAD, HONEST, ("noted", "exit_call", "parting"))]

LATER = st.lists(
    st.tuples(
        st.integers(0, 50),  # customer; some are new
        st.sampled_from([(topic.name, kind.name) for topic in WORKLOAD.topics for kind in topic.kinds]),
        st.integers(0, 60 * DAY_MS),  # known so long after the cut-off
        st.integers(0, 2 * DAY_MS),  # and happened so long before it was known
        st.integers(-5, 1_000_000),  # every value field
    ),
    min_size=1,
    max_size=25,
)


def batches_of(later: Sequence[tuple[int, tuple[str, str], int, int, int]]) -> list[EventBatch]:
    found = []
    for topic in WORKLOAD.topics:
        rows = sorted((row for row in later if row[1][0] == topic.name), key=lambda row: row[2])
        if not rows:
            continue
        known = np.array([CUTOFF * DAY_MS + row[2] for row in rows])
        values: dict[str, Any] = {}
        for field in topic.fields:
            numbers = [float(row[4]) for row in rows]
            texts = (
                np.array([field.categories[row[4] % len(field.categories)] for row in rows], object)
                if (field.categories)
                else np.zeros(0)
            )
            values[field.name] = texts if field.categories else np.array(numbers)
        found.append(
            EventBatch(
                topic=topic.name,
                event_id=np.array([f"later-{topic.name}-{i}" for i in range(len(rows))], object),
                customer_id=np.array([f"customer-{row[0]}" for row in rows], object),
                event_time_ms=known - np.array([row[3] for row in rows]),
                known_time_ms=known,
                kind=np.array([topic.kind_index[row[1][1]] for row in rows], np.int16),
                values=values,
            )
        )
    return found


def assert_same(one: Rows, other: Rows) -> None:
    a, b = np.argsort(one.customer_id.astype(str)), np.argsort(other.customer_id.astype(str))
    assert one.customer_id[a].tolist() == other.customer_id[b].tolist()
    assert one.X[a].tobytes() == other.X[b].tobytes()


KNOWN = tick_rows(PLAN, by_known_day(BASE), [CUTOFF])


@given(later=LATER)
@settings(max_examples=10)
def test_what_becomes_known_after_a_cutoff_changes_no_bit_of_its_rows(later: list[Any]) -> None:
    assert len(KNOWN) > 15
    assert_same(tick_rows(PLAN, by_known_day([*BASE, *batches_of(later)]), [CUTOFF]), KNOWN)


@given(later=LATER)
@settings(max_examples=3)
def test_a_training_set_keeps_its_rows_and_its_matured_labels_when_more_becomes_known(later: list[Any]) -> None:
    split = given_cutoffs([CUTOFF - 60, CUTOFF - 30], [CUTOFF], 30)

    def built(batches: Sequence[EventBatch]) -> tuple[Rows, Any]:
        days = by_known_day(batches)
        made = build_training_set(WORKLOAD, lambda: days, lambda _: split, n_event_rows=0, purposes={})
        early = made.rows.as_of_ms <= (CUTOFF - 33) * DAY_MS  # labels that had matured before the later events
        return made.rows.take(made.rows.as_of_ms == CUTOFF * DAY_MS), made.y[early]

    (rows, y), (rows_more, y_more) = built(BASE), built([*BASE, *batches_of(later)])
    assert_same(rows, rows_more)
    np.testing.assert_array_equal(y, y_more)


@pytest.mark.parametrize("topic", ["usage", "crm"])
def test_the_law_sees_a_builder_that_takes_events_when_they_happened(topic: str) -> None:
    kinds = {"usage": "session", "crm": "exit_call"}
    known_late = batches_of([(c, (topic, kinds[topic]), DAY_MS // 2, DAY_MS, 7) for c in range(40)])
    as_happened = [replace(batch, known_time_ms=batch.event_time_ms) for batch in known_late]
    with pytest.raises(AssertionError):
        assert_same(tick_rows(PLAN, by_known_day([*BASE, *as_happened]), [CUTOFF]), KNOWN)


def test_the_planted_leak_shows_in_the_rows(workload: Workload) -> None:
    assert set(WORKLOAD.columns()) - set(workload.columns()) == {"exit_calls_90d", "end_day", "partings_30d"}
    end_day = KNOWN.X[:, PLAN.feature_names.index("end_day")]
    assert np.nanmin(end_day) >= CUTOFF  # it knows an end that is still to come
