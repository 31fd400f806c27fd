"""The whole loop over the demo's story in one process without a broker: the topics are function calls.

The heart of the stream, the aggregator with the policy of the watch, the retraining and the swap are the product's own.
Left out are the bytes of events (columns are made from the simulator's batches), scores at events (the kernel is told
to sample none of them: drift, performance and promotion look at daily ticks alone), and the fast loop, whose findings
never open a signal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from driftline.demo import Story
from offline.registry import Registry
from offline.retrain_worker import RetrainWorker
from offline.retraining import answer
from offline.training_options import TrainingOptions
from offline.training_run import train_version
from producers.simulate import Drift, SimulationConfig, simulate
from schemas.bundle import Bundle
from schemas.codec import Codec
from schemas.durations import DAY_MS
from schemas.errors import DriftlineError
from schemas.events import EventBatch
from schemas.lake import Lake, LakeSlice
from schemas.lake_table import table_of
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.workload import Workload, load_workload
from stream_app import kernel
from stream_app.aggregate import DRIFT, Aggregator
from stream_app.checkpoint import Checkpointer
from stream_app.columns import Columns, columns_of
from stream_app.decode import Decoded, TopicDecoder
from stream_app.judge import Thresholds
from stream_app.model import BoosterModel, RuleModel
from stream_app.partition_task import PartitionTask
from stream_app.plan import Plan
from stream_app.policy import RetrainPolicy
from stream_app.pulse import Shape
from stream_app.reference import Reference
from stream_app.releases import ActiveModel, ModelSchedule
from stream_app.scoring import Scorer
from stream_app.signals import Ledger, moved
from stream_app.spans import RecordSpan

NOW = float("inf")
WAITING_EVENTS = 300_000


class Prepared(TopicDecoder):
    """Hands on columns that were made without bytes."""

    columns: Columns

    def decode(self, span: RecordSpan) -> Decoded:
        return Decoded(self.columns)


class LakeWriter:
    """Collects batches and writes them as slices of partition 0."""

    def __init__(self, lake: Lake, workload: Workload) -> None:
        self.lake, self.workload = lake, workload
        self._waiting: dict[str, list[EventBatch]] = {}
        self._next = {topic.name: 0 for topic in workload.topics}

    def add(self, batches: Sequence[EventBatch]) -> None:
        for batch in batches:
            self._waiting.setdefault(batch.topic, []).append(batch)
        if sum(len(batch) for waiting in self._waiting.values() for batch in waiting) > WAITING_EVENTS:
            self.flush()

    def flush(self) -> None:
        for topic, batches in self._waiting.items():
            self._write(topic, EventBatch.concat(batches))
        self._waiting.clear()

    def _write(self, topic: str, batch: EventBatch) -> None:
        first, files = self._next[topic], []
        last = first + len(batch) - 1
        days = batch.event_time_ms // DAY_MS
        for day in np.unique(days).tolist():
            rows = np.flatnonzero(days == day)
            path = self.lake.file(topic, day, 0, first, last)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table_of(self.workload.topic(topic), batch.take(rows), 0, first + rows), path)
            files.append(f"{path.parent.name}/{path.name}")
        self.lake.commit(LakeSlice(topic, 0, first, last, tuple(files), len(batch)))
        self._next[topic] = last + 1


class Models:
    """Released versions: the stream's schedule, and the references that the aggregator asks for."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.schedule = ModelSchedule(ActiveModel(RuleModel(plan)))
        self._references: dict[str, Reference] = {}

    def release(self, bundle: Bundle, activate_day: int) -> None:
        version = bundle.manifest.version
        reference = Reference.decode(bundle.files["reference.json"])
        self._references[version] = reference
        edges = np.ascontiguousarray(reference.edges, np.float32)
        self.schedule.add(activate_day, ActiveModel(BoosterModel(version, bundle.files, self.plan), edges))

    def reference(self, version: str) -> Reference | None:
        return self._references.get(version)


class Heart:
    """One partition of the stream, fed with a day at a time; gives the summaries that its watch would read."""

    def __init__(self, plan: Plan, schedule: ModelSchedule) -> None:
        self.codec = Codec(FileRegistry.for_workload(plan.workload))
        self.task = PartitionTask(plan, self.codec, 0, 1, Scorer(plan, self.codec, schedule))
        self.task.state.control[kernel.SAMPLE] = 0
        self.decoders = {topic.name: Prepared(plan, i, self.codec) for i, topic in enumerate(plan.workload.topics)}
        self.task.decoders = list(self.decoders.values())
        self.checkpointer = Checkpointer(self.task, incarnation=0)

    def live_through(self, day: int, batches: Sequence[EventBatch]) -> list[dict[str, Any]]:
        """Take what became known on ``day``, then the clock of the next."""
        for batch in batches:
            self._offer(batch)
        self.task.offer_clock(day + 1, self.task.clock_fetched + 1)
        while self.task.step([NOW] * len(self.decoders), NOW):
            pass
        outputs = self.checkpointer.take().outputs
        return [self.codec.decode(value) for block in outputs if block.topic == "summaries" for _, value in block]

    def _offer(self, batch: EventBatch) -> None:
        decoder = self.decoders[batch.topic]
        first = self.task.fetched[decoder.source]
        offset = np.arange(first, first + len(batch), dtype=np.int64)
        decoder.columns = columns_of(decoder.plan, batch, offset)
        self.task.offer(decoder.source, RecordSpan(offset, batch.known_time_ms, [], []), first + len(batch))


class Loop:
    """The whole loop over one story, day by day."""

    def __init__(self, home: Path, story: Story, has_drift: bool) -> None:
        self.story = story
        self.config = SimulationConfig(
            n_customers=story.customers,
            n_days=story.total_days,
            start_day=story.start,
            seed=story.seed,
            events_per_customer_day=story.events_per_customer_day,
            drifts=(Drift("concept", story.drift_after_days),) if has_drift else (),
        )
        self.settings = Settings(home=home)
        self.workload = load_workload("subscription_churn")
        self.lake = Lake(self.settings.lake_dir)
        self.registry = Registry(self.settings.models_dir, self.workload.name)
        self.writer = LakeWriter(self.lake, self.workload)
        self.models = Models(Plan.from_workload(self.workload))
        self.heart = Heart(self.models.plan, self.models.schedule)
        self.worker = RetrainWorker(self.settings, self.workload)
        self.aggregator = Aggregator(
            Shape.from_workload(self.workload, 1),
            self.models.reference,
            thresholds=Thresholds.from_workload(self.workload),
            policy=dataclasses.replace(RetrainPolicy(), cool_down_days=-(-self.workload.watch.cool_down_ms // DAY_MS)),
        )
        self.ledger = Ledger()
        self.signals: list[Mapping[str, Any]] = []
        self.findings: list[Mapping[str, Any]] = []
        self.gains: dict[str, float] = {}
        self.scored_from: dict[str, int] = {}

    def run(self) -> None:
        """Live through all days of the story."""
        for simulated in simulate(self.config):
            self.writer.add(simulated.batches)
            for summary in self.heart.live_through(simulated.day, simulated.batches):
                self._watch(summary)
            clock = simulated.day + 1
            if clock == self.config.first_day + self.story.history_days:
                self._train_first(clock)
            for signal in self.ledger.unfinished():
                self._advance(signal, clock)

    def _watch(self, summary: Mapping[str, Any]) -> None:
        for day in summary["days"]:
            self.scored_from.setdefault(day["model_version"], day["day"])
        for output in self.aggregator.update(summary):
            if output.topic == DRIFT:
                self.findings.append(output.record)
            else:
                self._learn(output.record)

    def _learn(self, signal: Mapping[str, Any]) -> None:
        self.ledger.update(signal)
        self.signals.append(signal)

    def _train_first(self, clock: int) -> None:
        self.writer.flush()
        bundle = train_version(self.settings, self.workload, TrainingOptions(until_day=clock))
        self.models.release(bundle, clock + 1)

    def _advance(self, signal: Mapping[str, Any], clock: int) -> None:
        """What the retrain worker does with a signal when the clock stands at a day."""
        as_of_ms = clock * DAY_MS
        until = signal["wait_until_day"] or self.worker.wait_until_day(signal)
        if signal["status"] == "open":
            signal = self._move(signal, moved(signal, "accepted", as_of_ms))
        if clock >= until:
            self._move(signal, self._answered(signal, clock))
        elif signal["status"] == "accepted":
            self._move(signal, moved(signal, "waiting", as_of_ms, wait_until_day=until))

    def _move(self, signal: Mapping[str, Any], following: Mapping[str, Any]) -> Mapping[str, Any]:
        self._learn(following)
        self.aggregator.update_signal(following)
        return following

    def _answered(self, signal: Mapping[str, Any], clock: int) -> dict[str, Any]:
        self.writer.flush()
        try:
            found = answer(self.lake, self.registry, self.workload, signal, clock)
        except DriftlineError as error:
            return moved(signal, "failed", clock * DAY_MS, reason=str(error))
        version, verdict = found.bundle.manifest.version, found.verdict
        if verdict.details.get("auc_gain"):
            self.gains[signal["signal_id"]] = verdict.details["auc_gain"]["value"]
        if not verdict.is_better:
            return moved(signal, "refused", clock * DAY_MS, reason=verdict.reason)
        self.models.release(found.bundle, clock + 1)
        return moved(signal, "released", clock * DAY_MS, reason=verdict.reason, released_version=version)

    # ---- what came of it ----
    def report(self) -> list[dict[str, Any]]:
        """One entry for each signal, days counted from the story's first."""
        first, drift = self.config.first_day, self.story.drift_after_days
        entries = []
        for opened in (signal for signal in self.signals if signal["status"] == "open"):
            life = [signal for signal in self.signals if signal["signal_id"] == opened["signal_id"]]
            last, day = life[-1], opened["as_of_ms"] // DAY_MS - first
            active = self.scored_from.get(last["released_version"])
            entries.append(
                {
                    "model": opened["model_version"],
                    "day": day,
                    "is_false": not self.config.drifts or day < drift,
                    "delay_days": day - drift,
                    "opened_for": opened["reason"],
                    "status": last["status"],
                    "ended_day": last["as_of_ms"] // DAY_MS - first,
                    "auc_gain": self.gains.get(opened["signal_id"]),
                    "verdict": last["reason"],
                    "active_from_day": None if active is None else active - first,
                }
            )
        return entries
