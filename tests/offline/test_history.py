"""The lake read back: in the stream's order, without what the stream refuses."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offline.errors import EmptyLakeError
from offline.history import read_history
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.reasons import MAX_AHEAD_MS
from schemas.workload import Workload

T0 = 19_800 * DAY_MS
LATENESS = 2 * DAY_MS


def _billing(rows: list[tuple[str, int, int]]) -> EventBatch:
    """(event id, event time, known time) relative to T0."""
    return EventBatch(
        topic="billing",
        event_id=np.array([r[0] for r in rows], dtype=object),
        customer_id=np.array(["c"] * len(rows), dtype=object),
        event_time_ms=np.array([T0 + r[1] for r in rows]),
        known_time_ms=np.array([T0 + r[2] for r in rows]),
        kind=np.zeros(len(rows)),
        values={},
    )


def test_history_ascends_by_day_and_within_a_batch(workload: Workload, company: Any, fill: Any, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    made = company(workload, n_customers=30, n_days=40)
    fill(lake, workload, made)
    read = list(read_history(lake, workload))
    days = [int(batch.known_time_ms[0] // DAY_MS) for batch in read]
    assert days == sorted(days)
    assert all((batch.known_time_ms // DAY_MS == day).all() for batch, day in zip(read, days, strict=True))
    assert all((np.diff(batch.known_time_ms) >= 0).all() for batch in read)
    assert sorted(e for b in read for e in b.event_id) == sorted(e for b in made for e in b.event_id)


def test_late_and_future_events_are_left_out_and_edges_kept(workload: Workload, fill: Any, tmp_path: Path) -> None:
    rows = [
        ("in time", 0, LATENESS),
        ("too late", 0, LATENESS + 1),
        ("ahead", MAX_AHEAD_MS, 0),
        ("too far ahead", MAX_AHEAD_MS + 1, 0),
        ("of midnight", DAY_MS, DAY_MS - 1),
    ]
    lake, refused = Lake(tmp_path), Counter[str]()
    fill(lake, workload, [_billing(rows)])
    read = [e for batch in read_history(lake, workload, refused=refused) for e in batch.event_id]
    assert read == ["ahead", "of midnight", "in time"]
    assert refused == {"billing:refused": 2}


def test_the_first_of_two_equal_event_ids_counts(workload: Workload, fill: Any, tmp_path: Path) -> None:
    lake, refused = Lake(tmp_path), Counter[str]()
    fill(lake, workload, [_billing([("a", 5, 5), ("b", 6, 6), ("a", 7, 7), ("a", 2 * DAY_MS, 2 * DAY_MS)])])
    read = list(read_history(lake, workload, refused=refused))
    assert [(b.event_id.tolist(), (b.event_time_ms - T0).tolist()) for b in read] == [(["a", "b"], [5, 6])]
    assert refused == {"billing:duplicate": 2}


def test_what_became_known_later_is_not_there_yet(workload: Workload, fill: Any, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    fill(lake, workload, [_billing([("a", 0, 10), ("b", 0, 11), ("c", 0, DAY_MS)])])
    assert [e for b in read_history(lake, workload, T0 + 11) for e in b.event_id] == ["a"]
    assert [e for b in read_history(lake, workload, T0 + DAY_MS) for e in b.event_id] == ["a", "b"]


def test_an_empty_lake_says_so(workload: Workload, tmp_path: Path) -> None:
    with pytest.raises(EmptyLakeError, match="driftline ingest"):
        next(read_history(Lake(tmp_path), workload))
