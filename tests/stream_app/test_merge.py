"""The order in which the sources of a partition are read: by known time, never ahead of a source or of the clock."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app import opcodes as op
from stream_app.checkpoint import decode_journal
from stream_app.merge_kernel import merge_by_known_time
from stream_app.plan import Plan
from tests.lives import tangled_events
from tests.streams import DAY_MS, Driver, Logs, new_task
from tests.workloads import named_workload

FOREVER = 2**62
BAD = op.REFUSED
Source = list[int | None]  # known times; None is a refused record


@dataclass(frozen=True)
class Moments:
    """When each record, and the clock's, arrived; when each source, and the clock, was last seen empty."""

    arrived: list[list[float]]
    empty_at: list[float]
    clock_arrived: float = 0.0
    clock_empty_at: float = inf

    @classmethod
    def of(cls, sources: list[Source], caught_up: list[bool]) -> Moments:
        """All arrived long ago; who is caught up was seen empty just now."""
        return cls([[0.0] * len(source) for source in sources], [inf if up else -inf for up in caught_up])


def merged(
    sources: list[Source],
    caught_up: list[bool] | None = None,
    clock: int = FOREVER,
    one_day: bool = False,
    moments: Moments | None = None,
) -> tuple[list[tuple[int, int]], list[list[int]], bool]:
    """(records taken as (source, place), runs, whether the clock alone holds the rest back)."""
    at = moments or Moments.of(sources, caught_up or [True] * len(sources))
    lengths = [len(source) for source in sources]
    known = np.array([0 if time is None else time for source in sources for time in source], np.int64)
    status = np.array([BAD if time is None else op.PENDING for source in sources for time in source], np.int64)
    end = np.cumsum(lengths)
    begin = end - lengths
    first = begin.copy()
    order, runs = np.empty(len(known), np.int64), np.empty((len(known), 2), np.int64)
    arrived = np.array([moment for moments in at.arrived for moment in moments], np.float64)
    n, n_runs, at_clock = merge_by_known_time(
        known, status, arrived, begin, end, np.array(at.empty_at), clock, at.clock_arrived, at.clock_empty_at, one_day,
        order, runs,
    )  # fmt: skip
    places = [int(np.searchsorted(end, i, side="right")) for i in order[:n]]
    assert (begin - first).tolist() == [places.count(s) for s in range(len(sources))]
    return (
        [(s, int(i - first[s])) for s, i in zip(places, order[:n].tolist(), strict=True)],
        runs[:n_runs].tolist(),
        bool(at_clock),
    )


def obvious(sources: list[Source], moments: Moments, clock: int, one_day: bool) -> tuple[list[tuple[int, int]], bool]:
    """One record after the other, by the rules as they are written."""
    at, taken, midnight = [0] * len(sources), [], None
    while True:
        heads = {s: source[at[s]] for s, source in enumerate(sources) if at[s] < len(source)}
        refused = [s for s, time in heads.items() if time is None]
        looks = [moments.clock_empty_at, *(moments.empty_at[s] for s in range(len(sources)) if s not in heads)]
        may_take_clock = all(look >= moments.clock_arrived for look in looks)
        if refused:
            choice = refused[0]
        elif not heads:
            return taken, may_take_clock
        else:
            choice = min(heads, key=lambda s: (heads[s], s))
            if heads[choice] >= clock:
                return taken, may_take_clock and (midnight is None or clock <= midnight)
            if midnight is not None and heads[choice] >= midnight:
                return taken, False
            if any(look < moments.arrived[choice][at[choice]] for look in looks):
                return taken, False
            if one_day and midnight is None:
                midnight = (heads[choice] // DAY_MS + 1) * DAY_MS
        taken.append((choice, at[choice]))
        at[choice] += 1


def test_sources_are_read_by_known_time_and_ties_go_to_the_first() -> None:
    assert merged([[1, 5, 9], [5, 6], [5]])[0] == [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2)]


def test_a_source_keeps_its_order_even_where_its_times_go_back() -> None:
    assert merged([[7, 1, 2], [3]])[0] == [(1, 0), (0, 0), (0, 1), (0, 2)]


def test_nothing_runs_ahead_of_an_empty_source_that_lags() -> None:
    assert merged([[1, 2], []], [True, False]) == ([], [], False)
    assert merged([[1, 2], []], [False, True])[0] == [(0, 0), (0, 1)]


def test_reading_stops_where_a_lagging_source_runs_dry() -> None:
    taken, _, at_clock = merged([[1, 4, 8], [3]], [True, False])
    assert taken == [(0, 0), (1, 0)]
    assert not at_clock


def test_the_clock_stops_what_is_known_at_or_after_it() -> None:
    assert merged([[1, 9], [10, 11]], clock=10) == ([(0, 0), (0, 1)], [[0, 2]], True)


def test_a_lagging_source_holds_the_clock_back_too() -> None:
    assert merged([[12], []], [True, False], clock=10) == ([], [], False)


def test_refused_records_go_first_and_wait_for_nobody() -> None:
    assert merged([[None, None, 5], []], [True, False])[0] == [(0, 0), (0, 1)]
    assert merged([[7], [None, 1]])[0] == [(1, 0), (1, 1), (0, 0)]


def test_a_batch_ends_at_midnight_and_the_clock_is_not_to_blame() -> None:
    day = [5 * DAY_MS - 1, 5 * DAY_MS, 5 * DAY_MS + 1]
    assert merged([day], one_day=True) == ([(0, 0)], [[0, 1]], False)
    assert merged([day], clock=5 * DAY_MS, one_day=True) == ([(0, 0)], [[0, 1]], True)
    assert merged([[None, None, *day[1:]]], one_day=True)[0] == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_what_arrived_later_than_a_source_was_seen_empty_waits() -> None:
    at = Moments([[10.0, 20.0, 30.0], []], [inf, 20.0])
    assert merged([[1, 2, 3], []], moments=at)[0] == [(0, 0), (0, 1)]
    at = Moments([[10.0, 30.0], [10.0]], [inf, 20.0])  # and as soon as the source is used up
    assert merged([[1, 3], [2]], moments=at)[0] == [(0, 0), (1, 0)]
    at = Moments([[10.0]], [inf], clock_empty_at=5.0)
    assert merged([[1]], moments=at)[0] == []


times = st.one_of(st.none(), st.integers(0, 12), st.integers(DAY_MS - 3, DAY_MS + 3))


moments = st.sampled_from([-inf, 0.0, 1.0, 2.0, 3.0, inf])


@given(
    st.lists(st.tuples(st.lists(st.tuples(times, moments), max_size=6), moments), min_size=1, max_size=4),
    st.sampled_from([6, DAY_MS - 1, DAY_MS, FOREVER]),
    st.booleans(),
    moments,
    moments,
)
def test_the_merge_is_the_obvious_one(
    drawn: list[tuple[list[tuple[int | None, float]], float]],
    clock: int,
    one_day: bool,
    clock_arrived: float,
    clock_empty_at: float,
) -> None:
    sources: list[Source] = [[time for time, _ in source] for source, _ in drawn]
    arrived = [sorted(moment for _, moment in source) for source, _ in drawn]
    at = Moments(arrived, [moment for _, moment in drawn], clock_arrived, clock_empty_at)
    taken, runs, at_clock = merged(sources, clock=clock, one_day=one_day, moments=at)
    assert (taken, at_clock) == obvious(sources, at, clock, one_day)
    assert [s for s, n in runs for _ in range(n)] == [s for s, _ in taken]
    assert all(a[0] != b[0] for a, b in itertools.pairwise(runs))


# ---- in a task ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["subscription_churn", "lapse"])
def test_the_journal_is_the_merge_of_the_whole_logs_whatever_the_fetches(name: str) -> None:
    """Runs put together are one merge by known time with the clock in between, for any spans and steps."""
    workload = named_workload(name)
    plan = Plan.from_workload(workload)
    logs = Logs(workload).write(tangled_events(workload, 250, 6, 2, days=25))
    sources: list[Source] = [[stamp for stamp, _, _ in partitions[0].records] for partitions in logs.topics]
    clock: Source = [
        day * DAY_MS for day in logs.clock
    ]  # first: what is known at 00:00 is known on the day that begins
    whole = [clock, *sources]
    expected = [s - 1 for s, _ in obvious(whole, Moments.of(whole, [True] * len(whole)), FOREVER, False)[0]]
    for seed, longest in ((1, 5), (2, 60), (3, 1000)):
        driver = Driver(logs, new_task(plan), seed, longest).run()
        runs = np.concatenate([decode_journal(checkpoint.journal)[1] for checkpoint in driver.checkpoints])
        found = [s if s < len(sources) else -1 for s, n in runs.tolist() for _ in range(n)]
        assert found == expected
