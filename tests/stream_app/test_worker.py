"""The worker without Faust and without a broker: what it takes, in which order it writes, and being killed anywhere.

Long because its fake broker and source serve these tests alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from faust.types import TP

import stream_app.worker as module
from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.workload import Workload
from stream_app.checkpoint import CLAIM, MARKER
from stream_app.delivery import AtLeastOnce
from stream_app.errors import AssignmentStop, ContinuityStop
from stream_app.plan import Plan
from stream_app.spans import RecordSpan
from stream_app.transport import FetchedBatch
from stream_app.worker import StreamWorker, WorkerOptions
from tests.fakes import moody
from tests.lives import tangled_events, with_silences
from tests.streams import Driver, Logs, new_task
from tests.workloads import named_workload

N_PARTITIONS = 2
SETTINGS = Settings(partitions=N_PARTITIONS)


class KilledError(Exception):
    """The process ends here."""


@dataclass
class FakeBroker:
    """Topics as lists; the producer's side dies after ``records_left`` more records."""

    logs: dict[tuple[str, int], list[tuple[bytes, bytes]]] = field(default_factory=dict)
    calls: list[tuple[str, int, list[bytes]]] = field(default_factory=list)
    records_left: float = float("inf")

    def log(self, topic: str, partition: int) -> list[tuple[bytes, bytes]]:
        return self.logs.setdefault((topic, partition), [])

    async def publish(self, topic: str, partition: int, records: Iterable[tuple[bytes, bytes]]) -> int:
        log, keys = self.log(topic, partition), []
        self.calls.append((topic, partition, keys))
        for key, value in records:
            if self.records_left <= 0:
                raise KilledError
            self.records_left -= 1
            log.append((key, value))
            keys.append(key)
            if len(keys) % 5 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        return len(log) - 1

    def read_partition(
        self, _: Settings, topic: str, partition: int, position: list[int]
    ) -> Iterator[tuple[bytes, bytes]]:
        for position[0], record in enumerate(list(self.log(topic, partition)), 1):
            yield record

    def end_of(self, _: Settings, topic: str, partition: int) -> int:
        return len(self.log(topic, partition))


@dataclass
class Source:
    """What the transport does: hands over pieces of the logs, in order for each topic-partition."""

    worker: StreamWorker
    records: dict[TP, list[Any]]
    random: np.random.Generator
    next_position: dict[TP, int] = field(default_factory=dict)
    in_flight: list[tuple[TP, FetchedBatch]] = field(default_factory=list)

    def caught_up_at(self, tp: TP, position: int) -> float | None:
        if self.next_position[tp] != position or position < len(self.records[tp]):
            return None
        return time.time() * 1000

    async def assign(self) -> None:
        self.next_position = dict(await self.worker.positions(set(self.records)))
        self.worker.empty_at = self.caught_up_at

    async def feed(self) -> None:
        """Fetch and deliver, with some batches in between at all times, until every log is handed over."""
        while self.in_flight or any(at < len(self.records[tp]) for tp, at in self.next_position.items()):
            if self.random.random() < 0.6:
                self.fetch()
            elif self.in_flight:
                tp, batch = self.in_flight.pop(0)
                await self.worker.receive(tp.topic, tp.partition, batch)
            await asyncio.sleep(0)

    def fetch(self) -> None:
        behind = [tp for tp, at in self.next_position.items() if at < len(self.records[tp])]
        if behind:
            tp = behind[int(self.random.integers(len(behind)))]
            begin = self.next_position[tp]
            end = min(begin + int(self.random.integers(1, 60)), len(self.records[tp]))
            self.next_position[tp] = end
            self.in_flight.append(
                (tp, FetchedBatch(span_of(self.records[tp][begin:end]), begin, end, time.time() * 1000))
            )


def span_of(records: list[Any]) -> RecordSpan:
    n = len(records)
    return RecordSpan(
        np.fromiter((r.offset for r in records), np.int64, n),
        np.fromiter((r.timestamp for r in records), np.int64, n),
        [r.key for r in records],
        [r.value for r in records],
    )


def records_of(logs: Logs) -> dict[TP, list[Any]]:
    """Every topic-partition as the consumer gives it."""
    codec, found = Codec(FileRegistry.for_workload(logs.workload)), {}
    for partition in range(logs.n_partitions):
        for topic, source in zip(logs.workload.topics, logs.topics, strict=True):
            found[TP(topic.name, partition)] = [
                SimpleNamespace(offset=i, timestamp=stamp, key=key, value=value)
                for i, (stamp, key, value) in enumerate(source[partition].records)
            ]
        days = [codec.encode("clock", {"event_id": "", "day": day, "time_ms": day * 86_400_000}) for day in logs.clock]
        found[TP("clock", partition)] = [
            SimpleNamespace(offset=i, timestamp=0, key=b"clock", value=value) for i, value in enumerate(days)
        ]
    return found


@pytest.fixture(scope="module")
def workload() -> Workload:
    return named_workload("silence")


@pytest.fixture(scope="module")
def logs(workload: Workload) -> Logs:
    events = with_silences(tangled_events(workload, 700, 16, 3, days=45), 16, 3)
    return Logs(workload, N_PARTITIONS).write(events)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> FakeBroker:
    fake = FakeBroker()
    monkeypatch.setattr(module, "read_partition", fake.read_partition)
    monkeypatch.setattr(module, "end_of", fake.end_of)
    return fake


def new_worker(workload: Workload, broker: FakeBroker, **options: Any) -> StreamWorker:
    worker = StreamWorker(SETTINGS, workload, WorkerOptions(**({"checkpoint_s": 0.0} | options)))
    worker.delivery = AtLeastOnce(cast(Any, broker), worker.state)
    worker.schedule.rule = moody(worker.plan).rule
    return worker


@asynccontextmanager
async def running(worker: StreamWorker) -> AsyncIterator[asyncio.Task[None]]:
    loop = asyncio.create_task(worker.run())
    try:
        yield loop
    finally:
        loop.cancel()
        writing = [owned.writing for owned in worker.owned.values() if owned.writing is not None]
        await asyncio.gather(loop, *writing, return_exceptions=True)


async def until(is_so: Callable[[], bool], loop: asyncio.Task[None]) -> None:
    """Wait for a condition while ``loop`` runs; what ends the loop is raised."""
    deadline = time.monotonic() + 60
    while not is_so():
        if loop.done():
            loop.result()
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def is_finished(worker: StreamWorker, logs: Logs) -> bool:
    """Everything is applied, and a checkpoint says so."""
    for partition, owned in worker.owned.items():
        task = owned.task
        ends = [len(source[partition].records) for source in logs.topics]
        if task.positions != ends or task.clock_position != len(logs.clock) or task.is_sweeping or task.is_touched:
            return False
        if owned.writing is not None:
            if not owned.writing.done():
                return False
            owned.writing.result()  # raises what it died of
    return True


async def live(worker: StreamWorker, logs: Logs, seed: int) -> None:
    """From assignment to the end of the logs, or to the process's."""
    source = Source(worker, records_of(logs), np.random.default_rng(seed))
    async with running(worker) as loop:
        await source.assign()
        feed = asyncio.create_task(source.feed())
        try:
            await until(lambda: feed.done() and is_finished(worker, logs), loop)
        finally:
            feed.cancel()


def undisturbed(plan: Plan, logs: Logs) -> list[Driver]:
    tasks = [new_task(plan, p, N_PARTITIONS, moody(plan)) for p in range(N_PARTITIONS)]
    return [Driver(logs, task, 3).run() for task in tasks]


# ---- killed anywhere ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(24))
def test_killed_at_any_record_nothing_is_lost_and_nothing_else_comes(
    workload: Workload, logs: Logs, broker: FakeBroker, seed: int
) -> None:
    """The producer dies in the middle of rows, before markers, among outputs; again and again."""
    plan, random, kills = Plan.from_workload(workload), np.random.default_rng(seed), 0
    while True:
        worker = new_worker(workload, broker)
        broker.records_left = float("inf") if kills == 25 else int(random.integers(0, 400))
        try:
            asyncio.run(live(worker, logs, kills))
            break
        except KilledError:
            kills += 1
    assert kills > 5
    for partition, whole in enumerate(undisturbed(plan, logs)):
        owned = worker.owned[partition]
        assert owned.task.state.event_part() == whole.task.state.event_part()
        assert owned.task.accounting == whole.task.accounting
        assert owned.task.scorer.alerts == whole.task.scorer.alerts
        assert np.array_equal(owned.task.state.rows, whole.task.state.rows)
        for topic in ("alerts", "scores", "latest-scores"):
            came, wanted = Counter(broker.log(topic, partition)), Counter(whole.records(topic))
            assert came.keys() == wanted.keys()
            assert all(came[record] >= n for record, n in wanted.items())


def test_a_checkpoint_is_rows_then_marker_then_outputs(workload: Workload, logs: Logs, broker: FakeBroker) -> None:
    worker = new_worker(workload, broker)
    asyncio.run(live(worker, logs, 1))
    for partition in range(N_PARTITIONS):
        (begun, claims), *calls = [(topic, keys) for topic, where, keys in broker.calls if where == partition]
        assert begun == worker.state
        assert [key[:1] for key in claims] == [CLAIM]
        assert sum(topic == worker.journal for topic, _ in calls) > 1  # how many there are is a matter of time
        while calls:
            rows, (topic, marker) = calls[:2], calls[2]
            assert {topic, *(topic for topic, _ in rows)} == {worker.state}
            assert MARKER not in [key for _, keys in rows for key in keys]
            assert marker == [MARKER]
            n = next((i for i, (topic, _) in enumerate(calls[3:], 3) if topic == worker.state), len(calls))
            assert worker.journal in {topic for topic, _ in calls[3:n]}
            calls = calls[n:]


def test_a_stop_leaves_a_whole_state_and_a_start_goes_on(workload: Workload, logs: Logs, broker: FakeBroker) -> None:
    """Drained at random moments under load: no event twice, no checkpoint half."""
    plan = Plan.from_workload(workload)
    seen: list[int] = []

    async def some(seed: int) -> bool:
        worker = new_worker(workload, broker)
        source = Source(worker, records_of(logs), np.random.default_rng(seed))
        async with running(worker) as loop:
            await source.assign()
            before = sum(o.task.accounting.n_in for o in worker.owned.values())
            feed = asyncio.create_task(source.feed())
            goal = before + 60

            def is_enough() -> bool:
                n = sum(o.task.accounting.n_in for o in worker.owned.values())
                return n >= goal or (feed.done() and is_finished(worker, logs))

            await until(is_enough, loop)
            await worker.drain()
            feed.cancel()
            seen.append(sum(o.task.accounting.n_in for o in worker.owned.values()))
            assert all(o.writing is None and not o.task.is_touched for o in worker.owned.values())
            return is_finished(worker, logs)

    for seed in range(200):
        if asyncio.run(some(seed)):
            break
    assert len(seen) > 5
    final = new_worker(workload, broker)
    asyncio.run(live(final, logs, 0))
    for partition, whole in enumerate(undisturbed(plan, logs)):
        assert final.owned[partition].task.state.event_part() == whole.task.state.event_part()
        assert final.owned[partition].task.accounting == whole.task.accounting


# ---- assignment -----------------------------------------------------------------------------------------


def test_partitions_of_the_sources_that_differ_stop_the_worker(workload: Workload, broker: FakeBroker) -> None:
    worker = new_worker(workload, broker)
    with pytest.raises(AssignmentStop, match="different partitions"):
        asyncio.run(_positions(worker, {TP("orders", 0), TP("orders", 1), TP("clock", 0)}))


async def _positions(worker: StreamWorker, assigned: set[TP]) -> Any:
    return await worker.positions(assigned)


def test_a_partition_is_kept_while_nobody_else_wrote_to_its_state(
    workload: Workload, logs: Logs, broker: FakeBroker
) -> None:
    worker = new_worker(workload, broker)
    both = set(records_of(logs))
    asyncio.run(live(worker, logs, 2))
    kept = dict(worker.owned)
    asyncio.run(_positions(worker, both))
    assert all(worker.owned[p] is kept[p] for p in range(N_PARTITIONS))
    broker.log(worker.state, 1).append((b"r0", b"somebody else was here"))
    asyncio.run(_positions(worker, both))
    assert worker.owned[0] is kept[0]
    assert worker.owned[1] is not kept[1]
    assert worker.owned[1].task.state.event_part() == kept[1].task.state.event_part()
    asyncio.run(_positions(worker, {tp for tp in both if tp.partition == 0}))
    assert list(worker.owned) == [0]


def test_between_revocation_and_assignment_nothing_is_written(
    workload: Workload, logs: Logs, broker: FakeBroker
) -> None:
    worker = new_worker(workload, broker)

    async def rebalance() -> None:
        source = Source(worker, records_of(logs), np.random.default_rng(5))
        async with running(worker) as loop:
            await source.assign()
            feed = asyncio.create_task(source.feed())
            await until(lambda: sum(o.task.accounting.n_in for o in worker.owned.values()) > 100, loop)
            await worker.settle()
            n_calls = len(broker.calls)
            ends = [broker.log(worker.state, p)[-1][0] for p in range(N_PARTITIONS) if broker.log(worker.state, p)]
            assert set(ends) == {MARKER}  # whoever gets the partitions finds whole checkpoints
            for _ in range(200):
                await asyncio.sleep(0)
            assert len(broker.calls) == n_calls
            feed.cancel()
            source.in_flight.clear()
            await source.assign()
            feed = asyncio.create_task(source.feed())
            await until(lambda: feed.done() and is_finished(worker, logs), loop)

    asyncio.run(rebalance())
    for partition, whole in enumerate(undisturbed(worker.plan, logs)):
        assert np.array_equal(worker.owned[partition].task.state.rows, whole.task.state.rows)


# ---- what is taken --------------------------------------------------------------------------------------


def batch_of(records: list[Any], begin: int, end: int) -> FetchedBatch:
    return FetchedBatch(span_of(records[begin:end]), begin, end, 0.0)


@pytest.fixture
def tp(logs: Logs) -> TP:
    return max((tp for tp in records_of(logs) if tp.topic == "orders"), key=lambda tp: len(records_of(logs)[tp]))


def test_what_was_seen_is_dropped_and_what_comes_too_early_waits(
    workload: Workload, logs: Logs, broker: FakeBroker, tp: TP
) -> None:
    worker, records = new_worker(workload, broker), records_of(logs)

    async def take(*bounds: tuple[int, int]) -> int:
        await worker.positions(set(records))
        for begin, end in bounds:
            await worker.receive(*tp, batch_of(records[tp], begin, end))
        return worker.owned[tp.partition].task.n_pending(0)

    assert asyncio.run(take((0, 10), (0, 10), (5, 20), (19, 20), (40, 50), (20, 30))) == 30
    assert worker.fetched[tp] == 30


@pytest.mark.parametrize(("accept", "begins_at"), [(False, 12), (True, 12), (False, 3)])
def test_a_hole_stops_only_where_the_log_lost_records(
    workload: Workload, logs: Logs, broker: FakeBroker, tp: TP, accept: bool, begins_at: int
) -> None:
    worker, records = new_worker(workload, broker, accept_gap=accept), records_of(logs)

    async def log_begin(_: TP) -> int:
        return begins_at

    async def take() -> None:
        worker.log_begin = log_begin
        await worker.positions(set(records))
        await worker.receive(*tp, batch_of(records[tp], 0, 10))
        await worker.receive(*tp, FetchedBatch(span_of(records[tp][12:20]), 10, 20, 0.0))

    if accept or begins_at <= 10:
        asyncio.run(take())
        assert worker.owned[tp.partition].task.n_pending(0) == 18
        return
    with pytest.raises(ContinuityStop, match=rf"partition {tp.partition}: expected offset 10, the log continues at 12"):
        asyncio.run(take())


def test_nothing_runs_ahead_of_records_that_are_on_their_way(
    workload: Workload, logs: Logs, broker: FakeBroker, tp: TP
) -> None:
    """Fetched, but still in the stream's queue: their source is not caught up, however empty its log looks."""
    worker, records = new_worker(workload, broker), records_of(logs)
    source = Source(worker, records, np.random.default_rng(1))
    clock = TP("clock", tp.partition)

    async def clock_first() -> None:
        await source.assign()
        source.next_position[tp] = len(records[tp])  # fetched
        source.next_position[clock] = len(records[clock])
        await worker.receive(*clock, FetchedBatch(span_of(records[clock]), 0, len(records[clock]), time.time() * 1000))
        task = worker.owned[tp.partition].task
        assert not task.step(*worker._empty_at(tp.partition))
        assert task.clock_position == 0
        await worker.receive(*tp, FetchedBatch(span_of(records[tp]), 0, len(records[tp]), time.time() * 1000))
        assert task.step(*worker._empty_at(tp.partition))

    asyncio.run(clock_first())


def test_a_clock_record_that_cannot_be_read_is_a_dead_letter(
    workload: Workload, logs: Logs, broker: FakeBroker
) -> None:
    worker, records = new_worker(workload, broker), records_of(logs)
    for partition in range(N_PARTITIONS):
        for i, value in ((3, b"?"), (9, None)):
            records[TP("clock", partition)][i] = SimpleNamespace(offset=i, timestamp=7, key=b"clock", value=value)
    source = Source(worker, records, np.random.default_rng(1))

    async def whole() -> None:
        async with running(worker) as loop:
            await source.assign()
            feed = asyncio.create_task(source.feed())
            await until(lambda: feed.done() and is_finished(worker, logs), loop)

    asyncio.run(whole())
    for partition in range(N_PARTITIONS):
        letters = [worker.codec.decode(value, "dead_letter") for _, value in broker.log("dead-letters", partition)]
        assert [(x["topic"], x["offset"], x["reason"]) for x in letters] == [
            ("clock", 3, "wrong_magic"),
            ("clock", 9, "null_value"),
        ]
        assert worker.owned[partition].task.state.clock_day == logs.clock[-1]
        assert worker.owned[partition].task.accounting.adds_up()
