"""A state generation built: the heart run over lake and topics, its state written as one checkpoint for each partition.

A generation is a workload hash and a number of partitions; its state has a topic of its own. The worker that is started
for it restores what was built and goes on at the positions in it. What the run would have published is dropped: it
was published when it happened, or is history.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from offline.cutoffs import date_text
from offline.errors import StateBuildError
from offline.lake_before import load_lake_before, save_lake_before
from offline.partition_log import lake_spans, topic_spans
from offline.passing import Say
from offline.released_models import ReleasedModels
from offline.state_feed import Feed, clock_days, drop_outputs, forget_offsets, run, run_history
from offline.state_topic import bounds_of, read_state, write_checkpoint
from offline.topic_reader import OffsetGoneError, read_to_end
from schemas.batch_codec import BatchEncoder
from schemas.codec import Codec
from schemas.lake import Lake
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.topics import source_topics, topic_for
from schemas.workload import Workload
from stream_app.checkpoint import Checkpointer, Restored
from stream_app.duplicates import WINDOW
from stream_app.partition_task import PartitionTask
from stream_app.plan import Plan
from stream_app.releases import ModelSchedule
from stream_app.restore import restore
from stream_app.scoring import Scorer
from stream_app.spans import RecordSpan

NEVER_MS = 1 << 62


@dataclass(frozen=True)
class BuiltPartition:
    """What was written for one partition.

    Parameters
    ----------
    positions
        Where the worker goes on in each event topic.
    clock_day
        Day of the newest tick, -1 before the first.
    """

    partition: int
    n_customers: int
    n_events: int
    positions: tuple[int, ...]
    clock_day: int


@dataclass
class Built:
    """A built generation.

    Parameters
    ----------
    topic
        Its state topic.
    left_out
        Released versions that belong to another version of the workload; the rule has their place.
    """

    topic: str
    left_out: list[str]
    partitions: list[BuiltPartition] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain."""
        return {"topic": self.topic, "left_out": self.left_out, "partitions": [vars(p) for p in self.partitions]}

    def lines(self) -> list[str]:
        """For a reader."""
        found = [f"{self.topic}: {sum(p.n_customers for p in self.partitions)} customers"]
        for p in self.partitions:
            day = "before the first tick" if p.clock_day < 0 else f"ticks up to {date_text(p.clock_day)}"
            found.append(f"  partition {p.partition}: {p.n_customers} customers, {p.n_events} events, {day}")
        if self.left_out:
            found.append(f"models of another version of the workload, left out: {', '.join(self.left_out)}")
        return found


def build_state(
    settings: Settings,
    workload: Workload,
    upto_day: int | None = None,
    *,
    force: bool = False,
    say: Say = lambda _: None,
) -> Built:
    """Build from the lake as far as it goes and from the topics behind it, to their end or up to a day.

    Raises
    ------
    StateBuildError
        When the lake and the topics do not fit together, the lake holds events of files, the clock has not come to
        ``upto_day``, the state topic holds a newer state, or an earlier state began with a lake of before the topics.
    """
    if Lake(settings.lake_dir).origin() is not None:
        detail = "of files, whose offsets are not those of the topics; --from-lake takes it as what came before them"
        raise StateBuildError("of the events", 0, f"the lake {settings.lake_dir} is one {detail}")
    build = _Build(settings, workload, force, say)
    before = load_lake_before(settings)
    if before is not None and not force:
        raise StateBuildError(
            build.topic.name, 0, f"an earlier state began with the lake {before}, which this one would lack; "
            "--from-lake --lake takes it again, and the worker then reads the topics from their begin"
        )  # fmt: skip
    for partition in range(settings.partitions):
        clocks = clock_days(settings, workload, build.codec, partition, upto_day)  # first: all known before is written
        task = build.new_task(partition)
        for day, position in clocks:
            task.offer_clock(day, position)
        feeds = [Feed(build.spans(source, partition)) for source in range(build.plan.n_sources)]
        try:
            run(task, feeds, upto_day)
        except OffsetGoneError as gone:
            raise StateBuildError(
                "of the events", partition, f"the lake goes on at offset {gone.offset}, which the topic does not hold; "
                "if the lake is older than the topics, --from-lake takes it as what came before"
            ) from gone  # fmt: skip
        if upto_day is None:
            build.pass_refused(task)
        build.write(task)
    return build.built


def build_from_lake(
    settings: Settings,
    workload: Workload,
    lake_dir: Path,
    upto_day: int | None = None,
    *,
    force: bool = False,
    say: Say = lambda _: None,
) -> Built:
    """Build from a lake whose events came before everything in the topics; those are read from their begin.

    Raises
    ------
    StateBuildError
        When the lake is the installation's own, fed by topics, and they hold events, or there is a newer state.
    EmptyLakeError
        When the lake holds nothing of the workload.
    """
    build = _Build(settings, workload, force, say)
    is_own = Lake(lake_dir).root == settings.lake_dir and Lake(lake_dir).origin() is None
    begins = [build.begins(p, is_own=is_own) for p in range(settings.partitions)]
    tasks = [build.new_task(partition) for partition in range(settings.partitions)]
    run_history(tasks, workload, Lake(lake_dir), upto_day)
    for task, begin in zip(tasks, begins, strict=True):
        forget_offsets(task, begin)
        build.write(task)
    save_lake_before(settings, lake_dir.resolve())
    return build.built


class _Build:
    """What the partitions of one build share."""

    def __init__(self, settings: Settings, workload: Workload, force: bool, say: Say) -> None:
        create_topics(settings, workload)
        self.settings, self.workload, self.force, self.say = settings, workload, force, say
        self.plan, self.codec = Plan.from_workload(workload), Codec(FileRegistry.for_workload(workload))
        self.encoder, self.lake = BatchEncoder(workload), Lake(settings.lake_dir)
        self.topic = topic_for("state", workload, settings)
        schedule, left_out = ReleasedModels(settings, workload).schedule(self.plan)
        self.schedule: ModelSchedule = schedule
        self.built = Built(self.topic.name, left_out)

    def new_task(self, partition: int) -> PartitionTask:
        """A task that publishes no alert."""
        scorer = Scorer(self.plan, self.codec, self.schedule, self.settings.topic_prefix, NEVER_MS)
        return PartitionTask(self.plan, self.codec, partition, self.settings.partitions, scorer)

    def spans(self, source: int, partition: int) -> Iterator[RecordSpan]:
        """The lake's events of a topic-partition, then the topic's."""
        topic = self.workload.topics[source]
        first = self.lake.next_offset(topic.name, partition)
        tail = topic_spans(self.settings, topic_for(topic.name, self.workload, self.settings), partition, first)
        return chain(lake_spans(self.lake, self.encoder, topic, partition), tail)

    def pass_refused(self, task: PartitionTask) -> None:
        """Put the positions behind what the lake left out at its end."""
        for source, topic in enumerate(self.workload.topics):
            behind = self.lake.next_offset(topic.name, task.partition)
            task.positions[source] = max(task.positions[source], behind)

    def begins(self, partition: int, is_own: bool) -> list[int]:
        """First offsets of the sources and the clock; an own lake's events must not be in the topics, too."""
        names = source_topics(self.workload, self.settings)
        bounds = bounds_of(self.settings, names, partition)
        for name, (first, end) in zip(names[:-1], bounds, strict=False):
            if is_own and end > first:
                raise StateBuildError(
                    name, partition, "the topic holds events, and the lake may hold the same; without --from-lake each "
                    "counts once"
                )  # fmt: skip
        return [first for first, _ in bounds]

    def write(self, task: PartitionTask) -> None:
        """Write the whole state of a partition as one checkpoint.

        Raises
        ------
        StateBuildError
            When the topic holds a state that has read further, and nobody forced it.
        """
        end = [0]
        records = read_state(self.settings, self.topic, task.partition, end)
        found = restore(self.new_task(task.partition), records, self.topic.name)
        self._check_not_newer(task, found)
        checkpointer = _checkpointer(task, (end[0] << 24) | secrets.randbits(24))
        checkpointer.summary_seq = self._next_summary(task.partition)
        write_checkpoint(self.settings, self.topic, task.partition, checkpointer.take().encode())
        done = BuiltPartition(
            task.partition, task.state.n_customers, task.accounting.applied, tuple(task.positions),
            task.state.clock_day,
        )  # fmt: skip
        self.built.partitions.append(done)
        self.say(f"partition {done.partition}: {done.n_customers} customers, {done.n_events} events")

    def _check_not_newer(self, task: PartitionTask, found: Restored) -> None:
        if found.marker is None or self.force:
            return
        there = [*found.marker["positions"], found.marker["clock_position"]]
        ours = [*task.positions, task.clock_position]
        if any(a > b for a, b in zip(there, ours, strict=True)):
            detail = f"holds a state that has read up to {there}, this one only up to {ours}; --force replaces it"
            raise StateBuildError(self.topic.name, task.partition, detail)

    def _next_summary(self, partition: int) -> int:
        """The number that the watch expects of the partition's next summary."""
        topic, last = topic_for("summaries", self.workload, self.settings), None
        for messages in read_to_end(self.settings, topic, {partition: 0}):
            last = messages[-1]
        return 0 if last is None else int(self.codec.decode(last.value(), "summary")["seq"]) + 1


def _checkpointer(task: PartitionTask, incarnation: int) -> Checkpointer:
    """A checkpointer whose first checkpoint is the whole state, with the duplicate windows as far as they reach."""
    drop_outputs(task)
    task.state.dirty[: task.state.n_slots] = 1
    positions = task.positions
    task.positions = [max(0, position - WINDOW) for position in positions]
    checkpointer = Checkpointer(task, incarnation)
    task.positions = positions
    return checkpointer
