"""Runs stock Faust as a process of its own on a prefix of the day."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.dataset import N_PARTITIONS, Log
from bench.machine import ROOT, environment, on_core
from bench.numpy_run import DECISIONS, job_of
from bench.ours import DEADLINE_S
from bench.plain_state import is_due, new_state, update
from bench.run import Run
from bench.stage import Stage, publish, records_of, recreate_named
from schemas.events import EventBatch


class FaustStage:
    """The first events of the day in topics of their own, and the states before them."""

    def __init__(self, stage: Stage, n_events: int) -> None:
        self.settings = replace(stage.settings, topic_prefix=f"{stage.settings.topic_prefix}faust.")
        self.stage, prefix = stage, self.settings.topic_prefix
        known = np.sort(np.concatenate([batch.known_time_ms for batch in stage.data.day]))
        self.until_ms = int(known[min(n_events, len(known)) - 1])
        self.batches = [_until(batch, self.until_ms) for batch in stage.data.day]
        self.n_events = sum(map(len, self.batches))
        recreate_named(self.settings, [prefix + topic.name for topic in stage.workload.topics], N_PARTITIONS)
        _, day = stage.data.logs
        publish(
            self.settings, records_of(self.settings, {where: _cut(log, self.until_ms) for where, log in day.items()})
        )
        self.start = self._states()
        self.n_due = self._count_due()

    def _states(self) -> dict[str, dict[str, Any]]:
        touched = {name for batch in self.batches for name in batch.customer_id.tolist()}
        states = {name: new_state() for name in touched}
        for batch in self.stage.data.prelude:
            mine = batch.take(np.flatnonzero([name in touched for name in batch.customer_id.tolist()]))
            for record in mine.to_records(self.stage.workload.topic(batch.topic)):
                update(states[record["customer_id"]], record["kind"], record["event_time_ms"], record)
        for name, state in states.items():
            state |= dict(zip(DECISIONS, self.stage.decisions[name], strict=True))
        return states

    def _count_due(self) -> int:
        """Due rows by the order of known times, which a per-event app does not keep between topics."""
        events = [
            (record["known_time_ms"], i, record)
            for i, batch in enumerate(self.batches)
            for record in batch.to_records(self.stage.workload.topic(batch.topic))
        ]
        states, n = pickle.loads(pickle.dumps(self.start)), 0
        for known, _, record in sorted(events, key=lambda event: event[:2]):
            state = states[record["customer_id"]]
            update(state, record["kind"], record["event_time_ms"], record)
            n += is_due(state, record["kind"], record["event_time_ms"], known)
        return n


def run_faust(faust_stage: FaustStage, core: int | None) -> Run:
    """Start the app, and read what it wrote."""
    stage, settings = faust_stage.stage, faust_stage.settings
    recreate_named(settings, [settings.topic_prefix + name for name in ("faust-scores", "faust-alerts")], N_PARTITIONS)
    with tempfile.TemporaryDirectory() as folder:
        job, start = Path(folder) / "job.json", Path(folder) / "start.pickle"
        start.write_bytes(pickle.dumps(faust_stage.start))
        content = job_of(stage, start) | {"prefix": settings.topic_prefix, "n_events": faust_stage.n_events}
        job.write_text(json.dumps(content))
        with on_core(core):
            finished = subprocess.run(
                [sys.executable, "-m", "bench.faust_loop", str(job)],
                cwd=ROOT,
                capture_output=True,
                check=False,
                env=environment(stage.settings.home),
                timeout=DEADLINE_S,
            )
        if not (job.parent / "result.json").exists():
            raise RuntimeError(f"Faust ended with {finished.returncode}: {finished.stderr.decode()[-2000:]}")
        result = json.loads((job.parent / "result.json").read_text())
    return Run(
        engine="faust",
        n_events=result["n_events"],
        n_rows=result["n_rows"],
        seconds=result["seconds"],
        cpu_s=result["cpu_s"],
        rss_mb=result["rss_mb"],
        outputs=result | {"n_due": faust_stage.n_due},
    )


def _until(batch: EventBatch, until_ms: int) -> EventBatch:
    return batch.take(slice(0, int(np.searchsorted(batch.known_time_ms, until_ms, side="right"))))


def _cut(log: Log, until_ms: int) -> Log:
    n = int(np.searchsorted(log.known_ms, until_ms, side="right"))
    return Log(log.known_ms[:n], log.keys[:n], log.values[:n])
