"""Scores every customer of a lake as of a day with a version: what ``driftline score`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from offline.cutoffs import date_text
from offline.history import n_events_in, read_stretches
from offline.passing import Say, silent, watched
from offline.registry import Registry
from offline.scoring.database import Database
from offline.scoring.errors import ScoringError
from offline.scoring.score_column import OwnTable
from offline.scoring.score_file import ScoreSink, create_score_file
from offline.scoring.score_table import TABLE, Accounting, create_score_table
from offline.scoring.scores import ScoredAs, score_schema, score_state
from schemas.bundle import Bundle
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload
from schemas.workload_parse import parse_workload
from stream_app.model import BoosterModel
from stream_app.plan import Plan
from stream_app.recording import Stretch, state_before

Tables = Iterator[pa.Table]


@dataclass(frozen=True)
class ScoringOptions:
    """What a user says about a run.

    Parameters
    ----------
    out
        Parquet file; None and no database takes a file in the home folder.
    table
        Table of scores in the database.
    own
        A table of the user's own, of which a column follows.
    n_reasons
        Reasons of each customer; 0 for none.
    """

    as_of_day: int
    out: Path | None = None
    database: Database | None = None
    table: str = TABLE
    own: OwnTable | None = None
    n_reasons: int = 0


@dataclass(frozen=True)
class ScoringJob:
    """All that a process needs to make scores, wherever it runs.

    Parameters
    ----------
    lake_dir
        Of the lake, as that process sees it.
    """

    lake_dir: Path
    workload_text: str
    files: dict[str, bytes]
    shared: ScoredAs

    @property
    def workload(self) -> Workload:
        """The version's own workload."""
        return parse_workload(self.workload_text)

    def nothing(self) -> pa.Table:
        """A table of no scores."""
        return score_schema(self.shared).empty_table()

    def stretches(self, say: Say = silent) -> Iterator[Stretch]:
        """The events that the scores may know."""
        lake, workload = Lake(self.lake_dir), self.workload
        read = read_stretches(lake, workload, self.shared.as_of_ms)
        return watched(read, "reading the lake", n_events_in(lake, workload), say)

    def tables(self, stretches: Iterable[Stretch] | None = None) -> Tables:
        """Scores as tables; of the events of ``stretches``, or of the whole lake."""
        workload = self.workload
        plan = Plan.from_workload(workload)
        if stretches is None:
            stretches = self.stretches()
        model = BoosterModel(self.shared.version, self.files, plan)
        state = state_before(plan, stretches, self.shared.as_of_day)
        for scores in score_state(state, model, self.shared):
            yield scores.to_arrow(self.shared)


@dataclass
class ScoringDone:
    """What a run wrote."""

    shared: ScoredAs
    bundle_id: str
    n_customers: int = 0
    n_high: int = 0
    path: Path | None = None
    database: str | None = None
    table: str | None = None
    accounting: Accounting | None = None

    def as_json(self) -> dict[str, Any]:
        """The same as JSON-able values."""
        written = None
        if self.accounting is not None:
            written = {"database": self.database, "table": self.table, **asdict(self.accounting)}
        return {
            "version": self.shared.version,
            "bundle_id": self.bundle_id,
            "workload_hash": self.shared.workload_hash,
            "as_of": date_text(self.shared.as_of_day),
            "threshold": self.shared.threshold,
            "n_customers": self.n_customers,
            "n_high": self.n_high,
            "path": None if self.path is None else str(self.path),
            "table": written,
        }


def score(
    settings: Settings,
    workload: Workload,
    version: str,
    options: ScoringOptions,
    say: Say = lambda _: None,
    tables_of: Callable[[ScoringJob], Tables] | None = None,
) -> ScoringDone:
    """Score with the version's own frozen workload, and write the scores where the options say.

    Parameters
    ----------
    tables_of
        Runs a job on a cluster; None runs it here.

    Raises
    ------
    OfflineError
        When there is no such version, nothing to score, or the scores cannot be written.
    """
    bundle = Registry.of(settings, workload.name).load(version)
    job = create_job(settings, bundle, options)
    done = ScoringDone(job.shared, bundle.manifest.bundle_id)
    say(f"reading what was known before {date_text(options.as_of_day)}")
    with ExitStack() as stack:
        sinks = _open_sinks(stack, settings, workload, options, done)
        for table in job.tables(job.stretches(say)) if tables_of is None else tables_of(job):
            if not done.n_customers:
                say("scoring")
            done.n_customers += len(table)
            done.n_high += int(pc.sum(pc.equal(table["band"].cast(pa.string()), "high")).as_py() or 0)
            for sink in sinks:
                sink.write(table)
    return done


def create_job(settings: Settings, bundle: Bundle, options: ScoringOptions) -> ScoringJob:
    """The job of a bundle: its files, its frozen workload, its threshold for ticks.

    Raises
    ------
    ScoringError
        When nothing in the lake can have been known before the day.
    """
    frozen = parse_workload(bundle.files["workload.toml"].decode(), Path(bundle.path / "workload.toml"))
    span = Lake(settings.lake_dir).days([topic.name for topic in frozen.topics])
    if span is not None and options.as_of_day < span[0]:
        raise ScoringError(
            f"nothing was known before {date_text(options.as_of_day)}: "
            f"lake {settings.lake_dir} holds events of {date_text(span[0])} to {date_text(span[1])}"
        )
    shared = ScoredAs(
        as_of_day=options.as_of_day,
        version=bundle.manifest.version,
        workload_hash=frozen.hash[:16],  # as in the records of scores
        threshold=float(bundle.json("threshold.json")["tick"]),
        n_reasons=options.n_reasons,
    )
    return ScoringJob(settings.lake_dir, frozen.text, dict(bundle.files), shared)


def default_file(settings: Settings, workload: Workload, shared: ScoredAs) -> Path:
    """``<home>/scores/<workload>/<day>-<version>.parquet``."""
    name = f"{date_text(shared.as_of_day)}-{shared.version}.parquet"
    return settings.home / "scores" / workload.name / name


def _open_sinks(
    stack: ExitStack, settings: Settings, workload: Workload, options: ScoringOptions, done: ScoringDone
) -> list[ScoreSink]:
    sinks = list[ScoreSink]()
    if options.out is not None or options.database is None:
        done.path = options.out or default_file(settings, workload, done.shared)
        sinks.append(stack.enter_context(create_score_file(done.path, done.shared, done.bundle_id)))
    if options.database is not None:
        own = options.own
        sink = stack.enter_context(create_score_table(options.database, done.shared, options.table, own))
        done.database, done.table, done.accounting = options.database.name, options.table, sink.accounting
        sinks.append(sink)
    return sinks
