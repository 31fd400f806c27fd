"""The worker behind the Faust app: owns partitions, feeds their tasks, writes checkpoints, publishes what they caused.

How a checkpoint and what it caused reach the broker is the delivery's (`stream_app.delivery`). Any error here stops the
process.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from faust.types import TP

from schemas.codec import Codec
from schemas.errors import CodecError
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topics import topic_for
from schemas.workload import Workload
from stream_app import faults
from stream_app.checkpoint import Checkpoint, Checkpointer, Record, Restored
from stream_app.decode import RefusedRecord
from stream_app.delivery import AtLeastOnce, Delivery
from stream_app.errors import AssignmentStop, ContinuityStop
from stream_app.memory import give_back
from stream_app.model import RuleModel
from stream_app.outputs import OutputBlock
from stream_app.owned import Owned
from stream_app.partition_task import NO_DAY, PartitionTask
from stream_app.plan import Plan
from stream_app.publisher import Publisher
from stream_app.releases import ActiveModel, ModelSchedule
from stream_app.restore import restore
from stream_app.scoring import Scorer
from stream_app.spans import Span
from stream_app.state_topic import end_of, read_partition
from stream_app.status import Status
from stream_app.transport import FetchedBatch

log = logging.getLogger(__name__)
ROOM = 20_000  # records of one topic-partition that may wait here
IDLE_S = 0.004
NOT_OURS = -1  # somebody may have written between: restore at the next assignment
BREATH_S = 0.015  # between ticks, in which records of now come in


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker runs.

    Attributes
    ----------
    checkpoint_s
        Least time between two checkpoints of a partition, more when they take long; alerts wait for theirs.
    live_from_ms
        Alerts as of an earlier moment are not published.
    accept_gap
        Go on when the log lost records before they were read.
    """

    checkpoint_s: float = 1.0
    live_from_ms: int = 0
    accept_gap: bool = False


def _encode(checkpoint: Checkpoint, with_outputs: bool) -> tuple[list[Record], int]:
    """(records, bytes of rows in them)."""
    records = checkpoint.encode(with_outputs)
    return records, sum(len(value) for key, value in records if key[:1] in (b"b", b"r"))


class StreamWorker:
    """Everything of a worker but Faust.

    Parameters
    ----------
    settings, workload
        Of this process.
    options
        How it runs.
    """

    def __init__(self, settings: Settings, workload: Workload, options: WorkerOptions) -> None:
        self.settings, self.workload, self.options = settings, workload, options
        self.plan = Plan.from_workload(workload)
        self.codec = Codec(FileRegistry.for_workload(workload))
        self.schedule = ModelSchedule(ActiveModel(RuleModel(self.plan)))
        self.publisher = Publisher(settings)
        self.delivery: Delivery = AtLeastOnce(self.publisher, topic_for("state", workload, settings).name)
        self.status = Status()
        self.owned: dict[int, Owned] = {}
        self.fetched: dict[TP, int] = {}
        self.empty_at: Callable[[TP, int], float | None] = lambda tp, position: None
        self.log_begin: Callable[[TP], Any] | None = None
        self.preparation: asyncio.Task[None] | None = None  # what must be loaded before the first event
        names = [settings.topic_prefix + topic.name for topic in workload.topics]
        self.clock = topic_for("clock", workload, settings).name
        self.state = topic_for("state", workload, settings).name
        self.journal = topic_for("journal", workload, settings).name
        self.source_of = {name: i for i, name in enumerate(names)}
        self.topics = [*names, self.clock]
        self._arrived = asyncio.Event()
        self._is_draining = False
        self._is_between = False  # our partitions were taken, and new ones not given yet
        self._keeps_spare = True  # memory of a restore and of catching up
        self._turn = asyncio.Lock()  # a drain and a new assignment exclude each other

    # ---- what the transport asks ----
    def has_room(self, tp: TP, next_position: int) -> bool:
        """Whether fewer than ROOM records of this topic-partition wait here."""
        owned = self.owned.get(tp.partition)
        if owned is None:
            return False
        source = self.source_of.get(tp.topic)
        applied = owned.task.clock_position if source is None else owned.task.positions[source]
        return next_position - applied < ROOM

    async def positions(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Where every assigned topic-partition goes on; restores the partitions that are new here."""
        partitions = self._partitions_of(assigned)
        if self.preparation is not None:
            await self.preparation
        async with self._turn:
            await self.settle()
            for partition in set(self.owned) - partitions:
                del self.owned[partition]
                await self.delivery.close(partition)
            opened = await asyncio.gather(*(self._open(partition) for partition in sorted(partitions)))
            self._keeps_spare = True
            self.owned = dict(zip(sorted(partitions), opened, strict=True))
            for owned in self.owned.values():
                owned.is_paused = False
            self.fetched = {tp: self._position(tp) for tp in assigned}
            self._is_between = False
        return self.fetched

    async def settle(self) -> None:
        """Before partitions go to others: finish what is being written and rest until `positions`."""
        if self.owned:
            faults.reach("partition_lost")
        self._is_between = True
        for owned in list(self.owned.values()):
            await owned.settle()

    def _partitions_of(self, assigned: set[TP]) -> set[int]:
        by_topic = {topic: {tp.partition for tp in assigned if tp.topic == topic} for topic in self.topics}
        if len({frozenset(partitions) for partitions in by_topic.values()}) > 1:
            raise AssignmentStop(f"the group gave this worker different partitions of the sources: {by_topic}")
        return by_topic[self.clock]

    def _position(self, tp: TP) -> int:
        task, source = self.owned[tp.partition].task, self.source_of.get(tp.topic)
        return task.clock_fetched if source is None else task.fetched[source]

    async def _open(self, partition: int) -> Owned:
        """Shut other writers out first, then look at the state: ours is kept if nobody wrote to it since."""
        await self.delivery.open(partition)
        owned = self.owned.get(partition)
        if owned is not None:
            end = await asyncio.to_thread(end_of, self.settings, self.state, partition)
            if end == owned.state_end:
                return owned
        return await self._restore(partition)

    async def _restore(self, partition: int) -> Owned:
        faults.reach("before_restore")
        started, position = time.monotonic(), [0]
        end = await asyncio.to_thread(end_of, self.settings, self.state, partition)
        incarnation = (end << 24) | secrets.randbits(24)
        await self.delivery.claim(partition, incarnation)
        prefix, n = self.settings.topic_prefix, self.settings.partitions
        scorer = Scorer(self.plan, self.codec, self.schedule, prefix, self.options.live_from_ms)
        task = PartitionTask(self.plan, self.codec, partition, n, scorer)
        records = read_partition(self.settings, self.state, partition, position)
        found: Restored = await asyncio.to_thread(restore, task, records, self.state)
        checkpointer = Checkpointer(task, incarnation, found)
        await self.delivery.publish(partition, found.outputs)
        log.info("partition %d: %d customers in %.2f s", partition, task.state.n_customers, time.monotonic() - started)
        return Owned(task, checkpointer, position[0])

    # ---- records in ----
    async def receive(self, topic: str, partition: int, batch: FetchedBatch) -> None:
        """Take a fetched batch; what was seen before is dropped, a hole stops the process."""
        owned, tp = self.owned.get(partition), TP(topic, partition)
        if owned is None or self._is_draining or batch.end <= self.fetched[tp]:
            return
        if batch.begin > self.fetched[tp]:
            return  # fetched before a seek back: it comes again
        expected = self.fetched[tp]
        span = batch.span.since(expected)
        await self._check_continuity(tp, int(span.offsets[0]))
        if self.owned.get(partition) is not owned or self.fetched.get(tp) != expected:
            return  # the partition was given anew meanwhile: the records come again
        self.fetched[tp] = batch.end
        owned.note_arrival(float(span.timestamps_ms[-1]), batch.arrived_ms)
        faults.reach("after_read")
        if topic == self.clock:
            self._offer_clock(owned.task, span, batch)
        else:
            owned.task.offer(self.source_of[topic], span, batch.end, batch.arrived_ms)
        faults.reach("after_decode")
        self._arrived.set()

    def _offer_clock(self, task: PartitionTask, span: Span, batch: FetchedBatch) -> None:
        for i, (offset, stamp) in enumerate(zip(span.offsets.tolist(), span.timestamps_ms.tolist(), strict=True)):
            refused = None
            try:
                day = int(self.codec.decode(span.value(i), "clock")["day"])
            except CodecError as why:
                day = NO_DAY
                refused = RefusedRecord(offset, stamp, span.key(i), span.value(i), why.reason, why.detail)
            task.offer_clock(day, offset + 1, batch.arrived_ms, refused)

    async def _check_continuity(self, tp: TP, found: int) -> None:
        """A gap in offsets is legal (markers, compaction) unless the log now begins behind where we were."""
        expected = self.fetched[tp]
        if found == expected or self.options.accept_gap or self.log_begin is None:
            return
        if await self.log_begin(tp) > expected:
            raise ContinuityStop(tp.topic, tp.partition, expected, found)

    # ---- the loop ----
    async def run(self) -> None:
        """Step all tasks for ever."""
        while not self._is_draining:
            busy = False
            for partition, owned in list(self.owned.items()):
                if owned.is_paused or self._is_draining:
                    continue
                busy |= owned.step(*self._empty_at(partition))
                self._checkpoint_if_due(partition, owned)
                await asyncio.sleep(0)
            if not self._is_draining and self._sweep_some():
                busy = True
                await asyncio.sleep(BREATH_S)
            self.status.update(self.owned, self.schedule)
            if not busy:
                await self._give_back_once()
                await self._wait()

    def _sweep_some(self) -> bool:
        """Some ticks of one live partition: one after the other, so that events of all of them go on."""
        return any(o.task.sweep_some() for o in self.owned.values() if o.is_pacing and not o.is_paused)

    async def _give_back_once(self) -> None:
        """What a restore and the catch-up behind it took, and the pace of life does not need, is not kept for ever."""
        if self._keeps_spare and self.owned and all(o.is_live or o.is_at_end for o in self.owned.values()):
            self._keeps_spare = False
            await asyncio.to_thread(give_back)

    async def _wait(self) -> None:
        self._arrived.clear()
        try:
            await asyncio.wait_for(self._arrived.wait(), IDLE_S)
        except TimeoutError:
            return

    def _empty_at(self, partition: int) -> tuple[list[float | None], float | None]:
        looks = [self._seen_empty(TP(topic, partition)) for topic in self.topics]
        return looks[:-1], looks[-1]

    def _seen_empty(self, tp: TP) -> float | None:
        """When the log was last seen empty; None while records are between the consumer and us."""
        fetched = self.fetched.get(tp)
        return None if fetched is None else self.empty_at(tp, fetched)

    def _checkpoint_if_due(self, partition: int, owned: Owned) -> None:
        if owned.writing is not None and owned.writing.done():
            owned.writing.result()
            owned.writing = None
        if owned.is_checkpoint_due:
            waited = owned.waited()
            owned.writing = asyncio.create_task(self._write(partition, owned, owned.checkpointer.take(), waited))

    async def _write(
        self, partition: int, owned: Owned, checkpoint: Checkpoint, waited: tuple[float, ...] | None = None
    ) -> None:
        began = time.monotonic()
        name = b"%d/%d" % (checkpoint.incarnation, checkpoint.number)
        checkpoint.outputs.append(OutputBlock.of(self.journal, [(name, checkpoint.journal)]))
        records, n_bytes = await asyncio.to_thread(_encode, checkpoint, self.delivery.carries_outputs)
        end = await self.delivery.commit(partition, records, checkpoint.outputs)
        n_marks = 0 if self.delivery.carries_outputs else 1  # of the transaction before
        is_alone = 0 <= end - owned.state_end - len(records) <= n_marks
        owned.state_end = end if is_alone else NOT_OURS
        owned.note_checkpoint(began, self.options.checkpoint_s)
        if waited is not None:
            self.status.stages.note(*waited, time.time() * 1000)
        faults.reach("after_commit")
        self.status.wrote(n_bytes)

    async def drain(self) -> None:
        """Finish what is open and write a last checkpoint of every partition."""
        self._is_draining = True
        faults.reach("on_sigterm")
        async with self._turn:
            for partition, owned in self.owned.items():
                await owned.settle()
                while not owned.task.is_between_batches:
                    owned.task.step([], None)
                if owned.task.is_touched and not self._is_between:  # else the next owner does it again
                    owned.writing = asyncio.create_task(self._write(partition, owned, owned.checkpointer.take()))
                    await owned.settle()

    def group_positions(self) -> dict[TP, int]:
        """Applied positions, for lag monitors."""
        found = {}
        for partition, owned in self.owned.items():
            for topic, position in zip(self.topics, [*owned.task.positions, owned.task.clock_position], strict=True):
                found[TP(topic, partition)] = position
        return found
