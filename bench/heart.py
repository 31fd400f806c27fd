"""The heart alone, stage by stage: partition tasks fed from memory, no Kafka, no asyncio.

Also makes the state that the measured workers start from: the prelude applied, as records of the state topic.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from bench.dataset import DAY, N_PARTITIONS, Dataset, Log
from bench.model_bundle import VERSION
from bench.stopwatch import Stopwatch
from schemas.bundle import Bundle
from schemas.codec import Codec
from schemas.registry import FileRegistry
from stream_app import partition_task, scoring, state, summary
from stream_app.checkpoint import Checkpoint, Checkpointer, Record
from stream_app.decode import TopicDecoder
from stream_app.duplicates import DuplicateWindow
from stream_app.model import BoosterModel
from stream_app.partition_task import PartitionTask
from stream_app.plan import Plan
from stream_app.reference import Reference
from stream_app.releases import ActiveModel, ModelSchedule
from stream_app.scoring import Scorer
from stream_app.spans import RecordSpan

SPAN = 10_000  # records of a fetch
ROOM = 20_000  # as in the worker
CHECKPOINT_EVENTS = 60_000  # of a partition: about a second of a busy worker
NOW = float("inf")


@dataclass(eq=False)
class Heart:
    """The tasks of all partitions, with the bundle's model."""

    data: Dataset
    tasks: list[PartitionTask]
    checkpointers: list[Checkpointer]
    seconds: float = 0.0
    n_rows: int = 0
    n_published: int = 0
    n_alerts: int = 0
    n_bytes_written: int = 0
    stages: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Dataset, bundle: Bundle, topic_prefix: str = "") -> Heart:
        """Empty tasks."""
        plan = Plan.from_workload(data.workload)
        codec = Codec(FileRegistry.for_workload(data.workload))
        schedule = schedule_of(bundle, plan)
        tasks = [
            PartitionTask(plan, codec, p, N_PARTITIONS, Scorer(plan, codec, schedule, topic_prefix))
            for p in range(N_PARTITIONS)
        ]
        return cls(data, tasks, [Checkpointer(task, incarnation=0) for task in tasks])

    def apply(self, logs: Mapping[tuple[str, int], Log], clock_day: int, each: Callable[[Checkpoint], None]) -> None:
        """Feed all logs, then the clock, and hand over the checkpoints on the way; the last one is taken at the end."""
        for task, checkpointer in zip(self.tasks, self.checkpointers, strict=True):
            self._apply(task, checkpointer, logs, clock_day, each)

    def _apply(
        self,
        task: PartitionTask,
        checkpointer: Checkpointer,
        logs: Mapping[tuple[str, int], Log],
        clock_day: int,
        each: Callable[[Checkpoint], None],
    ) -> None:
        topics = [topic.name for topic in self.data.workload.topics]
        mine = [logs.get((topic, task.partition), Log(np.zeros(0, np.int64), [], [])) for topic in topics]
        first = list(task.positions)
        offered, last_n = [0] * len(mine), task.accounting.n_in
        task.offer_clock(clock_day, task.clock_fetched + 1)
        while True:
            for source, log in enumerate(mine):
                while offered[source] < len(log) and task.fetched[source] - task.positions[source] < ROOM:
                    offered[source] = _offer(task, source, log, first[source], offered[source])
            empty_at = [NOW if at == len(log) else None for at, log in zip(offered, mine, strict=True)]
            is_busy = task.step(empty_at, NOW)
            if task.is_between_batches and task.accounting.n_in - last_n >= CHECKPOINT_EVENTS:
                last_n = task.accounting.n_in
                each(checkpointer.take())
            if not is_busy:
                break
        each(checkpointer.take())

    def counts(self) -> tuple[int, int, int]:
        """Rows scored, scores published, alerts opened so far."""
        scorers = [task.scorer for task in self.tasks]
        return (
            sum(scorer.n_scored for scorer in scorers),
            sum(scorer.n_published for scorer in scorers),
            sum(scorer.alerts.opened for scorer in scorers),
        )

    def state_records(self) -> dict[int, list[Record]]:
        """The whole state as records of the state topic, by partition: take it right after `apply` of the prelude."""
        found = {}
        for task, checkpointer in zip(self.tasks, self.checkpointers, strict=True):
            task.state.dirty[: task.state.n_slots] = 1
            checkpointer._positions = [0] * len(task.positions)
            found[task.partition] = checkpointer.take().encode()
        return found


def schedule_of(bundle: Bundle, plan: Plan) -> ModelSchedule:
    """The bundle's model for every day, loaded as the worker loads it."""
    model = BoosterModel(VERSION, bundle.files, plan)
    edges = np.ascontiguousarray(Reference.decode(bundle.files["reference.json"]).edges, np.float32)
    active = ActiveModel(model, edges)
    return ModelSchedule(active, [(0, active)])


def measure(data: Dataset, bundle: Bundle) -> Heart:
    """Run the prelude unmeasured, then the day with a stopwatch."""
    heart = Heart.of(data, bundle)
    prelude, day = data.logs
    heart.apply(prelude, DAY, lambda checkpoint: None)
    watch = Stopwatch()
    _wrap(watch)
    before = heart.counts()
    started = time.perf_counter()

    def encode(checkpoint: Checkpoint) -> None:
        with watch.stage("checkpoint: encode"):
            heart.n_bytes_written += sum(len(value) for _, value in checkpoint.encode())

    try:
        with watch.stage("the rest"):
            heart.apply(day, DAY + 1, encode)
    finally:
        watch.unwrap()
    heart.seconds = time.perf_counter() - started
    after = heart.counts()
    heart.n_rows, heart.n_published, heart.n_alerts = (b - a for a, b in zip(before, after, strict=True))
    heart.stages = dict(watch.seconds)
    return heart


def _wrap(watch: Stopwatch) -> None:
    watch.wrap(TopicDecoder, "decode", "decode")
    watch.wrap(DuplicateWindow, "mark", "duplicates")
    watch.wrap(PartitionTask, "_start_batch", "merge: columns")
    watch.wrap(partition_task, "merge_by_known_time", "merge: order")
    watch.wrap(PartitionTask, "_finish", "account")
    watch.wrap(summary.SummaryBuilder, "events", "watch: events")
    watch.wrap(summary.SummaryBuilder, "scores", "watch: rows")
    watch.wrap(state.kernel, "apply", "apply and features")
    watch.wrap(state.kernel, "sweep", "sweep and features")
    watch.wrap(Scorer, "run", "score: the rest")
    watch.wrap(BoosterModel, "margin", "score: trees")
    watch.wrap(BoosterModel, "explain", "alerts: reasons")
    watch.wrap(scoring, "decide", "decide")
    watch.wrap(Scorer, "_publish_scores", "encode scores")
    watch.wrap(Scorer, "_publish_alerts", "alerts: the rest")
    watch.wrap(Checkpointer, "take", "checkpoint: take")


def _offer(task: PartitionTask, source: int, log: Log, first: int, at: int) -> int:
    end = min(at + SPAN, len(log))
    span = RecordSpan(
        np.arange(first + at, first + end, dtype=np.int64), log.known_ms[at:end], log.keys[at:end], log.values[at:end]
    )
    task.offer(source, span, first + end)
    return end
