from __future__ import annotations

import numpy as np
import pytest

from schemas.errors import SchemaError
from schemas.events import NO_TIME_MS, EventBatch
from schemas.workload import load_workload

BILLING = load_workload("subscription_churn").topic("billing")


def batch(n: int, start: int = 0) -> EventBatch:
    return EventBatch.from_records(
        BILLING,
        [
            {
                "event_id": f"e{i}",
                "customer_id": f"c{i % 3}",
                "event_time_ms": 1_000 * i,
                "known_time_ms": None if i % 4 == 0 else 1_000 * i + 5,
                "kind": BILLING.kinds[i % len(BILLING.kinds)].name,
                "amount": None if i % 2 else i / 7,
                "price": 9.0,
                "plan": [None, "basic", "other"][i % 3],
            }
            for i in range(start, start + n)
        ],
    )


def test_records_and_columns_are_the_same_events() -> None:
    records = batch(12).to_records(BILLING)
    assert records[0]["known_time_ms"] is None
    assert records[1]["amount"] is None
    assert EventBatch.from_records(BILLING, records).to_records(BILLING) == records


def test_concat_and_take_are_inverse() -> None:
    whole = EventBatch.concat([batch(5), batch(4, start=5)])
    assert whole.to_records(BILLING) == batch(9).to_records(BILLING)
    assert whole.take(slice(5, 9)).to_records(BILLING) == batch(4, start=5).to_records(BILLING)
    assert whole.take([8, 0]).event_id.tolist() == ["e8", "e0"]
    assert whole.take(whole.customer_id == "c1").event_id.tolist() == ["e1", "e4", "e7"]
    assert len(whole.take([])) == 0


def test_sort_is_by_known_time_and_stable() -> None:
    shuffled = batch(8).take([3, 1, 2, 0, 5, 6, 7, 4])
    known = shuffled.sort().known_time_ms
    assert (np.diff(known.astype(object)) >= 0).all()
    assert shuffled.sort().event_id.tolist()[:2] == ["e0", "e4"]
    assert known[0] == NO_TIME_MS


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(SchemaError, match="column plan"):
        EventBatch("billing", ["a"], ["b"], [1], [1], [0], {"plan": np.array(["x", "y"], dtype=object)})  # type: ignore[arg-type]


def test_batches_of_two_topics_do_not_mix() -> None:
    other = EventBatch("usage", *([[]] * 5), {})  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="cannot concat"):
        EventBatch.concat([batch(1), other])
    with pytest.raises(SchemaError, match="no batches"):
        EventBatch.concat([])
