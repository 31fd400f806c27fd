"""Are these events fit to train on? Counts of every topic held against limits; what is beyond them is a finding.

A finding is a value with its reason. The events come from the lake or straight from files, in ascending days; the page
is in `offline.validation_page`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import pyarrow as pa

from offline.errors import EmptyLakeError
from offline.pandera_schema import UNSEEN
from offline.validation_counts import TopicCounts
from offline.volume_gaps import gap_days
from schemas.lake import Lake, day_text
from schemas.lake_table import read_file
from schemas.workload import EventTopic, Workload
from stream_app.plan import Plan

ROWS_AT_ONCE: Final = 200_000


@dataclass(frozen=True)
class Limits:
    """Which shares are still in order.

    Parameters
    ----------
    refused, duplicates
        Of all events of a topic, or of all rows of a source.
    missing
        Of a field's cells, over the kinds of events that carry it.
    unseen
        Of a category's cells: values that the workload does not declare.
    invalid
        Of all events of a topic: any other breach of its schema, such as a value outside its unit's range.
    gap_days
        Of all days between a topic's first and last event.
    near_seconds
        Events closer than this that say the same are near-duplicates; those are told, never judged.
    """

    refused: float = 0.01
    duplicates: float = 0.01
    missing: float = 0.3
    unseen: float = 0.05
    invalid: float = 0.01
    gap_days: float = 0.05
    near_seconds: float = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing that was counted and is not nothing.

    Parameters
    ----------
    place
        Topic, or source.
    check
        What was counted.
    about
        Field, reason or day; empty when the place as a whole is meant.
    n, n_of
        How many, of how many.
    limit
        Largest share that is in order; None tells without judging.
    detail
        Examples.
    """

    place: str
    check: str
    about: str
    n: int
    n_of: int
    limit: float | None
    detail: str = ""

    @property
    def share(self) -> float:
        """Of those looked at, 0 when there are none."""
        return self.n / self.n_of if self.n_of else 0.0

    @property
    def is_wrong(self) -> bool:
        """Whether it is beyond its limit."""
        return self.limit is not None and self.share > self.limit

    def __str__(self) -> str:
        about = f" ({self.about})" if self.about else ""
        limit = "" if self.limit is None else f", limit {self.limit:.1%}"
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.place}: {self.check}{about} {self.n:,} of {self.n_of:,} = {self.share:.2%}{limit}{detail}"


@dataclass(frozen=True)
class Validation:
    """What was found, with the counts that it stands on."""

    topics: tuple[TopicCounts, ...]
    findings: tuple[Finding, ...]
    sources: tuple[Mapping[str, Any], ...] = ()

    def with_findings(self, found: Iterable[Finding], sources: Iterable[Mapping[str, Any]] = ()) -> Validation:
        """The same with more findings, and the counts of the sources that they come from."""
        return Validation(self.topics, (*found, *self.findings), tuple(sources))

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """Findings beyond their limits."""
        return tuple(finding for finding in self.findings if finding.is_wrong)

    @property
    def verdict(self) -> str:
        """One line."""
        if not self.wrong:
            return "in order: nothing is beyond its limit"
        return f"not in order: {len(self.wrong)} of {len(self.findings)} findings are beyond their limits"

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        findings = [asdict(one) | {"share": one.share, "is_wrong": one.is_wrong} for one in self.findings]
        return {
            "is_in_order": not self.wrong,
            "topics": {counts.topic.name: counts_as_json(counts) for counts in self.topics},
            "findings": findings,
            "sources": [dict(source) for source in self.sources],
        }


def validate(
    workload: Workload, tables: Iterable[tuple[EventTopic, pa.Table]], limits: Limits | None = None
) -> Validation:
    """Count and judge the events of a workload.

    Parameters
    ----------
    tables
        Tables of `schemas.lake_table.lake_schema`; those of a topic in ascending days of event time.
    """
    limits, plan = limits or Limits(), Plan.from_workload(workload)
    counts = {topic.name: TopicCounts(plan, topic, int(limits.near_seconds * 1000)) for topic in workload.topics}
    for topic, table in tables:
        counts[topic.name].update(table)
    findings = [finding for one in counts.values() for finding in judge(one, limits)]
    return Validation(tuple(counts.values()), tuple(findings))


def lake_tables(lake: Lake, workload: Workload) -> Iterator[tuple[EventTopic, pa.Table]]:
    """The events of a lake, whole days at a time.

    Raises
    ------
    EmptyLakeError
        When nothing of the workload is in the lake.
    LakeError
        When a file cannot be read as the workload declares its topic.
    """
    if lake.days([topic.name for topic in workload.topics]) is None:
        raise EmptyLakeError(lake.root)
    for topic in workload.topics:
        waiting, day = list[pa.Table](), ""
        for file in lake.files(topic.name):
            if file.parent.name != day and sum(table.num_rows for table in waiting) >= ROWS_AT_ONCE:
                yield topic, pa.concat_tables(waiting).unify_dictionaries()
                waiting = []
            day = file.parent.name
            waiting.append(read_file(topic, file))
        if waiting:
            yield topic, pa.concat_tables(waiting).unify_dictionaries()


def lake_findings(lake: Lake, validation: Validation) -> list[Finding]:
    """Rows that the lake's commits and files do not agree on."""
    found = []
    for counts in validation.topics:
        committed = sum(one.n_rows for one in lake.slices(counts.topic.name))
        if committed != counts.n_rows:
            detail = f"commits name {committed:,}, files hold {counts.n_rows:,}"
            n = abs(committed - counts.n_rows)
            found.append(Finding(counts.topic.name, "rows astray", "", n, max(committed, 1), 0.0, detail))
    return found


def judge(counts: TopicCounts, limits: Limits) -> Iterator[Finding]:
    """What is not nothing in the counts of a topic."""
    name, n = counts.topic.name, counts.n_rows
    if not n:
        yield Finding(name, "no events", "", 0, 0, None)
        return
    if counts.n_refused:
        reasons = ", ".join(f"{k} {reason}" for reason, k in counts.refused.most_common())
        yield Finding(name, "refused", "", counts.n_refused, n, limits.refused, reasons)
    if n_duplicates := counts.n_duplicates():
        limit = limits.duplicates if counts.topic.deduplicate else None
        yield Finding(name, "duplicates by id", "", n_duplicates, n, limit)
    if counts.near.n:
        examples = ", ".join(f"customer {customer} {kind}" for customer, kind, _ in counts.near.examples)
        yield Finding(name, "near-duplicates", f"{limits.near_seconds:g} s", counts.near.n, n, None, examples)
    for field, (missing, of) in counts.missing().items():
        if missing and of:
            yield Finding(name, "missing", field, missing, of, limits.missing)
    yield from _breaches(counts, limits)
    gaps, n_days = gap_days(counts.by_day)
    if gaps:
        shown = ", ".join(day_text(day) for day in gaps[:10]) + (", ..." if len(gaps) > 10 else "")
        yield Finding(name, "days with a gap in volume", "", len(gaps), n_days, limits.gap_days, shown)


def _breaches(counts: TopicCounts, limits: Limits) -> Iterator[Finding]:
    """What the schema of the workload says no to."""
    for (column, says), n in sorted(counts.failures.items()):
        limit, detail = limits.invalid, ""
        if says == UNSEEN:
            limit = limits.unseen
            detail = ", ".join(f"{value!r} {k}" for value, k in counts.unseen[column].most_common(5))
        n_filled = counts.n_rows - int(counts.n_missing[column].sum()) if column in counts.n_missing else counts.n_rows
        yield Finding(counts.topic.name, says, column, n, n_filled, limit, detail)


def source_findings(sources: Iterable[Mapping[str, Any]], limits: Limits) -> list[Finding]:
    """Findings from the counts of sources (`producers.recording.SourceCount.as_json`)."""
    found = []
    for source in sources:
        refused, n = source["refused"], source["n_rows"]
        if refused:
            reasons = ", ".join(f"{k} {reason}" for reason, k in refused.items())
            found.append(
                Finding(source["name"], "refused", "source", sum(refused.values()), n, limits.refused, reasons)
            )
        if source["n_duplicates"]:
            n_duplicates = source["n_duplicates"]
            found.append(Finding(source["name"], "duplicates by id", "source", n_duplicates, n, limits.duplicates))
    return found


def counts_as_json(counts: TopicCounts) -> dict[str, Any]:
    """The counts of a topic: rows are applied, duplicates or refused."""
    days = sorted(counts.by_day)
    n_duplicates = counts.n_duplicates() if counts.topic.deduplicate else 0
    return {
        "n_rows": counts.n_rows,
        "n_applied": counts.n_accepted - n_duplicates,
        "n_duplicates": n_duplicates,
        "n_refused": counts.n_refused,
        "refused": dict(sorted(counts.refused.items())),
        "n_near_duplicates": counts.near.n,
        "missing": {name: {"n": n, "n_of": of} for name, (n, of) in counts.missing().items()},
        "first_day": day_text(days[0]) if days else None,
        "last_day": day_text(days[-1]) if days else None,
    }
