"""Event ids follow from what an event says, and from nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from producers.identity import content_ids, occurrence


def ids(source: str = "s", amount: float = 1.0, plan: str | None = "plus", customer: str = "a") -> list[str]:
    times = (np.array([1, 1]), np.array([2, 2]))
    values = {"amount": np.array([amount, 1.0]), "plan": np.array([plan, "plus"], dtype=object)}
    both = np.array(["bought", "bought"], dtype=object)
    return list(content_ids(source, both, np.array([customer, "a"], dtype=object), times, values))


def test_identical_events_are_numbered_and_all_others_differ() -> None:
    first, second = ids()
    assert second == f"{first}-1"
    assert len(first) == 32
    others = [ids(source="t"), ids(amount=1.0000000000000002), ids(amount=np.nan), ids(plan=None), ids(customer="b")]
    assert len({first, *(pair[0] for pair in others)}) == 6


def test_minus_zero_is_zero() -> None:
    assert ids(amount=-0.0)[0] == ids(amount=0.0)[0]


@given(st.lists(st.sampled_from("abc")))
def test_occurrence_counts_the_equal_cells_before(cells: list[str]) -> None:
    expected = [cells[:row].count(cell) for row, cell in enumerate(cells)]
    assert occurrence(pa.array(cells, pa.string())).tolist() == expected
