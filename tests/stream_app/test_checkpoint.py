"""Checkpoints: whole or nothing, the same moment again, through bytes; kills, orphans, compaction and damage."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import stream_app.partition_task as partition_task
from stream_app.checkpoint import MARKER, Checkpoint, Checkpointer, Record, Restored
from stream_app.errors import RestoreError
from stream_app.partition_task import PartitionTask
from stream_app.plan import Plan
from stream_app.restore import restore
from tests.fakes import moody
from tests.lives import tangled_events, with_silences
from tests.streams import Driver, Logs, new_task, restored
from tests.workloads import named_workload

NAMES = ("subscription_churn", "silence")


def logs_of(name: str, n: int = 250, days: int = 45) -> Logs:
    workload = named_workload(name)
    logs = Logs(workload).write(with_silences(tangled_events(workload, n, 14, 3, days=days), 14, 3))
    for log in (source[0] for source in logs.topics):  # some that are refused, some that come twice
        log.records[5:5] = [(log.records[0][0], b"?", b"no record"), (log.records[0][0], None, b""), log.records[0]]
    return logs


def moment_of(task: PartitionTask) -> dict[str, Any]:
    """Everything that a restart must find again."""
    return {
        "rows": task.state.rows.tobytes(),
        "customers": task.state.n_customers,
        "free": task.state.free[: task.state.n_slots - task.state.n_customers].tolist(),
        "positions": [*task.positions, task.clock_position],
        "fetched": [*task.positions, task.clock_position],
        "clock_day": task.state.clock_day,
        "sweeping": task.is_sweeping,
        "accounting": (task.accounting.n_in, task.accounting.applied, dict(task.accounting.refused)),
        "alerts": dict(vars(task.scorer.alerts)),
        "summary": task.summary.snapshot(),
        "windows": [window_of(window, at) for window, at in zip(task.windows, task.positions, strict=True)],
    }


def window_of(window: Any, until: int) -> list[int] | None:
    """Hashes that lie before ``until``: what was marked ahead does not count."""
    return None if window is None else window.ring[np.arange(min(until, window.next)) % len(window.ring)].tolist()


def found_again(task: PartitionTask) -> dict[str, Any]:
    return moment_of(task) | {"fetched": [*task.fetched, task.clock_fetched]}


@pytest.fixture
def short_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep takes several steps, so that checkpoints fall into it."""
    for name, n_slots in (("SWEEP_SLOTS", 3), ("LIVE_SWEEP_SLOTS", 2), ("LIVE_TICKS", 6)):
        monkeypatch.setattr(partition_task, name, n_slots)


def recorded(name: str, seed: int, share: float = 0.2) -> tuple[Driver, list[dict[str, Any]]]:
    """A whole run, and what the task was at each of its checkpoints."""
    logs = logs_of(name)
    plan = Plan.from_workload(logs.workload)
    driver = Driver(logs, new_task(plan, schedule=moody(plan)), seed, 40)
    moments = moments_of(driver)
    return driver.run(checkpoint_share=share), moments


def moments_of(driver: Driver) -> list[dict[str, Any]]:
    """What the task is at each checkpoint from now on."""
    take, moments = driver.checkpoint, []

    def taking() -> Checkpoint:
        checkpoint = take()
        moments.append(moment_of(driver.task))
        return checkpoint

    driver.checkpoint = taking  # type: ignore[method-assign]
    return moments


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("short_sweeps")
def test_every_prefix_restores_to_the_moment_of_its_last_checkpoint(name: str) -> None:
    """Encoded only after the run went on: a checkpoint is cut loose from the task when it is taken."""
    driver, moments = recorded(name, 1)
    plan = driver.task.plan
    encoded = [checkpoint.encode() for checkpoint in driver.checkpoints]
    assert len(encoded) > 40
    assert any(moment["sweeping"] for moment in moments)
    for n in [1, 2, 3, *range(4, len(encoded), 7), len(encoded)]:
        task = new_task(plan)
        found = restore(task, [record for records in encoded[:n] for record in records], "state")
        assert found_again(task) == moments[n - 1]
        assert not task.state.dirty.any()
        again = [(block.topic, *record) for block in found.outputs for record in block]
        assert again == [(block.topic, *record) for block in driver.checkpoints[n - 1].outputs for record in block]


def test_a_topic_without_a_marker_is_a_new_beginning() -> None:
    driver, _ = recorded("silence", 2)
    plan = driver.task.plan
    for records in ([], driver.checkpoints[0].encode()[:-1]):
        task = new_task(plan)
        found = restore(task, records, "state")
        assert (found.marker, found.outputs, found.committed) == (None, [], {})
        assert found_again(task) == moment_of(new_task(plan))


@pytest.mark.parametrize("name", NAMES)
def test_records_without_a_marker_change_nothing(name: str) -> None:
    """A worker was killed while it wrote: at any record, and the next one goes on behind what it left."""
    driver, moments = recorded(name, 3)
    plan, random = driver.task.plan, np.random.default_rng(3)
    encoded = [checkpoint.encode() for checkpoint in driver.checkpoints]
    whole: list[Record] = []
    for n in range(0, len(encoded) - 1, 5):
        whole = [record for records in encoded[: n + 1] for record in records]
        left = encoded[n + 1][: int(random.integers(0, len(encoded[n + 1])))]
        task = new_task(plan)
        found = restore(task, [*whole, *left], "state")
        assert found_again(task) == moments[n]
        # the next incarnation writes the same again, under its own name
        following = Driver(driver.logs, task, n, 40, found)
        following.run(lambda d=following: len(d.checkpoints) >= 3, 0.5)
        records = [record for checkpoint in following.checkpoints for record in checkpoint.encode()]
        twin = new_task(plan)
        restore(twin, [*whole, *left, *records], "state")
        assert found_again(twin) == found_again(task) | {"fetched": found_again(twin)["fetched"]}


def compacted(records: list[Record], upto: int) -> list[Record]:
    """What Kafka's cleaner leaves: of ``records[:upto]`` the newest of each key, everything behind as it is."""
    newest = {key: i for i, (key, _) in enumerate(records[:upto])}
    kept = set(newest.values())
    return [record for i, record in enumerate(records) if i >= upto or i in kept]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("short_sweeps")
def test_a_compacted_topic_restores_to_the_same(name: str) -> None:
    """Several incarnations, each killed while it wrote; the cleaner may have come to any place of the log."""
    logs = logs_of(name)
    plan, random = Plan.from_workload(logs.workload), np.random.default_rng(4)
    log: list[Record] = []
    task, found = new_task(plan), None
    for seed in range(6):
        driver = Driver(logs, task, seed, 60, found)
        driver.run(lambda d=driver: len(d.checkpoints) >= 12, 0.3)
        encoded = [checkpoint.encode() for checkpoint in driver.checkpoints]
        log += [record for records in encoded[:-1] for record in records]
        log += encoded[-1][: int(random.integers(0, len(encoded[-1])))]
        task, found = new_task(plan), None
        found = restore(task, log, "state")
    driver = Driver(logs, task, 7, 60, found).run(checkpoint_share=0.3)
    log += [record for checkpoint in driver.checkpoints for record in checkpoint.encode()]
    markers = [i + 1 for i, (key, _) in enumerate(log) if key == MARKER]
    for upto in [0, *markers[::9], *random.integers(0, len(log), 8).tolist(), len(log)]:
        twin = new_task(plan)
        again = restore(twin, compacted(log, upto), "state")
        assert found_again(twin) == moment_of(driver.task)
        assert [list(block) for block in again.outputs] == [list(block) for block in driver.checkpoints[-1].outputs]
        twice = Checkpointer(twin, max(again.committed) + 1, again).take()
        final = new_task(plan)
        restore(final, [*compacted(log, upto), *twice.encode()], "state")
        assert found_again(final) == moment_of(driver.task)
    assert len(compacted(log, len(log))) < len(log) / 3


@pytest.mark.parametrize("name", [*NAMES, "lapse"])
@pytest.mark.usefixtures("short_sweeps")
def test_whatever_is_killed_all_outputs_come_and_no_others(name: str) -> None:
    """State first, outputs after: each at least once, equal bytes, over many kills at any point of a checkpoint."""
    logs = logs_of(name)
    plan, random = Plan.from_workload(logs.workload), np.random.default_rng(5)
    whole = Driver(logs, new_task(plan, schedule=moody(plan)), 9).run()
    log: list[Record] = []
    published: Counter[tuple[str, bytes, bytes]] = Counter()
    task, found, kills = new_task(plan, schedule=moody(plan)), None, 0
    while True:
        driver = Driver(logs, task, kills, 60, found)
        driver.run(lambda d=driver: len(d.checkpoints) >= 6, 0.3)
        for checkpoint in driver.checkpoints[:-1]:
            log += checkpoint.encode()
            published.update(everything(checkpoint.outputs))
        if len(driver.checkpoints) < 6:  # the logs are at their end
            log += driver.checkpoints[-1].encode()
            published.update(everything(driver.checkpoints[-1].outputs))
            break
        records, outputs = driver.checkpoints[-1].encode(), everything(driver.checkpoints[-1].outputs)
        if random.random() < 0.5:  # killed before the marker
            log += records[: int(random.integers(0, len(records)))]
        else:  # killed while the outputs were sent
            log += records
            published.update(outputs[: int(random.integers(0, len(outputs) + 1))])
        task, kills = new_task(plan, schedule=moody(plan)), kills + 1
        found = restore(task, log, "state")
        published.update(everything(found.outputs))
    assert kills > 10
    expected = everything(whole.published)
    for topic in ("scores", "latest-scores", "alerts", "dead-letters"):
        wanted = Counter(record for record in expected if record[0] == topic)
        assert {record for record in published if record[0] == topic} == wanted.keys()
        assert all(published[record] >= n for record, n in wanted.items())
    assert task.state.event_part() == whole.task.state.event_part()
    assert np.array_equal(task.state.rows, whole.task.state.rows)
    assert task.accounting == whole.task.accounting
    assert task.scorer.alerts == whole.task.scorer.alerts


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.usefixtures("short_sweeps")
def test_what_a_replaced_worker_still_writes_is_passed_over(seed: int) -> None:
    """Two incarnations write at once, in any order: the successor's is the truth, from its first marker on."""
    logs = logs_of("silence")
    plan, random = Plan.from_workload(logs.workload), np.random.default_rng(seed)
    first = Driver(logs, new_task(plan), seed, 60)
    first.run(lambda: len(first.checkpoints) >= 15, 0.3)
    shared = [record for checkpoint in first.checkpoints for record in checkpoint.encode()]
    task = new_task(plan)
    second = Driver(logs, task, seed + 50, 60, restore(task, shared, "state"))
    moments = moments_of(second)
    second.run(lambda: len(second.checkpoints) >= 8, 0.3)
    first.run(lambda: len(first.checkpoints) >= 21, 0.3)
    late = [record for checkpoint in first.checkpoints[15:] for record in checkpoint.encode()]
    own = [(n, record) for n, checkpoint in enumerate(second.checkpoints) for record in checkpoint.encode()]
    turns = random.permutation([0] * len(late) + [1] * len(own))
    log, newest, behind, ahead = list(shared), None, iter(late), iter(own)
    for turn in turns.tolist():
        if turn == 0:
            log.append(next(behind))
            continue
        n, record = next(ahead)
        log.append(record)
        newest = n if record[0] == MARKER else newest
        if newest is not None and random.random() < 0.1:
            twin = new_task(plan)
            restore(twin, log, "state")
            assert found_again(twin) == moments[newest]
    twin = new_task(plan)
    again = restore(twin, log, "state")
    assert found_again(twin) == moments[-1]
    assert [list(block) for block in again.outputs] == [list(block) for block in second.checkpoints[-1].outputs]


def everything(blocks: list[Any]) -> list[tuple[str, bytes, bytes]]:
    return [(block.topic, key, value) for block in blocks for key, value in block]


def test_the_journal_is_one_chain_over_restarts() -> None:
    from stream_app.checkpoint import decode_journal

    logs = logs_of("silence")
    plan = Plan.from_workload(logs.workload)
    task, checkpoints, found = new_task(plan), [], None
    for seed in range(12):
        driver = Driver(logs, task, seed, 30, found)
        driver.run(lambda d=driver: len(d.checkpoints) >= 4, 0.3)
        checkpoints += driver.checkpoints[:-1]  # the last one was never written
        task, found = restored(plan, checkpoints)
    at = [0] * (plan.n_sources + 1)
    for checkpoint in checkpoints:
        head, runs = decode_journal(checkpoint.journal)
        assert [*head["from"], head["clock_from"]] == at
        for source, count in runs.tolist():
            at[source] += count
        assert [*head["to"], head["clock_to"]] == at
    assert at == [*task.positions, task.clock_position]
    assert min(at) > 0


def test_what_is_written_is_at_most_twice_what_changed() -> None:
    """Rows and blocks together; bytes of each do not count their few bytes of name."""
    plan = Plan.from_workload(named_workload("silence"))
    task, random = new_task(plan), np.random.default_rng(6)
    task.state._grow()
    task.state.set_slots(2000)
    task.state.s8[:] = random.integers(0, 256, len(task.state.s8), dtype=np.uint8)  # nothing to compress
    checkpointer = Checkpointer(task, 1)
    for share in (0.0, 0.001, 0.3, 0.5, 0.9, 1.0):
        task.state.dirty[:2000] = random.random(2000) < share
        n = int(task.state.dirty.sum())
        written = [value for key, value in checkpointer.take().encode() if key[:1] in (b"b", b"r")]
        assert sum(map(len, written)) <= 2 * 1.02 * n * plan.row_bytes
        assert not task.state.dirty.any()


# ---- damage ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def healthy() -> tuple[Plan, list[Record]]:
    driver, _ = recorded("subscription_churn", 7)
    return driver.task.plan, [record for checkpoint in driver.checkpoints for record in checkpoint.encode()]


def outcome(plan: Plan, records: list[Record]) -> Restored | RestoreError:
    """What a restore of ``records`` comes to; anything but these two is a failure of the test."""
    try:
        return restore(new_task(plan), records, "state-1")
    except RestoreError as error:
        refused = error
    assert str(refused).startswith("topic state-1 partition 0: ")
    assert "\n" not in str(refused)
    return refused


def test_a_cut_record_is_refused(healthy: tuple[Plan, list[Record]]) -> None:
    plan, records = healthy
    random = np.random.default_rng(8)
    last = max(i for i, (key, _) in enumerate(records[:-1]) if key == MARKER)
    for i in {*random.integers(0, len(records), 60).tolist(), *range(last, len(records))}:
        key, value = records[i]
        if key.startswith(b"o") and i < last:
            continue  # outputs that were published long ago
        cut = (key, value[: int(random.integers(0, len(value)))])
        assert isinstance(outcome(plan, [*records[:i], cut, *records[i + 1 :]]), RestoreError), key


def test_a_missing_record_of_the_newest_checkpoint_is_refused(healthy: tuple[Plan, list[Record]]) -> None:
    plan, records = healthy
    last = max(i for i, (key, _) in enumerate(records[:-1]) if key == MARKER)
    assert len(records) - last > 2
    for i in range(last + 1, len(records) - 1):
        assert isinstance(outcome(plan, [*records[:i], *records[i + 1 :]]), RestoreError)


def test_wild_bytes_are_refused_or_harmless_but_never_raise_anything_else(healthy: tuple[Plan, list[Record]]) -> None:
    plan, records = healthy
    random, refused = np.random.default_rng(9), 0
    for _ in range(150):
        i = int(random.integers(0, len(records)))
        key, value = records[i]
        data = bytearray(value)
        at = int(random.integers(0, len(data)))
        data[at : at + int(random.integers(1, 40))] = random.bytes(int(random.integers(0, 40)))
        keys = [key, b"", b"x", b"r-1", b"r99999999999999", b"b7777777777", b"rx", b"d9/1", b"o0", b"\xff"]
        wild = (keys[int(random.integers(0, len(keys)))] if random.random() < 0.3 else key, bytes(data))
        refused += isinstance(outcome(plan, [*records[:i], wild, *records[i + 1 :]]), RestoreError)
    assert refused > 50


def test_state_of_another_workload_is_refused_with_its_reason(healthy: tuple[Plan, list[Record]]) -> None:
    _, records = healthy
    other = Plan.from_workload(named_workload("lapse"))
    assert "another version of the workload" in str(outcome(other, records))
