"""The order of a replay, with a sink that writes down what it is told; time moves by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from producers.errors import ReplayError
from producers.pace import Pace, speed_of
from producers.progress import Progress
from producers.recording import RecordedDay, split_days
from producers.replay import Replayed, replay, slices
from schemas.durations import DAY_MS
from schemas.events import NO_TIME_MS, EventBatch

FRESH = Progress((None, None))


def batch(topic: str, *known_ms: int) -> EventBatch:
    n = len(known_ms)
    names = np.array([f"{topic}-{ms}-{row}" for row, ms in enumerate(known_ms)], dtype=object)
    times = np.array(known_ms, dtype=np.int64)
    return EventBatch(topic, names, np.full(n, "c", dtype=object), times, times, np.zeros(n, dtype=np.int16), {})


def day(number: int, *batches: EventBatch) -> RecordedDay:
    return RecordedDay(number, batches)


class Notes:
    """A sink that notes event ids and clock days."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def publish(self, batch: EventBatch) -> None:
        self.lines += [str(name) for name in batch.event_id]

    def publish_clock(self, day: int, partitions: Sequence[int] | None = None) -> None:
        self.lines.append(f"clock {day} to {partitions}")


class Wall:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_a_days_events_come_before_the_clock_and_silent_days_have_one_too() -> None:
    sink = Notes()
    days = [day(0, batch("a", 5, 9), batch("b", 7)), day(3, batch("a", 3 * DAY_MS))]

    done = replay(days, sink, FRESH)

    assert sink.lines == [
        "a-5-0", "a-9-1", "b-7-0", "clock 1 to [0, 1]", "clock 2 to [0, 1]", "clock 3 to [0, 1]",
        f"a-{3 * DAY_MS}-0", "clock 4 to [0, 1]",
    ]  # fmt: skip
    assert done == Replayed(day=3, n_days=2, n_events=4, n_skipped=0)


def test_resume_leaves_out_complete_days_written_events_and_clocks_that_are_there() -> None:
    from collections import Counter

    sink = Notes()
    held = Progress((1, 2), {}, {"a": Counter({f"a-{DAY_MS}-0": 1})})
    days = [day(0, batch("a", 5)), day(1, batch("a", DAY_MS, DAY_MS + 1)), day(2, batch("a", 2 * DAY_MS))]

    done = replay(days, sink, held)

    assert sink.lines == [f"a-{DAY_MS + 1}-1", "clock 2 to [0]", f"a-{2 * DAY_MS}-0", "clock 3 to [0, 1]"]
    assert (done.n_events, done.n_skipped, done.n_days) == (2, 1, 2)


def test_an_id_that_a_log_has_twice_is_completed_to_two() -> None:
    from collections import Counter

    twice = EventBatch.concat([batch("a", 5), batch("a", 5)])
    held = Progress((None,), {}, {"a": Counter({"a-5-0": 1})})

    assert len(held.without_written(twice)) == 1


def test_everything_complete_is_nothing_to_do() -> None:
    sink = Notes()

    done = replay([day(0, batch("a", 5))], sink, Progress((1, 1)))

    assert (sink.lines, done) == ([], Replayed(day=0))


def test_days_must_ascend_and_events_belong_to_their_day() -> None:
    with pytest.raises(ReplayError, match="1970-01-01: comes after 1970-01-03; days must ascend"):
        replay([day(2, batch("a", 2 * DAY_MS)), day(0, batch("a", 1))], Notes(), FRESH)
    for known in ((DAY_MS,), (9, 5), (NO_TIME_MS,)):
        with pytest.raises(ReplayError, match="day 1970-01-01, topic a: events are not in order of known time"):
            replay([day(0, batch("a", *known))], Notes(), FRESH)


def test_speed_sets_when_a_days_clock_is_written() -> None:
    wall, said = Wall(), list[tuple[int | None, float]]()
    days = [day(0, batch("a", 5)), day(2, batch("a", 2 * DAY_MS))]

    replay(
        days,
        Notes(),
        FRESH,
        pace=Pace(speed_of("86400x"), wall.now, wall.sleep),
        report=lambda done: said.append((done.day, wall.now_s)),
    )

    assert said == [(0, pytest.approx(101.0)), (2, pytest.approx(103.0))]


def test_time_stands_still_while_the_clock_is_held() -> None:
    wall, sink = Wall(), Notes()
    held_for_s = 10.0
    days = [day(0, batch("a", 5)), day(1, batch("a", DAY_MS))]

    def hold() -> bool:
        return sink.lines == ["a-5-0"] and wall.now_s < 101.0 + held_for_s

    replay(days, sink, FRESH, pace=Pace(86_400.0, wall.now, wall.sleep), hold=hold)

    assert sink.lines == ["a-5-0", "clock 1 to [0, 1]", f"a-{DAY_MS}-0", "clock 2 to [0, 1]"]
    assert wall.now_s == pytest.approx(100.0 + 2.0 + held_for_s, abs=0.1)


def test_topics_go_side_by_side_in_short_pieces() -> None:
    a, b = batch("a", *range(0, 100, 2)), batch("b", *range(1, 100, 2))

    pieces = list(slices(0, [a, b], None, max_events=10))

    assert [(end, [len(piece) for piece in topics]) for end, topics in pieces][:2] == [(10, [5, 5]), (20, [5, 5])]
    assert pieces[-1][0] == DAY_MS
    joined = [name for _, topics in pieces for piece in topics for name in piece.event_id if piece.topic == "a"]
    assert joined == list(a.event_id)


def test_events_of_one_millisecond_stay_together_and_slow_replays_go_by_time() -> None:
    assert [len(topics[0]) for _, topics in slices(0, [batch("a", *[7] * 25)], None, max_events=10)] == [25]
    pieces = list(slices(0, [batch("a", 10, 900, 2_500)], 1_000))
    assert [[len(piece) for piece in topics] for _, topics in pieces] == [[2], [1]]


@pytest.mark.parametrize("text", ["fast", "0x", "-1x", "86400", "1e3x"])
def test_a_wrong_speed_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ReplayError, match='neither "max" nor a factor like "86400x"'):
        speed_of(text)


def test_days_are_cut_at_midnight_and_gather_their_topics() -> None:
    days = split_days([batch("a", 5, DAY_MS - 1, DAY_MS), batch("b", DAY_MS + 1, 5 * DAY_MS)])

    assert [(d.day, [(b.topic, len(b)) for b in d.batches]) for d in days] == [
        (0, [("a", 2)]),
        (1, [("a", 1), ("b", 1)]),
        (5, [("b", 1)]),
    ]
