"""What happened, shared by many seeds: the records of every topic-partition, and what comes of them undisturbed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.workload import Workload
from schemas.workload_parse import parse_workload
from stream_app.opcodes import DAY_MS
from stream_app.partition_task import PartitionTask
from stream_app.plan import Plan
from stream_app.releases import ActiveModel, ModelSchedule
from stream_app.scoring import Scorer
from tests.fakes import Moody, moody
from tests.lives import tangled_events
from tests.streams import Driver, Logs
from tests.workloads import LAPSE

N_PARTITIONS = 3
N_SETS = 8
DAYS, N_CUSTOMERS, N_OF_TOPIC, N_TWICE = 5, 24, 1010, 40
FIRST_DAY = 20_160
LESS = {
    'step = "15m"': 'step = "12h"',
    'score_every = "6h"': 'score_every = "12h"',
    'lateness = "5d"': 'lateness = "30h"',
    'min_tenure = "3d"': 'min_tenure = "1d"',
    "open_above = 0.9\nclose_below = 0.9": "open_above = 0.95\nclose_below = 0.2",
}

Record = tuple[int, bytes | None, bytes | None]  # timestamp, key, value


class Fickle(Moody):
    """Another model."""

    version = "fickle"

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.thresholds = np.array([0.5, 0.6, 0.4])


@dataclass
class EventSet:
    """At least 2,000 events of `N_PARTITIONS` partitions over a few days, with duplicates, late and bad ones."""

    workload: Workload
    plan: Plan
    codec: Codec
    logs: Logs
    swap_day: int

    def schedule_into(self, schedule: ModelSchedule) -> ModelSchedule:
        """A model, and another one from the middle on."""
        schedule.rule = moody(self.plan).rule
        schedule.releases = [(self.swap_day, ActiveModel(Fickle(self.plan)))]
        return schedule

    def records(self, source: int, partition: int) -> list[Record]:
        if source < len(self.logs.topics):
            return self.logs.topics[source][partition].records
        return self._clock

    @cached_property
    def _clock(self) -> list[Record]:
        days = [{"event_id": "", "day": day, "time_ms": day * DAY_MS} for day in self.logs.clock]
        return [(0, b"clock", self.codec.encode("clock", day)) for day in days]

    @property
    def n_events(self) -> int:
        return sum(len(log.records) for topic in self.logs.topics for log in topic)

    @cached_property
    def undisturbed(self) -> list[Driver]:
        """One run of every partition, by nobody disturbed."""
        return [self._run(partition) for partition in range(N_PARTITIONS)]

    def _run(self, partition: int) -> Driver:
        return Driver(self.logs, self.new_task(partition), 3).run()

    def new_task(self, partition: int) -> PartitionTask:
        """A task that knows nothing yet."""
        scorer = Scorer(self.plan, self.codec, self.schedule_into(moody(self.plan)))
        return PartitionTask(self.plan, self.codec, partition, N_PARTITIONS, scorer)


@cache
def shared_workload() -> tuple[Workload, Plan, Codec]:
    """``lapse``, with fewer records on the way out: summaries, scores, alerts that come and go."""
    text = LAPSE
    for before, after in LESS.items():
        text = text.replace(before, after)
    workload = parse_workload(text, "lapse.toml")
    return workload, Plan.from_workload(workload), Codec(FileRegistry.for_workload(workload))


@cache
def event_set(number: int) -> EventSet:
    workload, plan, codec = shared_workload()
    events = tangled_events(workload, N_OF_TOPIC, N_CUSTOMERS, number, days=DAYS, first_day=FIRST_DAY)
    logs = Logs(workload, N_PARTITIONS).write(events)
    random = np.random.default_rng((number, 3))
    for topic in logs.topics:
        for log in topic:
            _spoil(log.records, random)
    return EventSet(workload, plan, codec, logs, FIRST_DAY + DAYS - 1)


def _spoil(records: list[Record], random: np.random.Generator) -> None:
    """Some come twice, near or far behind themselves; some cannot be read."""
    for at in np.sort(random.integers(0, len(records), N_TWICE // (2 * N_PARTITIONS)))[::-1].tolist():
        behind = min(at + int(random.choice([1, 20, 300])), len(records) - 1)
        records.insert(behind + 1, (records[behind][0], *records[at][1:]))
    for at in random.integers(1, len(records), 2).tolist():
        records.insert(at, (records[at - 1][0], b"?", b"no record"))
