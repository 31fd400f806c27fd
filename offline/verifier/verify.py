"""The verdict on one partition: read everything, tell the story again, compare."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from offline.verifier.compare import Comparison, compare
from offline.verifier.errors import NotAtRest, NotProvable
from offline.verifier.events import Record
from offline.verifier.journal import Journal, JournalBroken, SourceLog, in_order
from offline.verifier.logs import PartitionLogs
from offline.verifier.models import ModelsByDay
from offline.verifier.outputs import Line, line_of, output_line
from offline.verifier.reasons import wrong_reason
from offline.verifier.recomputed_state import recomputed_customers
from offline.verifier.replay import PartitionReplay
from offline.verifier.worker_state import WorkerState, read_worker_state
from schemas.codec import Codec
from schemas.errors import CodecError
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.workload import Workload

WRITTEN = ("journal", "state", "scores", "latest-scores", "alerts", "dead-letters")


@dataclass(frozen=True)
class VerifyOptions:
    """How strictly is compared.

    Attributes
    ----------
    allow_duplicates
        Outputs and journal records may stand there again with identical bytes: at least once instead of exactly once.
    live_from_ms
        What the worker was started with.
    """

    allow_duplicates: bool = False
    live_from_ms: int = 0


@dataclass(frozen=True)
class Verdict:
    """What was found about a partition.

    Attributes
    ----------
    n_in, applied, duplicate, refused
        The recomputed accounting: in = applied + duplicate + refused.
    n_unread
        Records of the sources that no checkpoint has taken yet.
    n_behind_clock
        Events applied after a clock record that says that everything known so early had been written: a producer's
        fault, or that of a worker that ran ahead of a log.
    n_pending
        Records that the last checkpoint caused and that a restart has yet to publish.
    broken
        Why the journal is no order in which the logs can have been read.
    """

    partition: int
    n_in: int
    applied: int
    duplicate: int
    refused: dict[str, int]
    n_unread: int
    n_behind_clock: int
    n_pending: int
    comparisons: tuple[Comparison, ...]
    broken: str | None = None

    @property
    def difference(self) -> str | None:
        """The first difference; None when all is equal."""
        if self.broken is not None:
            return f"journal: {self.broken}"
        return next((f"{c.what}: {c.difference}" for c in self.comparisons if not c.is_equal), None)

    def to_json(self) -> dict[str, Any]:
        """JSON-able content."""
        found = {c.what: c.to_json() for c in self.comparisons}
        return asdict(self) | {"comparisons": found, "difference": self.difference, "is_equal": not self.difference}


def verify_partition(
    settings: Settings, workload: Workload, partition: int, models: ModelsByDay, options: VerifyOptions
) -> Verdict:
    """Recompute a partition and compare it with what its worker left on the broker.

    Raises
    ------
    NotProvable
        When retention has removed what the worker read, or the begin of its journal.
    NotAtRest
        When the worker writes meanwhile, or was stopped in the middle of a day's ticks.
    """
    return _Verification(settings, workload, partition, models, options).verdict()


class _Verification:
    """One partition on its way to a verdict."""

    def __init__(
        self, settings: Settings, workload: Workload, partition: int, models: ModelsByDay, options: VerifyOptions
    ) -> None:
        self.settings, self.workload, self.partition, self.options = settings, workload, partition, options
        self.codec = Codec(FileRegistry.for_workload(workload))
        self.logs = PartitionLogs(settings, workload, partition)
        self.replay = PartitionReplay(settings, workload, self.codec, partition, models, options.live_from_ms)
        self.sources = (*(topic.name for topic in workload.topics), "clock")

    def verdict(self) -> Verdict:
        before = self.logs.bounds(*WRITTEN)
        worker = self._worker_state()
        try:
            journal, pending = self._journal(worker)
            logs = self._replay(journal)
        except JournalBroken as broken:
            return self._verdict(0, 0, (), str(broken))
        comparisons = (*self._state(worker, journal), *self._outputs(pending, before))
        if self.logs.bounds(*WRITTEN) != before:
            raise NotAtRest(self.partition, "the worker wrote while its topics were read; stop it and verify again")
        return self._verdict(sum(log.count_rest() for log in logs), len(pending), comparisons)

    def _verdict(
        self, n_unread: int, n_pending: int, comparisons: tuple[Comparison, ...], broken: str | None = None
    ) -> Verdict:
        found = self.replay.accounting
        return Verdict(
            self.partition, found.n_in, found.applied, found.duplicate, dict(found.refused), n_unread,
            self.replay.n_behind_clock, n_pending, comparisons, broken,
        )  # fmt: skip

    def _worker_state(self) -> WorkerState:
        topic = self.logs.topics["state"].name
        worker = read_worker_state(
            self.settings, self.workload, self.codec, self.partition, topic, self.logs.read("state")
        )
        if worker.is_sweeping:
            raise NotAtRest(
                self.partition,
                "the last checkpoint is in the middle of a day's ticks; let a worker finish, stop it, and verify again",
            )
        return worker

    # ---- the order ----
    def _journal(self, worker: WorkerState) -> tuple[Journal, list[tuple[str, Record]]]:
        """The journal, and what the last checkpoint caused while its publication is not complete.

        The journal's record is published last: once it stands there, nothing is pending.
        """
        journal = Journal.read(self.logs.read("journal"))
        self._check_kept(journal)
        name = self.logs.topics["journal"].name
        own = [Record(-1, 0, key, value) for topic, key, value in worker.pending if topic == name]
        whole = journal.then(own)
        whole.check(self.sources)
        if not self.options.allow_duplicates and journal.n_repeated:
            raise JournalBroken(f"{journal.n_repeated} records stand there again")
        if len(whole.slices) == len(journal.slices):
            return journal, []
        return whole, [(topic, Record(-1, 0, key, value)) for topic, key, value in worker.pending]

    def _check_kept(self, journal: Journal) -> None:
        """Whether everything that the journal speaks of is still there."""
        begin, _ = self.logs.bounds("journal")["journal"]
        starts = journal.slices[0].begin if journal.slices else (0,) * len(self.sources)
        if begin > 0 and any(starts):
            raise NotProvable(self.logs.topics["journal"].name, self.partition, 0, begin)
        if not journal.slices:
            return
        for source, (kept_from, _) in self.logs.bounds(*self.sources).items():
            needed = journal.slices[0].begin[self.sources.index(source)]
            if kept_from > needed:
                raise NotProvable(self.logs.topics[source].name, self.partition, needed, kept_from)

    def _replay(self, journal: Journal) -> list[SourceLog]:
        logs = [SourceLog(source, self.logs.read(source)) for source in self.sources]
        for source, record in in_order(journal, logs):
            self.replay.take(source, record)
        self.replay.finish()
        return logs

    # ---- the comparisons ----
    def _state(self, worker: WorkerState, journal: Journal) -> list[Comparison]:
        mine = asdict(self.replay.accounting) | {"refused": dict(self.replay.accounting.refused)}
        places = [
            {name: at for name, at in zip(self.sources, ends, strict=False) if at}
            for ends in (journal.end, worker.positions)
        ]
        return [
            compare("positions", [line_of("position", places[0])], [line_of("position", places[1])]),
            compare("accounting", [line_of("count", mine)], [line_of("count", worker.accounting)]),
            compare("customers", recomputed_customers(self.replay), worker.customers),
        ]

    def _outputs(self, pending: list[tuple[str, Record]], bounds: dict[str, tuple[int, int]]) -> list[Comparison]:
        expected = self.replay.outputs
        alerts = self._read("alerts", pending)
        scores, letters = self._read("scores", pending), self._read("dead-letters", pending)
        latest = {str(record["customer_id"]): text for record, (_, text) in self._read("latest-scores", pending)}
        found = [
            self._compare("scores", expected.scores, scores, bounds["scores"][0]),
            self._compare("alerts", [alert.line() for alert in expected.alerts], alerts, bounds["alerts"][0]),
            self._compare("dead letters", expected.dead_letters, letters, bounds["dead-letters"][0]),
            compare("latest scores", list(expected.latest.items()), list(latest.items())),
        ]
        return [*found, self._reasons([record for record, _ in alerts])]

    def _compare(
        self, what: str, expected: list[Line], found: list[tuple[dict[str, Any], Line]], begin: int
    ) -> Comparison:
        lines = [line for _, line in found]
        return compare(what, expected, lines, allow_repeats=self.options.allow_duplicates, is_cut=begin > 0)

    def _read(self, role: str, pending: list[tuple[str, Record]]) -> list[tuple[dict[str, Any], Line]]:
        """Records of an output topic and their lines; of what is pending, those that are not there yet."""
        topic = self.logs.topics[role]
        records = list(self.logs.read(role))
        there = {record.value for record in records}
        records += [record for name, record in pending if name == topic.name and record.value not in there]
        return [self._line(record, topic.schema) for record in records]

    def _line(self, record: Record, schema: str | None) -> tuple[dict[str, Any], Line]:
        try:
            content = self.codec.decode(record.value, schema)
        except CodecError as error:
            content = {"event_id": f"offset {record.offset}", "customer_id": "", "unreadable": str(error)}
        return content, output_line(record.key, content)

    def _reasons(self, alerts: list[dict[str, Any]]) -> Comparison:
        """Whether the published alerts say why. A forgotten customer's episodes begin at 1 again: ids may recur."""
        found = {(record["event_id"], record.get("as_of_ms")): record.get("reasons", []) for record in alerts}
        columns, wrong = self.workload.columns(), []
        for alert in self.replay.outputs.alerts:
            published = found.get((alert.event_id, alert.content["as_of_ms"]))
            if published is not None and (why := wrong_reason(alert, published, columns)):
                wrong.append(f"{alert.event_id}: {why}")
        return Comparison.of_findings("reasons", len(found), wrong)
