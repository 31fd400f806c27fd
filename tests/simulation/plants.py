"""Bugs as people write them, one at a time: each must be caught by the laws of the simulation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import numpy as np
from faust.types import TP

from stream_app import checkpoint, partition_task, restore, worker
from stream_app.delivery import AtLeastOnce
from stream_app.duplicates import DuplicateWindow
from stream_app.merge_kernel import merge_by_known_time
from stream_app.outputs import OutputBlock
from stream_app.owned import Owned
from stream_app.partition_task import PartitionTask
from stream_app.state import PartitionState
from stream_app.transactions import ExactlyOnce
from stream_app.worker import StreamWorker

Record = tuple[bytes, bytes]
_worker: Any = worker  # with the names that a world puts into it
Plant = Callable[[], Any]  # a context manager within which the bug is there


def _replaced(place: Any, name: str, value: Any) -> Plant:
    return lambda: patch.object(place, name, value)


# ---- the state topic ------------------------------------------------------------------------------------


def _take_all(self: Any, name: tuple[int, int], key: bytes, payload: bytes) -> None:
    """Whose record it is, and of which checkpoint, is not looked at."""
    _reader_take(self, (1, 1), key, payload if key != checkpoint.MARKER else _naming(payload))


def _naming(payload: bytes) -> bytes:
    return payload.replace(b'"committed":[', b'"committed":[[1,1],').replace(b"],]", b"]]")


_reader_take = restore._Reader.take
_encode = checkpoint.Checkpoint.encode


def _marker_first(self: Any, with_outputs: bool = True) -> list[Record]:
    records = _encode(self, with_outputs)
    return [records[-1], *records[:-1]]


def _no_hashes(self: DuplicateWindow, chunks: dict[int, Any], until: int) -> None:
    self.__init__()  # type: ignore[misc]
    self.first = self.next = until


def _forget_alerts(task: PartitionTask, marker: dict[str, Any], chunks: Any) -> None:
    _resume(task, marker | {"alerts": {}}, chunks)


_resume = restore._resume


def _older_position(task: PartitionTask, marker: dict[str, Any], chunks: Any) -> None:
    """The source goes on one record early."""
    _resume(task, marker | {"positions": [max(0, marker["positions"][0] - 1), *marker["positions"][1:]]}, chunks)


def _drops_successors(self: Any, name: tuple[int, int], key: bytes, payload: bytes) -> None:
    """A replaced worker's marker throws away what its successor has begun to write."""
    _reader_take(self, name, key, payload)
    if key == checkpoint.MARKER:
        self._waiting = []


def _dirty_forgotten(self: Any, state: Any) -> Any:
    """The last dirty row is not written."""
    slots = np.flatnonzero(state.dirty)
    state.dirty[slots[-1:]] = 0
    return _dirty_rows(self, state)


_dirty_rows = checkpoint.Checkpointer._dirty_rows

# ---- the worker -----------------------------------------------------------------------------------------


def _later_position(self: StreamWorker, tp: Any) -> int:
    """The seek goes one too far."""
    found = _position(self, tp)
    return found + 1 if found else found


_position = StreamWorker._position


async def _restore_first(self: StreamWorker, partition: int) -> Owned:
    """The state is read before the last writer is shut out."""
    owned = self.owned.get(partition)
    if owned is not None:
        end = await asyncio.to_thread(_worker.end_of, self.settings, self.state, partition)
        if end == owned.state_end:
            await self.delivery.open(partition)
            return owned
    found = await self._restore(partition)
    await self.delivery.open(partition)
    return found


async def _no_claim(self: AtLeastOnce, partition: int, incarnation: int) -> None:
    """Readers are not told that a partition has a new owner."""


async def _always_kept(self: StreamWorker, partition: int) -> Owned:
    """What is in memory is kept, whoever wrote since."""
    await self.delivery.open(partition)
    return self.owned.get(partition) or await self._restore(partition)


async def _no_rest(self: StreamWorker) -> None:
    """Partitions go to others while their checkpoint is written."""


async def _all_again(self: StreamWorker, topic: str, partition: int, batch: Any) -> None:
    """What was seen before is taken again."""
    tp = TP(topic, partition)
    if partition in self.owned and tp in self.fetched:
        self.fetched[tp] = min(self.fetched[tp], batch.begin)
    await _receive(self, topic, partition, batch)


_receive = StreamWorker.receive


async def _receive_blindly(self: StreamWorker, topic: str, partition: int, batch: Any) -> None:
    """A batch that waits over a rebalance goes to the task of before."""
    owned, tp = self.owned.get(partition), TP(topic, partition)
    if owned is None or batch.end <= self.fetched[tp] or batch.begin > self.fetched[tp]:
        return
    span = batch.span.since(self.fetched[tp])
    await self._check_continuity(tp, int(span.offsets[0]))
    self.fetched[tp] = batch.end
    if topic == self.clock:
        self._offer_clock(owned.task, span, batch)
    else:
        owned.task.offer(self.source_of[topic], span, batch.end, batch.arrived_ms)
    self._arrived.set()


async def _drain_blindly(self: StreamWorker) -> None:
    """A last checkpoint, whoever has the partition now."""
    self._is_draining = True
    _worker.faults.reach("on_sigterm")
    for partition, owned in list(self.owned.items()):
        await owned.settle()
        while not owned.task.is_between_batches:
            owned.task.step([], None)
        if owned.task.is_touched:
            await self._write(partition, owned, owned.checkpointer.take())


def _two_writers(self: StreamWorker, partition: int, owned: Owned) -> None:
    """The next checkpoint does not wait until the last one is written."""
    owned.writing = None
    _checkpoint_if_due(self, partition, owned)


_checkpoint_if_due = StreamWorker._checkpoint_if_due

# ---- deliveries -----------------------------------------------------------------------------------------


async def _outputs_first(
    self: AtLeastOnce, partition: int, records: Sequence[Record], outputs: Sequence[OutputBlock]
) -> int:
    await self.publish(partition, outputs)
    return await _commit_alo(self, partition, records, [])


_commit_alo = AtLeastOnce.commit


async def _not_again(self: AtLeastOnce, partition: int, outputs: Sequence[OutputBlock]) -> None:
    """What a restored checkpoint carries is not published."""
    if self.__dict__.get("is_running"):
        await _publish(self, partition, outputs)


_publish = AtLeastOnce.publish


async def _commit_running(
    self: AtLeastOnce, partition: int, records: Sequence[Record], outputs: Sequence[OutputBlock]
) -> int:
    self.__dict__["is_running"] = True
    try:
        return await _commit_alo(self, partition, records, outputs)
    finally:
        self.__dict__["is_running"] = False


class _Once:
    """`ExactlyOnce._produce` that leaves the outputs out when a transaction is written again."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def __call__(self, delivery: ExactlyOnce, producer: Any, partition: int, records: Any, outputs: Any) -> Any:
        is_again = id(records) in self.seen
        self.seen = {id(records)}
        return _produce(delivery, producer, partition, records, [] if is_again else outputs)


_produce = ExactlyOnce._produce


def _abort_and_go_on(self: ExactlyOnce, producer: Any, partition: int, records: Any, outputs: Any) -> int:
    """An aborted transaction is not repeated."""
    from confluent_kafka import KafkaException

    try:
        self._persist(partition, producer.begin_transaction)
        marker = self._produce(producer, partition, records, outputs)
        self._persist(partition, lambda: producer.commit_transaction(30.0))
        return marker() + 2
    except KafkaException as cause:
        error = cause.args[0]
        if not error.txn_requires_abort():
            raise self._told(partition, error) from cause
        self._persist(partition, lambda: producer.abort_transaction(30.0))
        return -1


def _outputs_apart(self: ExactlyOnce, producer: Any, partition: int, records: Any, outputs: Any) -> int:
    """Two transactions: state, then outputs."""
    end = _commit_eo(self, producer, partition, records, [])
    _commit_eo(self, producer, partition, [], outputs)
    return end


_commit_eo = ExactlyOnce._commit


async def _no_fence(self: ExactlyOnce, partition: int) -> None:
    """A new owner goes on under the old one's name: nobody is shut out."""
    producer: Any = await asyncio.to_thread(self._open, partition)
    producer.broker.epochs[producer.name] -= 1
    producer._epoch = producer.broker.epochs[producer.name] = 1
    self._producers[partition] = producer


# ---- the heart ------------------------------------------------------------------------------------------

_merge = merge_by_known_time


def _ahead(known: Any, status: Any, arrived: Any, *rest: Any) -> Any:
    return _merge(known, status, np.full_like(arrived, -np.inf), *rest)


_step = PartitionTask.step


def _never_waiting(
    self: PartitionTask, empty_at: Sequence[float | None], clock_empty_at: float | None, is_live: bool = False
) -> bool:
    """A source that shows nothing now counts as caught up."""
    return _step(self, [float("inf")] * len(empty_at), float("inf"), is_live)


def _by_arrival(known: Any, status: Any, arrived: Any, begin: Any, end: Any, empty_at: Any, *rest: Any) -> Any:
    """Ties go to the source of which more has arrived."""
    sources, runs = np.argsort(begin - end, kind="stable"), rest[-1]
    swapped_begin = begin[sources]
    found = _merge(known, status, arrived, swapped_begin, end[sources], empty_at[sources], *rest)
    begin[sources] = swapped_begin
    runs[: found[1], 0] = sources[runs[: found[1], 0]]
    return found


def _no_sweep(self: PartitionTask) -> None:
    """The ticks that were left are not taken."""


def _apply_float(self: Any, columns: Any, order: Any, start: int = 0) -> int:
    """Amounts pass through half the digits, as a sum in floats would lose them, by their place in the batch."""
    if start == 0:
        columns.values[order[1:]] = np.where(
            np.abs(columns.values[order[1:]]) > 1 << 20, columns.values[order[1:]] & ~1, columns.values[order[1:]]
        )
    return _apply(self, columns, order, start)


_apply = PartitionState.apply

PLANTS: dict[str, Plant] = {
    "stamp of a state record ignored": _replaced(restore._Reader, "take", _take_all),
    "seek one too far": _replaced(StreamWorker, "_position", _later_position),
    "seek one too short": _replaced(restore, "_resume", _older_position),
    "restore before fence": _replaced(StreamWorker, "_open", _restore_first),
    "no fence": _replaced(ExactlyOnce, "open", _no_fence),
    "no claim": _replaced(AtLeastOnce, "claim", _no_claim),
    "marker before rows": _replaced(checkpoint.Checkpoint, "encode", _marker_first),
    "a dirty row left out": _replaced(checkpoint.Checkpointer, "_dirty_rows", _dirty_forgotten),
    "outputs dropped on abort": lambda: patch.object(ExactlyOnce, "_produce", _method(_Once())),
    "aborted transaction not repeated": _replaced(ExactlyOnce, "_commit", _abort_and_go_on),
    "outputs in a transaction of their own": _replaced(ExactlyOnce, "_commit", _outputs_apart),
    "outputs before the state": _replaced(AtLeastOnce, "commit", _outputs_first),
    "restored outputs not published": lambda: patch.multiple(AtLeastOnce, publish=_not_again, commit=_commit_running),
    "kept though somebody else wrote": _replaced(StreamWorker, "_open", _always_kept),
    "no rest before a rebalance": _replaced(StreamWorker, "settle", _no_rest),
    "two writers at a time": _replaced(StreamWorker, "_checkpoint_if_due", _two_writers),
    "a batch that waits over a rebalance": _replaced(StreamWorker, "receive", _receive_blindly),
    "records taken twice": _replaced(StreamWorker, "receive", _all_again),
    "merge ahead of a lagging source": _replaced(partition_task, "merge_by_known_time", _ahead),
    "empty now is caught up": _replaced(PartitionTask, "step", _never_waiting),
    "ties by arrival": _replaced(partition_task, "merge_by_known_time", _by_arrival),
    "duplicates forgotten at a restart": _replaced(DuplicateWindow, "load", _no_hashes),
    "sweep not resumed": _replaced(PartitionTask, "resume_sweep", _no_sweep),
    "alert counts forgotten": _replaced(restore, "_resume", _forget_alerts),
    "checkpoint in the middle of a batch": _replaced(PartitionTask, "is_between_batches", property(lambda self: True)),
    "sums lose digits by their place": _replaced(PartitionState, "apply", _apply_float),
}
# Interleavings so rare that hundreds of seeds are needed: the thousand of a proof finds them.
RARE: dict[str, Plant] = {
    "drain without looking": _replaced(StreamWorker, "drain", _drain_blindly),
    "a successor's records dropped": _replaced(restore._Reader, "take", _drops_successors),
}


def _method(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *args: call(self, *args)
