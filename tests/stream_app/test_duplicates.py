"""The same event id within the preceding window of offsets, against a dictionary; also across restarts."""

from __future__ import annotations

import numpy as np
import pytest

import stream_app.checkpoint as checkpoint_module
import stream_app.duplicates as duplicates_module
from stream_app import opcodes as op
from stream_app.columns import Columns
from stream_app.duplicates import DuplicateWindow
from stream_app.plan import Plan
from tests.streams import Driver, Logs, new_task, random_events, restored
from tests.workloads import named_workload

REFUSED = op.REFUSED + 3


class Oracle:
    """Remembers the newest offset of every id."""

    def __init__(self, window: int) -> None:
        self.window, self.newest = window, dict[int, int]()

    def mark(self, offset: int, event_id: int, status: int) -> int:
        if status >= op.REFUSED:
            return status
        seen = self.newest.get(event_id)
        self.newest[event_id] = offset
        return op.DUPLICATE if seen is not None and offset - seen <= self.window else status


def columns_of_ids(offset: np.ndarray, ids: np.ndarray, status: np.ndarray) -> Columns:
    columns = Columns.empty(len(ids), 1, 0, np.zeros(0, np.uint8))
    columns.offset[:], columns.id_hash[:], columns.status[:] = offset, ids, status
    return columns


def drawn(random: np.random.Generator, n: int, n_ids: int, first: int, gaps: bool) -> tuple[np.ndarray, ...]:
    """Offsets, ids (0 among them) and statuses of n records."""
    steps = np.where(random.random(n) < 0.02, random.integers(1, 50, n), 1) if gaps else np.ones(n, np.int64)
    status = np.where(random.random(n) < 0.1, REFUSED, op.PENDING)
    ids = random.integers(1, n_ids, n)
    return first + np.cumsum(steps) - 1, np.where(ids == 1, 0, ids), status


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """A window of 96 offsets in chunks of 16: plain Python reads both, the kernel gets them as arguments."""
    return shrink(monkeypatch, 96, 16)


def shrink(monkeypatch: pytest.MonkeyPatch, window: int, chunk: int) -> int:
    for module in (duplicates_module, checkpoint_module):
        monkeypatch.setattr(module, "WINDOW", window)
        monkeypatch.setattr(module, "CHUNK", chunk)
    return window


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("first", [0, 7, 10**12])
def test_duplicates_are_those_of_a_dictionary(small: int, first: int, gaps: bool) -> None:
    random, window, oracle = np.random.default_rng(first % 97 + gaps), DuplicateWindow(), Oracle(small)
    offset, ids, status = drawn(random, 6_000, 150, first, gaps)
    expected = [oracle.mark(o, i, s) for o, i, s in zip(offset.tolist(), ids.tolist(), status.tolist(), strict=True)]
    found, at = [], 0
    while at < len(offset):
        end = at + int(random.integers(1, 30))
        columns = columns_of_ids(offset[at:end], ids[at:end], status[at:end])
        window.mark(columns)
        found += columns.status.tolist()
        at = end
    assert found == expected
    assert {op.PENDING, op.DUPLICATE, REFUSED} == set(found)


@pytest.mark.parametrize(("distance", "status"), [(1, op.DUPLICATE), (96, op.DUPLICATE), (97, op.PENDING)])
def test_the_edge_of_the_window(small: int, distance: int, status: int) -> None:
    ids = np.arange(1, 201)
    ids[50 + distance] = ids[50]
    columns = columns_of_ids(np.arange(200) + 1000, ids, np.zeros(200, np.int64))
    DuplicateWindow().mark(columns)
    assert columns.status[50 + distance] == status
    assert (columns.status == op.DUPLICATE).sum() == (status == op.DUPLICATE)


def test_the_edge_of_the_window_as_it_is() -> None:
    """2^20 offsets, not one more."""
    n = (1 << 20) + 10
    ids = np.arange(1, n + 1)
    ids[[1 << 20, (1 << 20) + 5]] = ids[[0, 4]]  # the same again after exactly the window, and one more than it
    columns = columns_of_ids(np.arange(n), ids, np.zeros(n, np.int64))
    window = DuplicateWindow()
    for at in range(0, n, 20_000):
        part = columns.take(slice(at, at + 20_000))
        window.mark(part)
        columns.status[at : at + 20_000] = part.status
    assert np.flatnonzero(columns.status).tolist() == [1 << 20]


def test_a_duplicate_of_a_duplicate_counts_from_the_last_one(small: int) -> None:
    ids = np.arange(1, 301)
    ids[[90, 180, 270]] = ids[0]
    columns = columns_of_ids(np.arange(300), ids, np.zeros(300, np.int64))
    DuplicateWindow().mark(columns)
    assert np.flatnonzero(columns.status).tolist() == [90, 180, 270]


def test_a_refused_record_leaves_no_trace(small: int) -> None:
    columns = columns_of_ids(np.arange(3), np.array([5, 5, 5]), np.array([REFUSED, op.PENDING, op.PENDING]))
    DuplicateWindow().mark(columns)
    assert columns.status.tolist() == [REFUSED, op.PENDING, op.DUPLICATE]


@pytest.mark.parametrize("first", [3_000_000_000, 10**13])
def test_a_log_that_begins_late_costs_no_more_memory(first: int) -> None:
    """After retention a log begins anywhere; a jump in the middle of it is no reason to reserve the offsets between."""
    window = DuplicateWindow()
    for begin in (first, first + 10**10):
        columns = columns_of_ids(np.arange(begin, begin + 100), np.arange(1, 101), np.zeros(100, np.int64))
        window.mark(columns)
        assert not columns.status.any()
    assert window.ring.nbytes + window._table.nbytes <= 32 << 20


def test_a_jump_within_a_batch_is_no_memory_of_what_lay_before(small: int) -> None:
    """Places in the ring come again; what was skipped does not stand in them."""
    offset = np.array([0, 1, 2, 192 * 5 + 1, 192 * 5 + 2, 192 * 5 + 3])
    columns = columns_of_ids(offset, np.array([7, 8, 9, 8, 7, 9]), np.zeros(6, np.int64))
    DuplicateWindow().mark(columns)
    assert not columns.status.any()


# ---- across restarts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 5_000])
@pytest.mark.parametrize("ahead", [0, 37])
def test_a_restored_window_goes_on_as_if_nothing_had_happened(small: int, first: int, ahead: int) -> None:
    """Checkpoints at random moments, taken while marking is ``ahead`` of what is applied; only the chunks survive."""
    random, oracle = np.random.default_rng(5 + ahead), Oracle(small)
    offset, ids, status = drawn(random, 4_000, 150, first, gaps=False)
    expected = [oracle.mark(o, i, s) for o, i, s in zip(offset.tolist(), ids.tolist(), status.tolist(), strict=True)]
    window, chunks, found = DuplicateWindow(), {}, []
    saved = 0
    while saved < len(offset):
        upto = min(saved + int(random.integers(1, 30)), len(offset))
        marked = columns_of_ids(offset[saved : upto + ahead], ids[saved : upto + ahead], status[saved : upto + ahead])
        window.mark(marked)
        found += marked.status[: upto - saved].tolist()
        chunks |= window.chunks(first + saved, first + upto)
        saved = upto
        window = DuplicateWindow()  # what was marked ahead is lost with the process
        window.load(dict(chunks), first + saved)
    assert found == expected


def test_a_task_marks_across_restarts_what_it_marks_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through logs, spans, checkpoints and their bytes: every event written twice, at random distances."""
    shrink(monkeypatch, 256, 16)
    workload = named_workload("lapse")
    plan, random = Plan.from_workload(workload), np.random.default_rng(8)
    logs = Logs(workload).write(random_events(workload, 300, 10, 8, days=9))
    for source in logs.topics:
        records = source[0].records
        again = np.sort(random.choice(len(records), 150, replace=False))[::-1]
        for i in again.tolist():
            records.insert(min(len(records), i + int(random.integers(1, 400))), records[i])
    whole = Driver(logs, new_task(plan), 1, longest_span=20).run()
    assert whole.task.accounting.duplicate > 50

    task, checkpoints, found = new_task(plan), [], None
    for seed in range(200):
        driver = Driver(logs, task, seed, 20, found)
        stop = driver.task.accounting.n_in + 30
        driver.run(lambda d=driver, n=stop: d.task.is_between_batches and d.task.accounting.n_in >= n, 0.0)
        driver.checkpoint()
        checkpoints += driver.checkpoints
        task, found = restored(plan, checkpoints)
        if task.accounting.n_in == whole.task.accounting.n_in and task.clock_position == len(logs.clock):
            break
    assert task.accounting == whole.task.accounting
    assert task.state.event_part() == whole.task.state.event_part()
