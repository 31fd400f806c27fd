"""A drift report: the reference days of a model against the newest ticks in the lake, rendered in a process of its own.

The rows go there as Parquet files; Evidently is imported in `offline.report_page` alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from offline.cutoffs import day_of
from offline.errors import OfflineError
from offline.history import History
from offline.passing import Say, silent
from offline.registry import Registry
from offline.training_set import REFERENCE_DAYS, read_outcomes
from schemas.durations import DAY_MS
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload
from stream_app.model import BoosterModel
from stream_app.plan import Plan
from stream_app.recording import Rows, tick_rows

CURRENT_DAYS = 7
MAX_ROWS = 5_000
TIMEOUT_S = 300


def write_report(
    settings: Settings,
    workload: Workload,
    version: str,
    known_until_ms: int | None = None,
    path: Path | None = None,
    say: Say = silent,
) -> Path:
    """Render the report of a version; returns where it is.

    Parameters
    ----------
    known_until_ms
        The last seven ticks before this moment are the current rows; None takes the end of the lake.
    path
        Of the HTML file; None puts it into the reports folder.

    Raises
    ------
    OfflineError
        When there are no rows to compare, or rendering fails.
    """
    registry = Registry.of(settings, workload.name)
    bundle = registry.load(version)
    lake, plan = Lake(settings.lake_dir), Plan.from_workload(workload)
    history = History(lake, workload, known_until_ms, say=say)
    if known_until_ms is None:
        known_until_ms = read_outcomes(workload, history())[1].last_known_ms
    last = known_until_ms // DAY_MS
    current = range(last - CURRENT_DAYS + 1, last + 1)
    trained_to = day_of(bundle.manifest.data_window["train"][-1])
    reference = range(trained_to - REFERENCE_DAYS + 1, trained_to + 1)
    rows = tick_rows(plan, history.again(), sorted({*reference, *current}))
    say("rendering")
    model = BoosterModel(bundle.manifest.version, bundle.files, plan)
    target = path or settings.reports_dir / f"{workload.name}-{bundle.manifest.version}.html"
    with tempfile.TemporaryDirectory() as scratch:
        files = []
        for name, days in (("reference", reference), ("current", current)):
            chosen = _sample(rows, days)
            if not len(chosen):
                raise OfflineError(f"report {bundle.manifest.version}: no eligible customer on the {name} days")
            files.append(_write(Path(scratch) / f"{name}.parquet", plan, model, chosen))
        _render(plan, files, target)
    return target


def _sample(rows: Rows, days: range) -> Rows:
    day = rows.as_of_ms // DAY_MS
    chosen = np.flatnonzero((day >= days.start) & (day < days.stop))
    if len(chosen) > MAX_ROWS:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, MAX_ROWS, replace=False))
    return rows.take(chosen)


def _write(path: Path, plan: Plan, model: BoosterModel, rows: Rows) -> Path:
    columns = {name: rows.X[:, j].astype(np.float64) for j, name in enumerate(plan.feature_names)}
    columns["score"] = model.score(rows.X, rows.kind.astype(np.int64)).astype(np.float64)
    pq.write_table(pa.table(columns), path)
    return path


def _render(plan: Plan, files: list[Path], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    left_out = [column.name for column in plan.columns if column.is_calendar or column.is_ageing]
    categorical = [column.name for column in plan.columns if column.is_categorical]
    command = [sys.executable, "-m", "offline.report_page", *map(str, files), str(target)]
    command += [",".join(categorical), ",".join(left_out)]
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH", "")])]
    environment = os.environ | {"DO_NOT_TRACK": "1", "PYTHONPATH": os.pathsep.join(paths)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as cause:
        raise OfflineError(f"report {target}: not rendered within {TIMEOUT_S} s") from cause
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise OfflineError(f"report {target}: rendering failed: {lines[-1] if lines else 'no message'}")
