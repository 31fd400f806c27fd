"""A built state is the streamed one, and the worker that starts from it loses nothing."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from offline.audit import Auditor
from offline.audit_scores import PastScores
from offline.errors import StateBuildError
from offline.ingest import ingest
from offline.state_build import build_from_lake, build_state
from schemas.codec import Codec
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.lake_origin import LakeOrigin
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.workload import Workload, load_workload
from schemas.workload_parse import parse_workload
from stream_app import opcodes as op
from stream_app.plan import Plan
from tests.broker.workers import WorkerProcess, state_of, wait_for
from tests.lives import tangled_events, with_silences
from tests.offline.past import produce, unruly_events
from tests.streams import DAY_MS, Driver, Logs, new_task

FIRST_DAY = 20_160
FEATURE = """
[[feature]]
name = "logins_added_later"
type = "count"
of = ["login"]
windows = ["14d", "60d"]
"""


@pytest.fixture
def two(settings: Settings) -> Settings:
    return replace(settings, partitions=2)


def publish(settings: Settings, workload: Workload, logs: Logs, begin: float = 0.0, end: float = 1.0) -> None:
    """Put a share of every log on the broker; of the clock the same."""
    for topic, partitions in zip(workload.topics, logs.topics, strict=True):
        for partition, log in enumerate(partitions):
            n = len(log.records)
            records = log.records[int(n * begin) : int(n * end)]
            produce(settings, settings.topic_prefix + topic.name, partition, records)
    codec, n = Codec(FileRegistry.fixed()), len(logs.clock)
    days = logs.clock[int(n * begin) : int(n * end)]
    clock = [codec.encode("clock", {"event_id": f"clock-{d}", "day": d, "time_ms": d * DAY_MS}) for d in days]
    for partition in range(settings.partitions):
        produce(settings, f"{settings.topic_prefix}clock", partition, [(1, b"clock", value) for value in clock])


def streamed(logs: Logs, plan: Plan, partition: int) -> Driver:
    return Driver(logs, new_task(plan, partition, logs.n_partitions), seed=partition).run()


def check_equal(settings: Settings, plan: Plan, logs: Logs) -> None:
    """The state on the broker is that of a stream that was never disturbed."""
    for partition in range(settings.partitions):
        found, expected = state_of(settings, plan, partition), streamed(logs, plan, partition).task
        assert found.state.event_part() == expected.state.event_part()
        assert len(found.state.event_part()) > 3
        assert found.positions == expected.positions
        assert found.state.clock_day == expected.state.clock_day


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_a_built_state_is_the_streamed_one(two: Settings, workload: Workload, share: float) -> None:
    """Whatever share of it lies in the lake: late, refused, repeated and unreadable records among it."""
    create_topics(two, workload)
    plan, logs = Plan.from_workload(workload), Logs(workload, 2).write(unruly_events(workload, 400, 25, 6))
    for log in (log for partitions in logs.topics for log in partitions):
        log.records[7:7] = [(log.records[0][0], b"?", b"no record"), (log.records[0][0], None, None)]
        log.records.append((log.records[0][0], b"?", b"no record"))
    publish(two, workload, logs, 0.0, share)
    if share:
        ingest(two, workload)
    publish(two, workload, logs, share, 1.0)
    built = build_state(two, workload)
    check_equal(two, plan, logs)
    for partition in range(2):
        found, expected = state_of(two, plan, partition), streamed(logs, plan, partition).task
        assert (found.accounting.applied, found.accounting.duplicate, found.accounting.late) == (
            expected.accounting.applied, expected.accounting.duplicate, expected.accounting.late,
        )  # fmt: skip
        assert found.accounting.duplicate > 3
        assert built.partitions[partition].n_events == expected.accounting.applied
        for source, window in enumerate(found.windows):  # what comes again from here on is told
            theirs = expected.windows[source]
            if window is not None and theirs is not None:
                again = logs.topics[source][partition].span(0, 40)
                told = [_marked(task, source, again).status.tolist() for task in (found, expected)]
                assert told[0] == told[1]
                assert op.DUPLICATE in told[0]


def _marked(task: Any, source: int, span: Any) -> Any:
    """The statuses that records would get if they came again at the end of the log."""
    columns = task.decoders[source].decode(span).columns
    columns.offset[:] += task.positions[source]
    task.windows[source].mark(columns)
    return columns


def test_up_to_a_day_is_what_was_known_before(two: Settings, workload: Workload) -> None:
    create_topics(two, workload)
    plan, batches = Plan.from_workload(workload), tangled_events(workload, 300, 20, 7)
    logs, day = Logs(workload, 2).write(batches), FIRST_DAY + 33
    publish(two, workload, logs)
    build_state(two, workload, day)
    before = Logs(workload, 2).write(known(batches, 0, day * DAY_MS), clock=False)
    before.clock = [d for d in logs.clock if d <= day]
    check_equal(two, plan, before)
    with pytest.raises(StateBuildError, match="the clock stands at"):
        build_state(two, workload, logs.clock[-1] + 1)


def test_a_newer_state_is_replaced_by_force_alone(two: Settings, workload: Workload) -> None:
    create_topics(two, workload)
    plan, logs = Plan.from_workload(workload), Logs(workload, 2).write(tangled_events(workload, 200, 15, 8))
    publish(two, workload, logs)
    build_state(two, workload)
    build_state(two, workload)  # as far as the other one: nothing is lost
    check_equal(two, plan, logs)
    with pytest.raises(StateBuildError, match="holds a state that has read up to"):
        build_state(two, workload, FIRST_DAY + 30)
    check_equal(two, plan, logs)
    build_state(two, workload, FIRST_DAY + 30, force=True)
    assert state_of(two, plan, 0).state.clock_day == FIRST_DAY + 30
    build_state(two, workload)
    check_equal(two, plan, logs)


def known(batches: list[EventBatch], first_ms: int, end_ms: int) -> list[EventBatch]:
    """The events that became known in ``[first_ms, end_ms)``."""
    parts = [b.take((b.known_time_ms >= first_ms) & (b.known_time_ms < end_ms)) for b in batches]
    return [part for part in parts if len(part)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_years_of_files_warm_a_worker_of_other_topics(settings: Settings, workload: Workload, tmp_path: Path) -> None:
    """A lake of topics with three partitions; then empty topics with two, and a worker that goes on."""
    batches, day = with_silences(tangled_events(workload, 300, 20, 9), 20, 9), FIRST_DAY + 40
    history, future = known(batches, 0, day * DAY_MS), known(batches, day * DAY_MS, 1 << 62)
    old, new = (
        replace(settings, partitions=3, topic_prefix=settings.topic_prefix + "old-"),
        replace(settings, partitions=2),
    )
    create_topics(old, workload)
    publish(old, workload, Logs(workload, 3).write(history))
    ingest(old, workload)
    built = build_from_lake(new, workload, old.lake_dir, day)
    assert sum(p.n_events for p in built.partitions) == sum(map(len, history))
    assert all(p.positions == (0,) * len(workload.topics) for p in built.partitions)
    plan, logs = Plan.from_workload(workload), Logs(workload, 2).write(future)
    worker = WorkerProcess(new, tmp_path)
    worker.start()
    publish(new, workload, logs)
    wait_for(lambda: worker.status().get("in", 0) == sum(map(len, batches)), "all events", 120)
    assert worker.end(signal.SIGTERM) == 0, worker.log_file.read_text()[-2000:]
    whole = Logs(workload, 2).write(batches)
    for partition in range(2):
        found, expected = state_of(new, plan, partition), streamed(whole, plan, partition).task
        assert found.state.event_part() == expected.state.event_part()
        assert found.accounting.adds_up()
        assert found.accounting.applied == expected.accounting.applied
    audits = Auditor(new, workload).audit(PastScores(new, workload).random(50, 0))
    assert {audit.verdict for audit in audits} <= {"equal", "not retained"}  # the stamps know the topics alone
    with pytest.raises(StateBuildError, match="an earlier state began with the lake"):
        build_state(new, workload)


def test_a_lake_of_files_is_never_read_as_the_beginning_of_the_topics(settings: Settings, workload: Workload) -> None:
    origin = LakeOrigin(("usage",), ("log",), "digest", settings.partitions, 5, True)
    Lake(settings.lake_dir).set_origin(origin)
    with pytest.raises(StateBuildError, match=r"is one of files.*--from-lake takes it as what came before them"):
        build_state(settings, workload)


def test_an_own_lake_is_not_counted_twice(two: Settings, workload: Workload) -> None:
    create_topics(two, workload)
    publish(two, workload, Logs(workload, 2).write(tangled_events(workload, 60, 10, 10)))
    ingest(two, workload)
    with pytest.raises(StateBuildError, match="without --from-lake"):
        build_from_lake(two, workload, two.lake_dir)
    other = replace(two, topic_prefix=two.topic_prefix + "x-")  # a lake of other topics at the own place
    other.lake_dir.parent.mkdir(parents=True, exist_ok=True)
    two.lake_dir.rename(other.lake_dir)
    create_topics(other, workload)
    with pytest.raises(StateBuildError, match="--from-lake takes it"):
        build_state(other, workload)
    assert build_from_lake(other, workload, other.lake_dir).partitions[0].n_events > 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_feature_is_added_while_the_stream_is_live(two: Settings, workload: Workload, tmp_path: Path) -> None:
    """The next generation is built beside a live worker, takes over, and is that of a full replay."""
    create_topics(two, workload)
    path = tmp_path / "more.toml"
    path.write_text(workload.text + FEATURE)
    more = load_workload(path)
    assert more.hash != workload.hash
    assert more.name == workload.name
    logs = Logs(workload, 2).write(with_silences(tangled_events(workload, 600, 25, 11), 25, 11))
    n_events = sum(len(log.records) for partitions in logs.topics for log in partitions)
    old = WorkerProcess(two, tmp_path)
    old.start()
    publish(two, workload, logs, 0.0, 0.5)
    wait_for(lambda: old.status().get("in", 0) > 0, "the old worker at work", 120)
    publish(two, workload, logs, 0.5, 0.6)
    built = build_state(two, more)
    assert all(p.n_events > 0 for p in built.partitions)
    publish(two, workload, logs, 0.6, 0.8)
    wait_for(lambda: old.status().get("in", 0) > n_events * 0.7, "the old worker going on", 120)
    assert old.end(signal.SIGTERM) == 0, old.log_file.read_text()[-2000:]
    new = WorkerProcess(replace(two, workload=str(path)), tmp_path)
    new.start()
    publish(two, workload, logs, 0.8, 1.0)
    wait_for(lambda: new.status().get("in", 0) == n_events, "all events", 120)
    assert new.end(signal.SIGTERM) == 0, new.log_file.read_text()[-2000:]
    plan = Plan.from_workload(more)
    assert "logins_added_later_60d" in plan.feature_names
    check_equal(two, plan, logs)


def test_the_added_feature_is_in_the_example() -> None:
    """The workload of the last test is one."""
    workload = load_workload("subscription_churn")
    parsed = parse_workload(workload.text + FEATURE, "more.toml")
    assert len(parsed.columns()) == len(workload.columns()) + 2
    assert parsed.columns()[: len(workload.columns())] == workload.columns()
