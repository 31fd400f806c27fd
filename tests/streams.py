"""Logs in memory and a driver that feeds them to partition tasks, as the shell does with a broker's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from schemas.batch_codec import BatchEncoder
from schemas.codec import Codec
from schemas.events import EventBatch
from schemas.partition import partition_of
from schemas.registry import FileRegistry
from schemas.workload import Workload
from stream_app import opcodes as op
from stream_app.checkpoint import Checkpoint, Checkpointer, Restored, decode_journal
from stream_app.model import RuleModel
from stream_app.outputs import OutputBlock
from stream_app.partition_task import PartitionTask
from stream_app.plan import Plan
from stream_app.recording import Rows
from stream_app.releases import ActiveModel, ModelSchedule
from stream_app.restore import restore
from stream_app.scoring import Scorer
from stream_app.spans import RecordSpan

DAY_MS = op.DAY_MS


@dataclass
class Log:
    """One topic-partition: (timestamp, key, value) by offset."""

    records: list[tuple[int, bytes | None, bytes | None]] = field(default_factory=list)

    def span(self, begin: int, end: int) -> RecordSpan:
        """Records ``[begin, end)``."""
        part = self.records[begin:end]
        return RecordSpan(
            np.arange(begin, begin + len(part), dtype=np.int64),
            np.array([stamp for stamp, _, _ in part], np.int64),
            [key for _, key, _ in part],
            [value for _, _, value in part],
        )


class Logs:
    """The event topics of a workload, written as producers write them, and their clock."""

    def __init__(self, workload: Workload, n_partitions: int = 1) -> None:
        self.workload, self.n_partitions = workload, n_partitions
        self.topics = [[Log() for _ in range(n_partitions)] for _ in workload.topics]
        self.clock: list[int] = []
        self._encoder = BatchEncoder(workload)

    def write(self, batches: Sequence[EventBatch], clock: bool = True) -> Logs:
        """Append batches by known time; with ``clock``, a record for every day that begins after the first event."""
        names = [topic.name for topic in self.workload.topics]
        for batch in batches:
            logs = self.topics[names.index(batch.topic)]
            ordered = batch.sort()
            for known, customer, value in zip(
                ordered.known_time_ms.tolist(), ordered.customer_id, self._encoder.encode(ordered), strict=True
            ):
                key = str(customer).encode()
                logs[partition_of(key, self.n_partitions)].records.append((known, key, value))
        if clock:
            first = min(int(b.known_time_ms.min()) for b in batches if len(b)) // DAY_MS
            last = max(int(b.known_time_ms.max()) for b in batches if len(b)) // DAY_MS
            self.clock = list(range(first + 1, last + 2))
        return self


def new_task(
    plan: Plan, partition: int = 0, n_partitions: int = 1, schedule: ModelSchedule | None = None, live_from_ms: int = 0
) -> PartitionTask:
    """A task with its own scorer; scores by the rule unless a schedule is given."""
    codec = Codec(FileRegistry.for_workload(plan.workload))
    scorer = Scorer(plan, codec, schedule or ModelSchedule(ActiveModel(RuleModel(plan))), live_from_ms=live_from_ms)
    return PartitionTask(plan, codec, partition, n_partitions, scorer)


class Driver:
    """Feeds one partition's logs to a task in spans of random length, and takes checkpoints at random moments.

    ``checkpoints`` are all that were taken, as records of a state topic would hold them.
    """

    def __init__(
        self, logs: Logs, task: PartitionTask, seed: int = 0, longest_span: int = 700, found: Restored | None = None
    ) -> None:
        self.logs, self.task = logs, task
        self.random, self.moods = np.random.default_rng(seed), np.random.default_rng(seed + 1)
        self.longest_span = longest_span
        self.fetched = list(task.positions)
        self.clock_fetched = task.clock_position
        self.checkpointer = Checkpointer(task, 1 if found is None else max([0, *found.committed]) + 1, found)
        self.rows: list[Rows] = []
        self.published: list[OutputBlock] = []
        self.checkpoints: list[Checkpoint] = []
        self._spy(task.scorer)

    def _spy(self, scorer: Scorer) -> None:
        run = scorer.run

        def recording(state, due, outputs, summary):  # type: ignore[no-untyped-def]
            ids = np.array([key.decode() for key in state.customer_ids(due.rows[:, 0])], object)
            self.rows.append(Rows(ids, due.rows[:, 1].copy(), due.rows[:, 2].astype(np.uint8), due.x.copy()))
            run(state, due, outputs, summary)

        scorer.run = recording  # type: ignore[method-assign]

    def _log(self, source: int) -> Log:
        return self.logs.topics[source][self.task.partition]

    def fetch(self) -> bool:
        """Offer a span of one random source, or a clock record; False when every log is at its end."""
        choices = [s for s in range(len(self.fetched)) if self.fetched[s] < len(self._log(s).records)]
        if self.clock_fetched < len(self.logs.clock):
            choices.append(len(self.fetched))
        if not choices:
            return False
        source = int(self.random.choice(choices))
        if source == len(self.fetched):
            self.task.offer_clock(self.logs.clock[self.clock_fetched], self.clock_fetched + 1)
            self.clock_fetched += 1
            return True
        begin = self.fetched[source]
        end = min(begin + int(self.random.integers(1, self.longest_span)), len(self._log(source).records))
        self.task.offer(source, self._log(source).span(begin, end), end)
        self.fetched[source] = end
        return True

    def step(self) -> bool:
        """One step of the task, told truly what is caught up."""
        now = float("inf")
        empty_at = [now if at == len(self._log(s).records) else None for s, at in enumerate(self.fetched)]
        if self.task.waits_for_checkpoint:
            self.checkpoint()
            return True
        if self.moods.random() < 0.3 and self.task.sweep_some():
            return True
        clock_empty_at = now if self.clock_fetched == len(self.logs.clock) else None
        is_live = bool(self.moods.random() < 0.5)
        return self.task.step(empty_at, clock_empty_at, is_live) or (is_live and self.task.sweep_some())

    def checkpoint(self) -> Checkpoint:
        """Take a checkpoint now and publish its outputs."""
        checkpoint = self.checkpointer.take()
        self.checkpoints.append(checkpoint)
        self.published += checkpoint.outputs
        return checkpoint

    def run(self, stop: Callable[[], bool] = lambda: False, checkpoint_share: float = 0.05) -> Driver:
        """Fetch and step in random turns until every log is applied, or ``stop`` says so."""
        while not stop():
            did_fetch = self.random.random() < 0.5 and self.fetch()
            did_step = self.step()
            if self.task.is_between_batches and self.random.random() < checkpoint_share:
                self.checkpoint()
            if not did_fetch and not did_step and not self.fetch():
                self.checkpoint()
                break
        return self

    def records(self, topic: str) -> list[tuple[bytes, bytes]]:
        """(key, value) of everything published to a topic, in order."""
        return [record for block in self.published if block.topic == topic for record in block]

    def all_rows(self) -> Rows:
        """Every feature row that was scored, in order."""
        return Rows.concat(self.rows)


def restored(plan: Plan, checkpoints: Sequence[Checkpoint], **kwargs: int) -> tuple[PartitionTask, Restored]:
    """A fresh task restored from checkpoints, through their bytes."""
    task = new_task(plan, **kwargs)  # type: ignore[arg-type]
    records = [record for checkpoint in checkpoints for record in checkpoint.encode()]
    return task, restore(task, records, "state")


def replay(logs: Logs, task: PartitionTask, journals: Sequence[bytes]) -> Driver:
    """Feed the runs of journal records to ``task``, each run by itself; they must follow each other without a gap."""
    driver = Driver(logs, task)
    at = [*task.positions, task.clock_position]
    for journal in journals:
        head, runs = decode_journal(journal)
        assert [*head["from"], head["clock_from"]] == at
        for source, count in runs.tolist():
            begin, at[source] = at[source], at[source] + count
            if source == len(logs.topics):
                task.offer_clock(logs.clock[begin], begin + 1)
            else:
                task.offer(source, logs.topics[source][task.partition].span(begin, begin + count), begin + count)
            while task.step([0.0] * len(logs.topics), 0.0):
                pass
        assert [*head["to"], head["clock_to"]] == at
    driver.checkpoint()
    return driver


def random_events(
    workload: Workload,
    n: int,
    n_customers: int,
    seed: int,
    *,
    days: int = 60,
    late_ms: int = 0,
    first_day: int = 20_089,
) -> list[EventBatch]:
    """Events of every kind with random values; ``late_ms`` bounds how late they become known."""
    random = np.random.default_rng(seed)
    batches = []
    for topic in workload.topics:
        happened = np.sort(random.integers(0, days * DAY_MS, n)) + first_day * DAY_MS
        known = happened + (random.integers(0, late_ms, n) if late_ms else 0)
        values: dict[str, npt.NDArray[np.generic]] = {}
        for f in topic.fields:
            if f.type == "category":
                column = random.choice([*f.categories, "never declared", None], n).astype(object)  # type: ignore[list-item]
            elif f.type == "time":
                column = (happened + random.integers(0, 40 * DAY_MS, n)).astype(float)
            else:
                column = np.round(random.normal(20, 30, n), 1 if f.type == "number" else 0)
            if f.type != "category":
                column[random.random(n) < 0.1] = np.nan
            values[f.name] = column
        batches.append(
            EventBatch(
                topic=topic.name,
                event_id=np.array([f"{topic.name}-{seed}-{i}" for i in range(n)], object),
                customer_id=np.array([f"C{i:05d}" for i in random.integers(0, n_customers, n)], object),
                event_time_ms=happened,
                known_time_ms=known,
                kind=random.integers(0, len(topic.kinds), n).astype(np.int16),
                values=values,
            ).sort()
        )
    return batches
