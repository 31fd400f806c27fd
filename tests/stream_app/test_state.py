"""Laws of the rows: the event part does not depend on order, batches or partitions; slots are handed out and given
back.
"""

from __future__ import annotations

import numpy as np
import pytest

from schemas.events import EventBatch
from schemas.workload import Workload
from stream_app import kernel
from stream_app import opcodes as op
from stream_app.columns import Columns, columns_of
from stream_app.errors import OverflowStop
from stream_app.plan import Plan
from stream_app.state import PartitionState
from tests.lives import tangled_events, with_silences
from tests.oracles import by_customer, events_of, in_merge_order, is_forgotten, is_live
from tests.streams import DAY_MS, Driver, Logs, new_task
from tests.workloads import named_workload

NAMES = ("subscription_churn", "lapse", "silence", "random-5")
FIRST_DAY = 20_160


def applied(plan: Plan, batches: list[EventBatch], order: np.ndarray, sizes: list[int]) -> PartitionState:
    """A state after all events of ``batches`` in ``order``, ``sizes`` at a time, without a clock."""
    columns = Columns.concat([columns_of(plan, batch) for batch in batches])
    state, at = PartitionState(plan), 0
    for size in sizes:
        done = 0
        chunk = order[at : at + size]
        while done < len(chunk):
            state.begin()
            done = state.apply(columns, chunk, done)
        at += size
    return state


def split(n: int, random: np.random.Generator) -> list[int]:
    cuts = np.sort(random.integers(0, n + 1, random.integers(1, 40)))
    return np.diff([0, *cuts.tolist(), n]).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_the_event_part_is_the_same_after_the_same_events_in_any_order(name: str) -> None:
    workload = named_workload(name)
    plan, random = Plan.from_workload(workload), np.random.default_rng(4)
    days = 25 if name == "silence" else 40  # nobody is forgotten meanwhile: that goes by known time
    batches = tangled_events(workload, 300, 8, 4, days=days)
    n = sum(map(len, batches))
    one = applied(plan, batches, np.arange(n), [n]).event_part()
    assert len(one) == 8
    for _ in range(6):
        assert applied(plan, batches, random.permutation(n), split(n, random)).event_part() == one


@pytest.mark.parametrize("name", NAMES)
def test_the_event_part_is_the_same_in_any_number_of_partitions(name: str) -> None:
    """Through bytes, with a daily clock, in spans and checkpoints of random size."""
    workload = named_workload(name)
    plan = Plan.from_workload(workload)
    batches = with_silences(tangled_events(workload, 400, 24, 6, days=80), 24, 6)
    parts = []
    for n_partitions in (1, 3, 8):
        logs, part = Logs(workload, n_partitions).write(batches), {}
        for partition in range(n_partitions):
            driver = Driver(logs, new_task(plan, partition, n_partitions), seed=n_partitions, longest_span=90).run()
            assert driver.task.accounting.applied == driver.task.accounting.n_in
            assert not part.keys() & driver.task.state.event_part().keys()
            part |= driver.task.state.event_part()
        parts.append(part)
    assert parts[0] == parts[1] == parts[2]
    assert len(parts[0]) > 12


def test_the_stamps_are_the_newest_applied_offsets() -> None:
    workload = named_workload("lapse")
    plan = Plan.from_workload(workload)
    logs = Logs(workload).write(tangled_events(workload, 200, 5, 7, days=20))
    state = Driver(logs, new_task(plan), 7).run().task.state
    newest = [{key: offset for offset, (_, key, _) in enumerate(partitions[0].records)} for partitions in logs.topics]
    rows = state.s64.reshape(-1, state.row64)[: state.n_slots]
    for row, customer in zip(rows, state.customer_ids(np.arange(state.n_slots)), strict=True):
        stamps = row[plan.stamps_at : plan.stamps_at + plan.n_sources].tolist()
        assert stamps == [source.get(customer, -1) for source in newest]


# ---- slots ----------------------------------------------------------------------------------------------


def order_of(workload: Workload, customers: list[str], day: int, kind: str = "order") -> EventBatch:
    n = len(customers)
    moment = np.full(n, day * DAY_MS + 1)
    topic = workload.topic_of_kind[kind]
    ids = np.array([f"{customer}@{day}" for customer in customers], object)
    return EventBatch(
        topic.name, ids, np.array(customers, object), moment, moment, np.full(n, topic.kind_index[kind]), {}
    )


def feed(state: PartitionState, batch: EventBatch) -> None:
    columns = columns_of(state.plan, batch)
    done = 0
    while done < len(batch):
        state.begin()
        done = state.apply(columns, np.arange(len(batch)), done)


def tick(state: PartitionState, day: int) -> None:
    state.set_clock(day)
    at = 0
    while at < state.n_slots:
        state.begin()
        at = state.sweep(at, at + 7)
    state.end_sweep()


@pytest.fixture
def silence() -> Workload:
    return named_workload("silence")  # not live after 10 days, forgotten after 30


def test_a_silent_customer_is_dropped_and_the_slot_is_zeroed(silence: Workload) -> None:
    state = PartitionState(Plan.from_workload(silence))
    feed(state, order_of(silence, ["A", "B", "C"], FIRST_DAY))
    feed(state, order_of(silence, ["B"], FIRST_DAY + 5))
    tick(state, FIRST_DAY + 30)
    assert state.n_customers == 3  # not yet longer than 30 days: all happened after 00:00
    tick(state, FIRST_DAY + 31)

    assert state.n_customers == 1
    assert set(state.event_part()) == {b"B"}
    assert [bool(state.rows[slot].any()) for slot in range(3)] == [False, True, False]
    assert state.dirty[:3].all()


def test_freed_slots_are_used_again_lowest_first(silence: Workload) -> None:
    state = PartitionState(Plan.from_workload(silence))
    feed(state, order_of(silence, [f"C{i}" for i in range(10)], FIRST_DAY))
    feed(state, order_of(silence, ["C0", "C4", "C5", "C9"], FIRST_DAY + 20))
    tick(state, FIRST_DAY + 31)
    assert state.n_customers == 4

    feed(state, order_of(silence, ["N0", "N1", "N2", "C4"], FIRST_DAY + 31))
    assert [key.decode() for key in state.customer_ids(np.array([0, 1, 2, 3, 4]))] == ["C0", "N0", "N1", "N2", "C4"]
    feed(state, order_of(silence, [f"M{i}" for i in range(4)], FIRST_DAY + 31))
    assert state.n_slots == 11  # six were free, seven came
    assert state.n_customers == 11


def test_who_comes_back_after_being_forgotten_begins_anew_with_or_without_a_sweep(silence: Workload) -> None:
    """What is forgotten follows from the events alone, not from how often the clock was told."""
    plan, parts = Plan.from_workload(silence), []
    for ticks in ([], [FIRST_DAY + 31], [FIRST_DAY + 34], list(range(FIRST_DAY, FIRST_DAY + 35))):
        state = PartitionState(plan)
        feed(state, order_of(silence, ["A", "B"], FIRST_DAY))
        for day in ticks:
            tick(state, day)
        feed(state, order_of(silence, ["A"], FIRST_DAY + 34))
        feed(state, order_of(silence, ["A"], FIRST_DAY + 35))
        tick(state, FIRST_DAY + 60)
        parts.append(state.event_part())
    assert [set(part) for part in parts] == [{b"A"}] * 4
    assert parts[0] == parts[1] == parts[2] == parts[3]


def test_the_customers_that_are_left_are_those_of_the_oracle() -> None:
    for name in ("lapse", "silence"):
        workload = named_workload(name)
        batches = with_silences(tangled_events(workload, 120, 20, 8, days=120), 20, 8, weeks=12)
        logs = Logs(workload).write(batches)
        state = Driver(logs, new_task(Plan.from_workload(workload)), 8).run().task.state
        kept = set()
        for customer, life in by_customer(in_merge_order(workload, events_of(workload, batches))).items():
            if not is_forgotten(workload, life, logs.clock[-1]):
                kept.add(customer.encode())
        assert set(state.event_part()) == kept
        assert len(kept) > 0


def test_a_live_customer_is_never_forgotten() -> None:
    churn = named_workload("subscription_churn")
    state = PartitionState(Plan.from_workload(churn))
    feed(state, order_of(churn, ["A", "B"], FIRST_DAY, "subscribe"))
    feed(state, order_of(churn, ["B"], FIRST_DAY + 1, "cancel"))
    tick(state, FIRST_DAY + 500)
    assert set(state.event_part()) == {b"A"}


def test_state_grows_and_finds_everybody_again(silence: Workload) -> None:
    state = PartitionState(Plan.from_workload(silence), capacity=32)
    customers = [f"C{i}" for i in range(700)]
    feed(state, order_of(silence, customers, FIRST_DAY))
    before = state.rows.copy()
    assert [key.decode() for key in state.customer_ids(np.arange(700))] == customers
    feed(state, order_of(silence, customers[::-1], FIRST_DAY))
    assert state.n_slots == 700
    assert len(state.dirty) == 1024
    assert state.dirty[:700].all()
    assert not np.array_equal(before, state.rows)


def test_many_due_rows_come_in_several_parts(silence: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    """The buffer of due rows is small: apply and sweep stop, go on, and lose nothing."""
    import stream_app.state as module

    monkeypatch.setattr(module, "ROWS_AT_ONCE", 10)
    state = PartitionState(Plan.from_workload(silence))
    batch = order_of(silence, [f"C{i}" for i in range(100)], FIRST_DAY)
    columns, done, parts = columns_of(state.plan, batch), 0, []
    while done < len(batch):
        state.begin()
        done = state.apply(columns, np.arange(len(batch)), done)
        parts.append(state.due().rows.copy())
    assert len(parts) > 5
    assert np.concatenate(parts)[:, 0].tolist() == list(range(100))

    state.set_clock(FIRST_DAY + 1)
    at, ticks = 0, []
    while at < state.n_slots:
        state.begin()
        at = state.sweep(at, 200)
        ticks.append(state.due().rows.copy())
    assert len(ticks) > 5
    assert np.concatenate(ticks)[:, 0].tolist() == list(range(100))


# ---- limits ---------------------------------------------------------------------------------------------


def test_a_sum_that_would_overflow_stops_with_its_place() -> None:
    workload = named_workload("silence")
    plan = Plan.from_workload(workload)
    state = PartitionState(plan)
    batch = order_of(workload, ["A"] * 3, FIRST_DAY)
    batch = EventBatch(**{**vars(batch), "values": {"amount": np.array([2.0**20, 2.0**20, 2.0**20])}})
    columns = columns_of(plan, batch, np.array([70, 71, 72]))
    state.begin()
    assert state.apply(columns, np.array([0])) == 1
    sums = [int(ring[1]) for ring in plan.rings if ring[0] == op.RING_I64 and ring[4] == 0]
    for at in sums:
        row = state.s64[plan.event_at + at : plan.event_at + plan.n_i64]
        row[row == 2**20 * 1000] = 2**63 - 2**20 * 1000 - 1
    state.begin()
    assert state.apply(columns, np.array([1])) == 1
    with pytest.raises(OverflowStop, match=r"topic orders offset 72: a sum passes 2\^63") as stop:
        state.apply(columns, np.array([2]))
    assert (stop.value.topic, stop.value.offset) == ("orders", 72)


def test_a_row_of_the_default_workload_is_small() -> None:
    assert Plan.from_workload(named_workload("subscription_churn")).row_bytes <= 2048


def test_a_key_of_another_partition_makes_no_row(silence: Workload) -> None:
    from schemas.partition import partition_of

    state = PartitionState(Plan.from_workload(silence), 2, 5)
    customers = [f"kunde-ü{i}" for i in range(200)]
    batch = order_of(silence, customers, FIRST_DAY)
    columns = columns_of(state.plan, batch)
    state.begin()
    assert state.apply(columns, np.arange(200)) == 200
    mine = [customer for customer in customers if partition_of(customer.encode(), 5) == 2]
    assert set(state.event_part()) == {customer.encode() for customer in mine}
    assert ((columns.status == op.APPLIED).sum(), (columns.status == op.MISROUTED).sum()) == (
        len(mine),
        200 - len(mine),
    )


# ---- labels that came true ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["subscription_churn", "lapse", "silence"])
@pytest.mark.parametrize("every", [1, 3])
def test_outcomes_are_those_of_the_definition(name: str, every: int) -> None:
    """Every remembered tick score is settled once, at the first tick after its horizon, by what happened in it."""
    workload = named_workload(name)
    plan = Plan.from_workload(workload)
    horizon = workload.label.horizon_ms // DAY_MS
    batches = with_silences(tangled_events(workload, 150, 12, 9, days=90), 12, 9)
    lives = by_customer(in_merge_order(workload, events_of(workload, batches)))
    state = PartitionState(plan)
    names, scored, settled = {}, {}, []
    days = [day for day in range(FIRST_DAY, FIRST_DAY + 95) if day % every == 0]
    columns = Columns.concat([columns_of(plan, batch) for batch in batches])
    order = np.argsort(columns.known_time, kind="stable")
    known_day = columns.known_time[order] // DAY_MS
    for day in days:
        state.begin()
        state.apply(columns, order[(known_day >= day - every) & (known_day < day)])
        settled += state.due().outcomes.tolist()
        state.set_clock(day)
        state.begin()
        assert state.sweep(0, state.n_slots) == state.n_slots
        due = state.due()
        settled += due.outcomes.tolist()
        for slot in due.rows[due.rows[:, 2] == op.TICK, 0].tolist():
            names[slot] = state.customer_ids(np.array([slot]))[0].decode()
            place = slot * plan.row_bytes + plan.memory_at + day % plan.memory_days
            bin_ = (slot * 7 + day) % op.SCORE_BINS
            state.s8[place] = bin_ + 1
            scored[day, slot] = bin_
    expected = []
    for (day, slot), bin_ in scored.items():
        ticks = [*days, *(e["known_time_ms"] // DAY_MS for e in lives[names[slot]])]
        settles_on = min((tick for tick in ticks if tick >= day + horizon), default=None)
        if settles_on is not None:
            life = [e for e in lives[names[slot]] if e["known_time_ms"] < settles_on * DAY_MS]
            expected.append([day, bin_, int(came_true(workload, life, day * DAY_MS))])
    assert sorted(settled) == sorted(expected)
    assert {outcome for _, _, outcome in settled} == {0, 1}


def came_true(workload: Workload, life: list[dict[str, object]], scored_at: int) -> bool:
    """By the newest label moment that is known: what a row can remember."""
    label = workload.label
    mine = [e for e in life if e["kind"] in label.of]
    if label.type == "inactivity":
        return not any(e["event_time_ms"] > scored_at for e in mine)
    if label.type == "cancel":
        newest = max((e["event_time_ms"] for e in mine), default=0)
        return scored_at < newest <= scored_at + label.horizon_ms
    paid = max((e[str(label.field)] for e in mine if e[str(label.field)] is not None), default=0)
    return scored_at < paid + label.grace_ms <= scored_at + label.horizon_ms


def test_liveness_of_the_kernel_is_the_oracles() -> None:
    for name in ("subscription_churn", "lapse", "silence"):
        workload = named_workload(name)
        plan = Plan.from_workload(workload)
        batches = tangled_events(workload, 60, 15, 10, days=40)
        state = applied(plan, batches, np.arange(sum(map(len, batches))), [sum(map(len, batches))])
        lives = by_customer(events_of(workload, batches))
        moments = [ms for life in lives.values() for e in life for ms in (e["event_time_ms"], e["event_time_ms"] + 1)]
        found = []
        for slot, key in enumerate(state.customer_ids(np.arange(state.n_slots))):
            e64 = slot * state.row64 + plan.event_at
            for moment in [*moments[::7], *[(FIRST_DAY + day) * DAY_MS for day in range(60)]]:
                live = bool(kernel.is_live(state.s64, e64, moment, plan.rule))
                assert live == is_live(workload, lives[key.decode()], moment)
                found.append(live)
        assert 0 < sum(found) < len(found)
