"""Splits by time keep the embargo, whatever the history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.cutoffs import choose_cutoffs, choose_short_cutoffs, date_text, day_of, given_cutoffs
from offline.errors import HistoryTooShortError, OfflineError


@given(first=st.integers(0, 20_000), span=st.integers(0, 900), horizon=st.integers(1, 90), warm_up=st.integers(0, 60))
def test_blocks_lie_apart_by_the_horizon_or_the_history_is_too_short(
    first: int, span: int, horizon: int, warm_up: int
) -> None:
    if span < warm_up + 3 * horizon + 12:
        with pytest.raises(HistoryTooShortError, match=f"{span} days there, {warm_up + 3 * horizon + 12} needed"):
            choose_cutoffs(first, first + span, horizon, warm_up)
        return
    split = choose_cutoffs(first, first + span, horizon, warm_up)
    for block in (split.fit, split.later, split.test):
        assert block.days
        assert block.first_day <= block.days[0] <= block.days[-1] == block.last_day
    assert split.fit.first_day >= first + warm_up
    assert split.later.first_day - split.fit.last_day >= horizon
    assert split.test.first_day - split.later.last_day >= horizon
    assert split.test.last_day + horizon == first + span  # the last matured day is held out
    assert list(split.days) == sorted(set(split.days))
    assert all(split.fit.last_day < day < split.later.first_day for day in split.between.days)


@given(first=st.integers(0, 20_000), span=st.integers(0, 400), horizon=st.integers(1, 90), warm_up=st.integers(0, 60))
def test_a_short_history_keeps_the_embargo_before_the_test_or_is_too_short(
    first: int, span: int, horizon: int, warm_up: int
) -> None:
    if span < warm_up + 2 * horizon + 12:
        with pytest.raises(HistoryTooShortError, match=f"{span} days there, {warm_up + 2 * horizon + 12} needed"):
            choose_short_cutoffs(first, first + span, horizon, warm_up)
        return
    split = choose_short_cutoffs(first, first + span, horizon, warm_up)
    assert split.by_customer
    assert split.fit == split.later
    assert split.train_days == split.fit.days
    assert split.fit.first_day >= first + warm_up
    assert split.test.first_day - split.fit.last_day >= horizon
    assert split.test.days[-1] + horizon == first + span


def test_a_long_block_sees_every_weekday() -> None:
    assert {day % 7 for day in choose_cutoffs(18_000, 18_700, 30).fit.days} == set(range(7))


def test_own_cutoffs_must_keep_the_embargo() -> None:
    days = [day_of(f"2024-{month:02d}-01") for month in range(1, 9)]
    split = given_cutoffs(days[:6], days[7:], 30)
    assert split.train_days == tuple(days[:6])
    assert split.later.first_day - split.fit.last_day >= 30
    with pytest.raises(OfflineError, match="the first allowed is 2024-07-01"):
        given_cutoffs(days[:6], [days[5] + 29], 30)
    with pytest.raises(OfflineError, match="none is left to fit on"):
        given_cutoffs(days[:1], days[7:], 30)
    with pytest.raises(OfflineError, match="give both"):
        given_cutoffs(days, [], 30)


def test_dates_are_read_back() -> None:
    assert day_of(date_text(19_876)) == 19_876
    with pytest.raises(OfflineError, match="write YYYY-MM-DD"):
        day_of("soon")
