"""The one place that decides: summaries of all partitions in, drift records and retrain signals out. Pure.

What comes out is a function of what each partition said in its own order, not of how the partitions interleave: a day
is judged, and a step looked at, once *all* partitions have passed it, and a day sees just the outcomes that each
partition had sent by then. A partition that stays away holds the days back. `overdue` then gives *partial* findings,
beside the others: they have their own ids, change nothing here, and open no signal; the whole day is judged when the
partition has come back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from stream_app.bins import N_BINS
from stream_app.drift import DAY_MS, Counts, Finding
from stream_app.errors import SummaryGap
from stream_app.judge import Day, Thresholds, Ticks, covariate_findings, estimate_finding, performance_findings
from stream_app.performance import N_SCORE_BINS, Outcomes
from stream_app.policy import PERFORMANCE_STATISTIC, RetrainPolicy, Streaks
from stream_app.pulse import Detector, Pulse, Shape
from stream_app.reference import Reference
from stream_app.signals import Ledger, moved, opened

OVERDUE_DAYS: Final = 2
DRIFT: Final = "drift"
SIGNALS: Final = "retrain-signals"


class Output(NamedTuple):
    """A record to publish: topic name without prefix, key, and the record as its Avro schema has it."""

    topic: str
    key: str
    record: dict[str, Any]


@dataclass(slots=True)
class _Cell:
    """Ticks of one day, partition and model version."""

    histograms: Counts
    scores: Counts
    n_rows: int


@dataclass(slots=True)
class _Partition:
    next_seq: int | None = None
    through_day: int = -1
    through_ms: int = -1


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Outcomes of one as-of day as one partition sent them, known from `known_day` on."""

    as_of_day: int
    known_day: int
    model_version: str
    negatives: Counts
    positives: Counts


@dataclass(slots=True)
class _Store:
    """Everything delivered and still needed."""

    cells: dict[int, dict[tuple[int, str], _Cell]] = field(default_factory=lambda: defaultdict(dict))
    outcomes: list[_Outcome] = field(default_factory=list)
    steps: dict[int, Counts] = field(default_factory=dict)
    champions: dict[int, str] = field(default_factory=dict)


class Aggregator:
    """Merges summaries and judges.

    Parameters
    ----------
    shape
        What the summaries' arrays mean.
    references
        Model version -> its reference, None for a model that has none (the rule): then there is no verdict on features.
    detector
        Makes a detector of the fast loop; None switches the fast loop off.
    decided_through
        Last day whose decisions are already on the signal topic: days up to it are judged again after a restart, but
        open, and write off, nothing.
    """

    def __init__(
        self,
        shape: Shape,
        references: Callable[[str], Reference | None],
        *,
        thresholds: Thresholds | None = None,
        policy: RetrainPolicy | None = None,
        detector: Callable[[], Detector] | None = None,
        decided_through: int | None = None,
    ) -> None:
        self._shape, self._references = shape, references
        self._limits, self._policy = thresholds or Thresholds(), policy or RetrainPolicy()
        self._pulse = Pulse(shape, detector) if detector else None
        self._decided = -1 if decided_through is None else decided_through
        self._partitions = [_Partition() for _ in range(shape.n_partitions)]
        self._store, self._ledger, self._streaks = _Store(), Ledger(), Streaks()
        self._next_step_ms: int | None = None
        self._partial: set[str] = set()

    def update_signal(self, record: Mapping[str, Any]) -> None:
        """Take a record of the signal topic, from whomever; those written before a restart come before any summary."""
        self._ledger.update(record)

    def update(self, summary: Mapping[str, Any]) -> list[Output]:
        """Take one summary; what it completes is judged. A redelivered one changes nothing.

        Raises
        ------
        SummaryGap
            When the partition's numbering has a hole.
        """
        partition = self._partitions[summary["partition"]]
        if partition.next_seq is not None and summary["seq"] < partition.next_seq:
            return []
        if partition.next_seq not in (None, summary["seq"]):
            raise SummaryGap(summary["partition"], partition.next_seq or 0, summary["seq"])
        partition.next_seq = summary["seq"] + 1
        partition.through_day = max(partition.through_day, summary["through_day"])
        partition.through_ms = max(partition.through_ms, summary["through_ms"])
        self._keep(summary, partition.through_day)
        return [*self._judge_days(), *self._judge_steps()]

    def overdue(self) -> list[Output]:
        """Partial findings of days that some partitions owe while others are `OVERDUE_DAYS` further.

        Ask when the summaries topic has been read to its end; before that a partition is merely not read yet.
        """
        newest = max(partition.through_day for partition in self._partitions)
        days = sorted(day for day in self._store.cells if self._frontier_day() < day <= newest - OVERDUE_DAYS)
        found = [finding for day in days for finding in self._judge_partial(day)]
        return [_drift(finding) for finding in found]

    def _frontier_day(self) -> int:
        return min(partition.through_day for partition in self._partitions)

    def _keep(self, summary: Mapping[str, Any], known_day: int) -> None:
        for item in summary["days"]:
            self._keep_day(summary["partition"], item)
        self._store.outcomes += [_outcome(item, known_day) for item in summary["outcomes"]]
        for step in summary["steps"] if self._pulse else ():
            start_ms, counts = step["start_ms"], self._shape.flat(step)
            before = self._store.steps.get(start_ms)
            self._store.steps[start_ms] = counts if before is None else before + counts

    def _keep_day(self, partition: int, item: Mapping[str, Any]) -> None:
        cell = _Cell(
            np.asarray(item["histograms"], dtype=np.int64).reshape(-1, N_BINS),
            np.asarray(item["scores"], dtype=np.int64),
            item["n_rows"],
        )
        cells, place = self._store.cells[item["day"]], (partition, item["model_version"])
        if place in cells:
            cells[place] = _merged([cells[place], cell])
        else:
            cells[place] = cell

    def _judge_days(self) -> list[Output]:
        frontier, outputs = self._frontier_day(), list[Output]()
        for day in sorted(day for day in self._store.cells if day <= frontier and day not in self._store.champions):
            outputs += self._judge_day(day)
        self._forget(frontier)
        return outputs

    def _judge_day(self, day: int) -> list[Output]:
        everyone = range(self._shape.n_partitions)
        version = self._champion(day, everyone)
        self._store.champions[day] = version
        at, reference = Day(day, version), self._references(version)
        matured = self._matured(day, version)
        findings = performance_findings(at, matured, reference, self._limits)
        if reference is not None:
            ticks, vouched = self._pool(day, version, everyone), self._vouched(matured, version, findings)
            findings += covariate_findings(at, ticks, reference, self._limits, vouched)
            findings.append(estimate_finding(at, ticks, reference))
        self._streaks.update(version, findings)
        return [*self._decide(day, version, findings), *(_drift(finding) for finding in findings)]

    def _decide(self, day: int, version: str, findings: list[Finding]) -> list[Output]:
        """Signals come before the day's drift records: whoever sees those knows that the day has been decided."""
        if day <= self._decided:
            return []
        records = [moved(s, "expired", day * DAY_MS) for s in self._ledger.unfinished() if self._is_stale(s, day)]
        decision = self._policy.decide(day, findings, self._streaks, self._ledger)
        if decision is not None:
            records.append(opened(self._shape.workload, version, day, decision.reason, decision.evidence))
        return [Output(SIGNALS, record["signal_id"], record) for record in records if self._ledger.update(record)]

    def _is_stale(self, signal: Mapping[str, Any], day: int) -> bool:
        since = max(signal["as_of_ms"] // DAY_MS, signal["wait_until_day"] or 0)
        return bool(day > since + self._policy.expire_after_days)

    def _judge_partial(self, day: int) -> list[Finding]:
        present = [p for p, partition in enumerate(self._partitions) if partition.through_day >= day]
        mark = "partial-" + ".".join(map(str, present))
        version = self._champion(day, present)
        reference = self._references(version)
        if f"{day}/{mark}" in self._partial or reference is None:
            return []
        self._partial.add(f"{day}/{mark}")
        at = Day(day, version, len(present) / self._shape.n_partitions, mark)
        ticks = self._pool(day, version, present)
        return covariate_findings(at, ticks, reference, self._limits) if ticks.n_days else []

    def _champion(self, day: int, partitions: Iterable[int]) -> str:
        """Version with most rows that day (one, but for a worker gone wrong)."""
        rows: dict[str, int] = defaultdict(int)
        inside = set(partitions)
        for (partition, version), cell in self._store.cells[day].items():
            rows[version] += cell.n_rows if partition in inside else 0
        return min(rows, key=lambda version: (-rows[version], version))

    def _pool(self, day: int, version: str, partitions: Iterable[int]) -> Ticks:
        inside = set(partitions)
        by_day = {
            d: [c for (p, v), c in self._store.cells[d].items() if v == version and p in inside]
            for d in range(day - self._limits.tick_days + 1, day + 1)
            if d in self._store.cells
        }
        cells = [cell for found in by_day.values() for cell in found]
        nothing = _Cell(np.zeros((0, N_BINS), np.int64), np.zeros(N_SCORE_BINS, np.int64), 0)
        pooled = _merged(cells) if cells else nothing
        return Ticks(pooled.histograms, pooled.scores, pooled.n_rows, sum(1 for found in by_day.values() if found))

    def _vouched(self, matured: Outcomes, version: str, findings: list[Finding]) -> Ticks | None:
        """Ticks of the newest days whose labels are in, when those show that the model has not lost."""
        if not any(f.statistic == PERFORMANCE_STATISTIC and f.verdict == "steady" for f in findings):
            return None
        ticks = self._pool(matured.days[-1], version, range(self._shape.n_partitions))
        return ticks if ticks.n_days >= self._limits.tick_days else None

    def _matured(self, day: int, version: str) -> Outcomes:
        """The newest as-of days whose outcomes every partition had sent by this day."""
        known = [o for o in self._store.outcomes if o.known_day <= day and o.model_version == version]
        newest = max((o.as_of_day for o in known), default=0)
        inside = [o for o in known if o.as_of_day > newest - self._limits.outcome_days]
        negatives, positives = np.zeros(N_SCORE_BINS, np.int64), np.zeros(N_SCORE_BINS, np.int64)
        for outcome in inside:
            negatives += outcome.negatives
            positives += outcome.positives
        return Outcomes(tuple(sorted({o.as_of_day for o in inside})), negatives, positives)

    def _judge_steps(self) -> list[Output]:
        """A step waits for the ticks of its day, so that it is known which model's scores it holds."""
        if self._pulse is None:
            return []
        frontier = min(min(p.through_ms, (p.through_day + 1) * DAY_MS) for p in self._partitions)
        found, steps, step_ms = list[Finding](), self._store.steps, self._shape.step_ms
        if self._next_step_ms is None:
            self._next_step_ms = min((start for start in steps if start + step_ms <= frontier), default=None)
        while self._next_step_ms is not None and self._next_step_ms + step_ms <= frontier:
            start_ms, nothing = self._next_step_ms, np.zeros(self._shape.width, np.int64)
            found += self._pulse.update(start_ms, steps.pop(start_ms, nothing), self._version_at(start_ms))
            self._next_step_ms = start_ms + step_ms
        return [_drift(finding) for finding in found]

    def _version_at(self, start_ms: int) -> str:
        return self._store.champions.get(start_ms // DAY_MS, "")

    def _forget(self, frontier: int) -> None:
        """Drop what no later day looks at: ticks until their labels are in, and a week of slack."""
        oldest = frontier - self._shape.horizon_days - self._limits.tick_days - 7
        for day in [day for day in self._store.cells if day <= oldest and day in self._store.champions]:
            del self._store.cells[day]
        newest: dict[str, int] = {}
        for o in self._store.outcomes:
            if o.known_day <= frontier:
                newest[o.model_version] = max(newest.get(o.model_version, o.as_of_day), o.as_of_day)
        reach = self._limits.outcome_days
        self._store.outcomes = [
            o for o in self._store.outcomes if o.as_of_day > newest.get(o.model_version, o.as_of_day) - reach
        ]


def _outcome(item: Mapping[str, Any], known_day: int) -> _Outcome:
    return _Outcome(
        item["as_of_day"],
        known_day,
        item["model_version"],
        np.asarray(item["negatives"], dtype=np.int64),
        np.asarray(item["positives"], dtype=np.int64),
    )


def _merged(cells: list[_Cell]) -> _Cell:
    histograms, scores = cells[0].histograms.copy(), cells[0].scores.copy()
    for cell in cells[1:]:
        histograms += cell.histograms
        scores += cell.scores
    return _Cell(histograms, scores, sum(cell.n_rows for cell in cells))


def _drift(finding: Finding) -> Output:
    return Output(DRIFT, finding.event_id, finding.record())
