"""Follows the topic retrain-signals and moves each signal on: accepted, waiting, then released, refused or failed.

All state is the topic: a restart reads it again and goes on. Time is event time, from the clock topic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from offline.cutoffs import date_text
from offline.ingest import ingest
from offline.passing import Say
from offline.registry import Registry
from offline.release import NO_CLOCK_DAY, clock_days, past_releases, release
from offline.report import write_report
from offline.retraining import answer, default_matured_days, horizon_days, onset_day
from offline.topic_reader import read_records
from offline.topic_writer import publish
from schemas.codec import Codec
from schemas.durations import DAY_MS
from schemas.errors import BrokerError, DriftlineError
from schemas.lake import Lake
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topics import topic_for
from schemas.workload import Workload
from stream_app.signals import Ledger, moved

Record = Mapping[str, Any]


@dataclass(frozen=True)
class RetrainWorker:
    """Answers retrain signals.

    Parameters
    ----------
    matured_days
        Days of matured cut-offs after the onset of the drift to wait for; None takes the default of
        `offline.retraining.default_matured_days`.
    n_threads
        Of XGBoost.
    with_report
        Whether a report is rendered and linked for a released model.
    wall_ms
        Reads the wall clock for the manifest; None leaves it out.
    say
        Takes a line about each move.
    """

    settings: Settings
    workload: Workload
    matured_days: int | None = None
    n_threads: int = 1
    with_report: bool = True
    wall_ms: Callable[[], int] | None = None
    say: Say = lambda _: None

    def step(self) -> int:
        """Read the signals and move every unfinished one as far as it goes now; returns the number of moves."""
        topic = topic_for("retrain-signals", self.workload, self.settings)
        ledger = Ledger()
        for record in read_records(self.settings, topic, self._codec()):
            ledger.update({name: value for name, value in record.items() if not name.startswith("_")})
        return sum(self._advance(signal) for signal in ledger.unfinished())

    def _advance(self, signal: Record) -> int:
        n_moves = 0
        while (following := self._next(signal)) is not None:
            self._publish(following)
            signal = following
            n_moves += 1
        return n_moves

    def _next(self, signal: Record) -> dict[str, Any] | None:
        """The signal's next record; None when it is finished or has to wait."""
        clock = self._clock_day()
        if signal["status"] == "open":
            return moved(signal, "accepted", self._as_of(signal, clock))
        if signal["status"] not in ("accepted", "waiting"):
            return None
        until = signal["wait_until_day"] or self.wait_until_day(signal)
        if clock >= until:
            return self._answered(signal, clock)
        if signal["status"] == "waiting":
            return None
        return moved(signal, "waiting", self._as_of(signal, clock), wait_until_day=until)

    def wait_until_day(self, signal: Record) -> int:
        """The clock day from which on enough cut-offs after the onset are matured."""
        matured = default_matured_days(self.workload) if self.matured_days is None else self.matured_days
        horizon = horizon_days(self.workload)
        return onset_day(signal, horizon) + matured + horizon

    def _answered(self, signal: Record, clock: int) -> dict[str, Any]:
        as_of_ms = self._as_of(signal, clock)
        try:
            return self._released_before(signal, as_of_ms) or self._train(signal, clock, as_of_ms)
        except BrokerError:
            raise  # the signal stays as it is; the next step tries again
        except Exception as error:
            text = str(error) if isinstance(error, DriftlineError) else f"{type(error).__name__}: {error}"
            return moved(signal, "failed", as_of_ms, reason=" ".join(text.split())[:500])

    def _released_before(self, signal: Record, as_of_ms: int) -> dict[str, Any] | None:
        """The move that a crash kept back after the release itself was written."""
        for record in past_releases(self.settings, self.workload):
            if record["signal_id"] == signal["signal_id"]:
                return moved(signal, "released", as_of_ms, released_version=record["version"])
        return None

    def _train(self, signal: Record, clock: int, as_of_ms: int) -> dict[str, Any]:
        self.say(f"{signal['signal_id']}: training on what was known before {date_text(clock)}")
        ingest(self.settings, self.workload, self.say)
        registry = Registry.of(self.settings, self.workload.name)
        created_ms = self.wall_ms() if self.wall_ms else None
        found = answer(
            Lake(self.settings.lake_dir),
            registry,
            self.workload,
            signal,
            clock,
            n_threads=self.n_threads,
            created_ms=created_ms,
        )
        version = found.bundle.manifest.version
        report = self._report(version, signal, clock)
        reason = f"{version} {found.verdict.reason}"
        if not found.verdict.is_better:
            registry.set_alias("challenger", version)
            return moved(signal, "refused", as_of_ms, reason=reason, report=report)
        done = release(self.settings, self.workload, version, force=True, signal_id=signal["signal_id"])
        self.say(f"{version} scores from {date_text(done.activate_day)} on")
        return moved(signal, "released", as_of_ms, reason=reason, released_version=version, report=report)

    def _report(self, version: str, signal: Record, clock: int) -> str | None:
        """Path of the report below the reports folder; None when there is none. A failed report stops no release."""
        if not self.with_report:
            return None
        name = f"{signal['signal_id']}.html"
        try:
            write_report(self.settings, self.workload, version, clock * DAY_MS, self.settings.reports_dir / name)
        except DriftlineError as error:
            self.say(f"no report: {error}")
            return None
        return name

    def _clock_day(self) -> int:
        """The day that every partition's clock has reached."""
        days = clock_days(self.settings, self.workload)
        return min(days.values()) if len(days) == self.settings.partitions else NO_CLOCK_DAY

    def _as_of(self, signal: Record, clock: int) -> int:
        return max(int(signal["as_of_ms"]), clock * DAY_MS)

    def _publish(self, signal: Record) -> None:
        topic = topic_for("retrain-signals", self.workload, self.settings)
        publish(self.settings, topic, self._codec(), signal["signal_id"], signal)
        waits = f" until {date_text(signal['wait_until_day'])}" if signal["status"] == "waiting" else ""
        self.say(f"{signal['signal_id']}: {signal['status']}{waits}: {signal['reason']}")

    def _codec(self) -> Codec:
        return Codec(FileRegistry.fixed())
