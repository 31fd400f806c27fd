"""What must hold after every life, whatever went wrong in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from stream_app.checkpoint import Restored
from stream_app.partition_task import PartitionTask
from stream_app.restore import restore
from tests.simulation.events import N_PARTITIONS
from tests.simulation.journal import Replay, read_journal
from tests.streams import Driver

if TYPE_CHECKING:
    from tests.simulation.world import World

OUTPUTS = ("alerts", "scores", "latest-scores")


class Broken(AssertionError):
    """A law does not hold."""

    def __init__(self, law: str, detail: object = "") -> None:
        self.law = law
        super().__init__(f"{law}: {detail}")


def must(holds: bool, law: str, detail: object = "") -> None:
    if not holds:
        raise Broken(law, detail)


@contextmanager
def law(name: str) -> Iterator[None]:
    """What fails within breaks the law ``name``."""
    try:
        yield
    except Broken:
        raise
    except Exception as error:
        raise Broken(name, repr(error)) from error


def check(world: World) -> None:
    """Raise `Broken` at the first law that does not hold."""
    for partition in range(N_PARTITIONS):
        check_partition(world, partition, world.group.owner[partition].worker.owned[partition].task)


def check_partition(world: World, partition: int, task: PartitionTask) -> None:
    """All laws of one partition that was applied to the end of its logs; ``task`` is its owner's."""
    whole = world.events.undisturbed[partition]
    must(task.state.event_part() == whole.task.state.event_part(), "event part equal", f"partition {partition}")
    must(task.accounting.adds_up(), "accounting adds up", task.accounting)
    must(task.accounting == whole.task.accounting, "accounting equal", (task.accounting, whole.task.accounting))
    found = _check_restored(world, partition, task)
    replay = _check_journal(world, partition, found, task)
    _check_outputs(world, partition, replay)
    if world.feed.is_backlog:
        _check_order(task, whole, replay)


def _check_restored(world: World, partition: int, task: PartitionTask) -> Restored:
    """Whoever restores now finds what the owner has."""
    log = world.broker.log(world.topic("state"), partition)
    twin = world.events.new_task(partition)
    with law("restorable"):
        found = restore(twin, [(e.key or b"", e.value or b"") for e in log.read(0)], "state")
    here, there = _moment(twin), _moment(task)
    must(here == there, "restored equal", [name for name in here if here[name] != there[name]])
    return found


def _moment(task: PartitionTask) -> dict[str, Any]:
    return {
        "rows": task.state.rows.tobytes(), "positions": [*task.positions, task.clock_position],
        "accounting": task.accounting, "alerts": task.scorer.alerts, "clock": task.state.clock_day,
        "sweeping": task.is_sweeping, "summary": task.summary.snapshot(),
    }  # fmt: skip


def _by_customer(task: PartitionTask) -> dict[bytes, bytes]:
    """Key -> row: a customer who comes between the ticks of a day that forgets others takes another slot."""
    state = task.state
    rows = state.s8.reshape(-1, state.row_bytes)[: state.n_slots]
    keys = state.customer_ids(np.arange(state.n_slots))
    return {key: row.tobytes() for key, row in zip(keys, rows, strict=True) if key}


def _check_journal(world: World, partition: int, found: Restored, task: PartitionTask) -> Replay:
    """One chain from the beginning to the end of the logs, and the same decisions from it."""
    with law("journal once"):
        parts = read_journal(world, partition, found.committed)
    replay, at = Replay(world, partition), [0] * (len(world.events.logs.topics) + 1)
    for i, part in enumerate(parts):
        must(part.begin == at, "journal is one chain", f"partition {partition}: part {i} {part.begin} after {at}")
        at = part.end
    must(at == [*task.positions, task.clock_position], "journal reaches the end", at)
    with law("journal can be replayed"):
        for part in parts:
            replay.take(part)
        replay.flush()
    n_records = [len(records) for records in replay.records]
    must(replay.at == n_records, "every record in the journal", (replay.at, n_records))
    must(not replay.early, "the clock waits for what was written before", replay.early[:3])
    mine, theirs = _by_customer(task), _by_customer(replay.task)
    must(mine == theirs, "rows equal the replay's", f"partition {partition}")
    must(replay.task.scorer.alerts == task.scorer.alerts, "alert counts equal", task.scorer.alerts)
    return replay


def _check_outputs(world: World, partition: int, replay: Replay) -> None:
    for topic in OUTPUTS:
        came = [(e.key, e.value) for e in world.broker.log(topic, partition).read(0)]
        wanted = replay.records_of(topic)
        if world.is_exactly_once:
            _must_be(came, wanted, f"exactly once: {topic}")
            continue
        must(set(came) >= set(wanted), "at least once", (topic, len(set(wanted) - set(came)), len(wanted)))
        if not world.may_have_two_owners:
            _must_be(list(dict.fromkeys(came)), list(dict.fromkeys(wanted)), f"at least once, no other: {topic}")
    _check_letters(world, partition, replay)
    _check_summaries(world, partition)


def _key(record: tuple[bytes, bytes]) -> bytes:
    return record[0]


def _must_be(came: list[Any], wanted: list[Any], name: str) -> None:
    """The same records, those of each customer in the same order: events may go between the ticks of a day."""
    if sorted(came, key=_key) != sorted(wanted, key=_key):
        extra, missing = Counter(came) - Counter(wanted), Counter(wanted) - Counter(came)
        raise Broken(name, f"{len(came)} came, {len(wanted)} wanted, {extra.total()} extra, {missing.total()} missing")


def _check_letters(world: World, partition: int, replay: Replay) -> None:
    came = [(e.key, e.value) for e in world.broker.log("dead-letters", partition).read(0)]
    wanted = replay.records_of("dead-letters")
    if world.is_exactly_once:
        must(Counter(came) == Counter(wanted), "exactly once: dead letters", (len(came), len(wanted)))
    must(set(came) >= set(wanted), "every refused record has its letter", (len(came), len(wanted)))


def _check_summaries(world: World, partition: int) -> None:
    """Numbered without a hole."""
    log = world.broker.log("summaries", partition)
    names = [world.events.codec.decode(e.value or b"", "summary")["seq"] for e in log.read(0)]
    if world.is_exactly_once:
        must(names == list(range(len(names))), "summaries once and in order", names)
    must(set(names) == set(range(max(names, default=-1) + 1)), "summaries without a hole", names)


def _check_order(task: PartitionTask, whole: Driver, replay: Replay) -> None:
    """Of logs that were full from the beginning, every reader takes the same decisions."""
    must(_by_customer(task) == _by_customer(whole.task), "order is the log's: rows")
    for topic in OUTPUTS:
        _must_be(replay.records_of(topic), whole.records(topic), f"order is the log's: {topic}")
