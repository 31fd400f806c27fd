"""Runs the NumPy loop as a process of its own on a stage."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.dataset import DAY, N_PARTITIONS
from bench.machine import ROOT, environment, on_core
from bench.numpy_columns import Customers, Events
from bench.ours import DEADLINE_S
from bench.run import Run
from bench.stage import Stage, recreate_named
from schemas.avro import event_schema, record_schema, without_logical_types
from schemas.partition import partitions_of
from schemas.registry import FileRegistry
from stream_app import opcodes as op

OUTPUTS = ("numpy-scores", "numpy-latest", "numpy-alerts", "numpy-changelog")
DECISIONS = ("step", "score", "band", "episode", "since", "closed")


def run_numpy(stage: Stage, core: int | None) -> Run:
    """Start the loop, wait until it has done the day, and read what it wrote."""
    recreate_named(stage.settings, [stage.settings.topic_prefix + name for name in OUTPUTS], N_PARTITIONS)
    start = stage.settings.home / f"{stage.settings.topic_prefix}numpy-start.npz"
    if not start.exists():
        _save_start(stage, start)
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        job.write_text(json.dumps(job_of(stage, start)))
        with on_core(core):
            finished = subprocess.run(
                [sys.executable, "-m", "bench.numpy_loop", str(job)], cwd=ROOT, capture_output=True, check=False,
                env=environment(stage.settings.home), timeout=DEADLINE_S,
            )  # fmt: skip
        if finished.returncode:
            raise RuntimeError(f"the NumPy loop ended with {finished.returncode}: {finished.stderr.decode()[-2000:]}")
        result = json.loads((job.parent / "result.json").read_text())
        with np.load(job.parent / "ticks.npz", allow_pickle=False) as found:
            ticks = {name: found[name] for name in ("id", "x", "score")}
    return Run(
        engine="numpy",
        n_events=result["n_events"],
        n_rows=result["n_rows"],
        seconds=result["seconds"],
        cpu_s=result["cpu_s"],
        rss_mb=result["rss_mb"],
        outputs=result | {"ticks": ticks},
    )


def _save_start(stage: Stage, path: Path) -> None:
    """The rows after the prelude: events by the loop's own code, decisions as our heart took them."""
    workload, first_kind = stage.workload, 0
    customers = Customers(tuple(kind.name for topic in workload.topics for kind in topic.kinds))
    fields = [field for topic in workload.topics for field in topic.fields]
    starts = {}
    for topic in workload.topics:
        starts[topic.name], first_kind = first_kind, first_kind + len(topic.kinds)
    for batch in stage.data.prelude:
        slots = np.concatenate([customers.slots([name], 0) for name in batch.customer_id.tolist()])
        customers.partition[slots] = partitions_of(batch.customer_id, N_PARTITIONS)
        values = {}
        for field in fields:
            column = batch.values.get(field.name)
            codes: dict[Any, float] = {c: float(i) for i, c in enumerate(field.categories)} | {None: np.nan}
            if column is None:
                values[field.name] = np.full(len(batch), np.nan)
            else:
                is_text = field.type == "category"
                values[field.name] = np.array([codes[c] for c in column]) if is_text else column.astype(np.float64)
        kind = batch.kind.astype(np.int64) + starts[batch.topic]
        customers.update(Events(slots, kind, batch.event_time_ms, batch.known_time_ms, values))
    for name, row in stage.decisions.items():
        for column, value in zip(DECISIONS, row, strict=True):
            customers.times[column][customers.slot_of[name]] = value
    n = len(customers.keys)
    np.savez(path, keys=np.array(customers.keys), partition=customers.partition[:n], rows=customers.rows[:n])


def job_of(stage: Stage, start: Path) -> dict[str, Any]:
    workload, files = stage.workload, stage.bundle.files
    calibration, threshold = json.loads(files["calibration.json"]), json.loads(files["threshold.json"])
    edges = [feature["edges"] for feature in json.loads(files["reference.json"])["features"]]
    prelude, _ = stage.data.logs
    registry = FileRegistry.for_workload(workload)
    model = start.parent / "model.ubj"
    model.write_bytes(files["model.ubj"])
    return {
        "bootstrap": stage.settings.bootstrap, "prefix": stage.settings.topic_prefix, "partitions": N_PARTITIONS,
        "start": str(start), "model": str(model), "n_events": stage.data.n_events, "last_day": DAY + 1,
        "slope": [calibration[kind]["a"] for kind in op.ROW_KINDS],
        "intercept": [calibration[kind]["b"] for kind in op.ROW_KINDS],
        "threshold": [threshold[kind] for kind in op.ROW_KINDS],
        "edges": [[*row, *[None] * (9 - len(row))] for row in edges],
        "topics": {
            topic.name: {
                "schema": without_logical_types(event_schema(workload, topic)),
                "kinds": [kind.name for kind in topic.kinds],
                "fields": [field.name for field in topic.fields],
                "categories": {f.name: list(f.categories) if f.type == "category" else None for f in topic.fields},
            }
            for topic in workload.topics
        },
        "offsets": {
            **{t.name: [len(prelude.get((t.name, p), ())) for p in range(N_PARTITIONS)] for t in workload.topics},
            "clock": [1] * N_PARTITIONS,
        },
        "clock_schema": without_logical_types(record_schema("clock")),
        "score_schema": without_logical_types(record_schema("score")),
        "alert_schema": without_logical_types(record_schema("alert")),
        "score_header": registry.named("score").header.hex(),
        "alert_header": registry.named("alert").header.hex(),
    }  # fmt: skip
