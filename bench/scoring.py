"""Batch scoring and replay on one core: a lake read through the heart, and customers scored from the state it leaves.

``python -m bench.scoring --customers 100000``; times are CPU time of the process, the best of some runs. PostgreSQL is
measured where its address is given, and its own process is not counted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bench.dataset import DAY, Dataset, create_dataset
from bench.model_bundle import create_bundle
from offline.history import read_stretches
from offline.scoring.database import Database
from offline.scoring.run import ScoringJob
from offline.scoring.score_file import create_score_file
from offline.scoring.score_table import create_score_table
from offline.scoring.scores import ScoredAs, score_state
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.lake import Lake, LakeSlice
from schemas.lake_table import table_of
from schemas.workload import Workload
from stream_app.model import BoosterModel
from stream_app.plan import Plan
from stream_app.recording import Stretch, state_before
from stream_app.state import PartitionState


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--customers", type=int, default=100_000)
    asked.add_argument("--events", type=int, default=1_000_000, help="of the last day, beside six for each customer")
    asked.add_argument("--runs", type=int, default=5)
    asked.add_argument("--postgres", help="URL of a database that may be written")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), options), indent=1))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    data = create_dataset("uniform", options.events, options.customers)
    files = create_bundle(folder / "models", create_dataset("uniform", 50_000, 15_000)).files
    shared = ScoredAs(DAY + 1, "bench", "0" * 16, 0.5)
    job = ScoringJob(folder / "lake", data.workload.text, dict(files), shared)
    n_events = fill(Lake(job.lake_dir), data)
    plan = Plan.from_workload(data.workload)
    model = BoosterModel("bench", files, plan)
    score_all(state_before(plan, history(job), DAY + 1), model, shared, folder)  # loads the kernels
    state, replay_s = timed(options.runs, lambda: state_before(plan, history(job), DAY + 1))
    _, read_s = timed(options.runs, lambda: [len(stretch) for stretch in history(job)])
    state.tick_days = np.arange(DAY + 1, DAY + 1000)  # each run is of another day: a tick is taken once
    days = iter(range(DAY + 1, DAY + 1000))
    n, score_s = timed(options.runs, lambda: score_all(state, model, replace(shared, as_of_day=next(days)), folder))
    _, rows_s = timed(options.runs, lambda: rows_of(state, replace(shared, as_of_day=next(days))))
    found = {
        "n_events": n_events,
        "n_customers": n,
        "read_events_per_s": round(n_events / read_s),
        "replay_events_per_s": round(n_events / replay_s),
        "score_customers_per_s": round(n / score_s),
        "features_alone_customers_per_s": round(n / rows_s),
    }
    shared = replace(shared, as_of_day=next(days))
    tables = [scores.to_arrow(shared) for scores in score_state(state, model, shared)]
    for name, url in (("sqlite", f"sqlite:///{folder}/scores.db"), ("postgresql", options.postgres)):
        if url:
            found |= {f"{name}_{what}_rows_per_s": round(n / seconds) for what, seconds in upsert(url, tables, shared)}
    return found


class _Nothing:
    """In place of a model, to see what features alone cost."""

    def score(self, x: Any, kinds: Any) -> Any:
        return np.zeros(len(x), np.float32)


def timed(runs: int, work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gave last, and the least CPU time that it took."""
    best = float("inf")
    for _ in range(runs):
        began = time.process_time()
        found = work()
        best = min(best, time.process_time() - began)
    return found, best


def history(job: ScoringJob) -> Iterator[Stretch]:
    return read_stretches(Lake(job.lake_dir), job.workload)


def rows_of(state: PartitionState, shared: ScoredAs) -> int:
    """Features alone."""
    nothing: Any = _Nothing()
    return sum(len(scores) for scores in score_state(state, nothing, shared))


def score_all(state: PartitionState, model: BoosterModel, shared: ScoredAs, folder: Path) -> int:
    """Features, trees and the Parquet file."""
    n = 0
    with create_score_file(folder / "scores.parquet", shared, "bench") as sink:
        for scores in score_state(state, model, shared):
            sink.write(scores.to_arrow(shared))
            n += len(scores)
    return n


def upsert(url: str, tables: Sequence[Any], shared: ScoredAs) -> list[tuple[str, float]]:
    """Wall time of a run into an empty table, of the same run again, and of a newer one."""
    newer = [table.set_column(2, "churn_risk", _other(table)) for table in tables]
    seconds = []
    for what, rows in (("insert", tables), ("unchanged", tables), ("update", newer)):
        began = time.perf_counter()
        with create_score_table(Database(url, "--postgres"), shared) as sink:
            for table in rows:
                sink.write(table)
        seconds.append((what, time.perf_counter() - began))
    return seconds


def _other(table: Any) -> Any:
    import pyarrow.compute as pc

    return pc.divide(table["churn_risk"], 2)


def fill(lake: Lake, data: Dataset) -> int:
    """Prelude and day as one slice of a topic; returns the number of events."""
    n = 0
    for topic in data.workload.topics:
        mine = [batch for batch in [*data.prelude, *data.day] if batch.topic == topic.name]
        whole = EventBatch.concat(mine).sort()
        n += len(whole)
        _fill_topic(lake, data.workload, whole)
    return n


def _fill_topic(lake: Lake, workload: Workload, whole: EventBatch) -> None:
    days, files = whole.event_time_ms // DAY_MS, []
    by_day = np.argsort(days, kind="stable")
    for rows in np.split(by_day, np.flatnonzero(np.diff(days[by_day])) + 1):
        path = lake.file(whole.topic, int(days[rows[0]]), 0, 0, len(whole) - 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table_of(workload.topic(whole.topic), whole.take(rows), 0, rows), path, compression="zstd")
        files.append(f"{path.parent.name}/{path.name}")
    lake.commit(LakeSlice(whole.topic, 0, 0, len(whole) - 1, tuple(files), len(whole)))


if __name__ == "__main__":
    main()
