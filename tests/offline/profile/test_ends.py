"""Ends and starts of customers, against a slow oracle."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from offline.profile.ends import FAR_MS, Ends
from schemas.events import EventBatch
from schemas.workload import Workload, load_workload
from stream_app.columns import hash_texts

WORKLOAD: Workload = load_workload("subscription_churn")
KINDS = ("subscribe", "cancel")
TURNS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.sampled_from(KINDS)), max_size=30)
ASKED = st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 33)), min_size=1, max_size=20)


def batch(turns: list[tuple[int, int, str]]) -> EventBatch:
    topic = WORKLOAD.topic("billing")
    return EventBatch(
        topic="billing",
        event_id=np.array([f"e{i}" for i in range(len(turns))], object),
        customer_id=np.array([f"c{c}" for c, _, _ in turns], object),
        event_time_ms=np.array([t for _, t, _ in turns], np.int64),
        known_time_ms=np.array([t for _, t, _ in turns], np.int64),
        kind=np.array([topic.kind_index[kind] for _, _, kind in turns], np.int16),
        values={},
    )


@given(turns=TURNS, asked=ASKED)
def test_next_end_and_after_end_are_what_a_search_by_hand_finds(
    turns: list[tuple[int, int, str]], asked: list[tuple[int, int]]
) -> None:
    ends = Ends(WORKLOAD)
    ends.update(batch(turns))
    key = hash_texts(np.array([f"c{c}" for c, _ in asked], object))
    time = np.array([t for _, t in asked], np.int64)
    after, next_end = ends.is_after_end(key, time).tolist(), ends.next_end(key, time).tolist()
    for (customer, moment), is_after, following in zip(asked, after, next_end, strict=True):
        mine = [(t, kind) for c, t, kind in turns if c == customer]
        assert following == min([t for t, kind in mine if kind == "cancel" and t > moment], default=FAR_MS)
        last_end = max([t for t, kind in mine if kind == "cancel" and t < moment], default=None)
        last_start = max([t for t, kind in mine if kind == "subscribe" and t <= moment], default=-1000)
        assert is_after == (last_end is not None and last_start < last_end)
    assert ends.n_customers == len({c for c, _, kind in turns if kind == "cancel"})
