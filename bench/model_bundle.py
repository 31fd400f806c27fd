"""A real bundle for the benchmark: 200 trees of depth 6 on rows of the recorder, with made-up labels.

Written with the product's own bundle format, so that the worker loads it as it loads any release.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.dataset import DAY, DAY_MS, TENURE_DAYS, Dataset
from schemas.bundle import Bundle, write_bundle
from schemas.events import EventBatch
from stream_app.model import BoosterModel
from stream_app.plan import Plan
from stream_app.recording import Rows, tick_rows
from stream_app.reference import Reference

N_TREES = 200
DEPTH = 6
N_SAMPLED = 15_000  # customers whose rows it is trained on
ALERT_SHARE = 0.005
VERSION = "bench"


def create_bundle(models_dir: Path, data: Dataset) -> Bundle:
    """Train on tick and event rows of some customers and write the bundle."""
    plan = Plan.from_workload(data.workload)
    rows = _rows(plan, data)
    y = _labels(plan, rows)
    files = _core(data, plan, rows, y)
    model = BoosterModel(VERSION, files, plan)
    ticks = rows.take(rows.kind == 0)
    scores = model.score(ticks.X, ticks.kind.astype(np.int64))
    reference = Reference.build(plan.columns, ticks.X, ticks.as_of_ms, scores, y[rows.kind == 0], horizon_days=30)
    files |= {
        "reference.json": _json(reference.as_json()),
        "evaluation.json": _json({"note": "made-up labels"}),
        "card.md": b"# A benchmark's model\n\nTrained on made-up labels.\n",
    }
    return write_bundle(
        models_dir, files, workload=data.workload.name, version=VERSION, workload_hash=data.workload.hash,
        data_window={"note": "benchmark"}, architecture=platform.machine(),
    )  # fmt: skip


def release_record(bundle: Bundle) -> dict[str, Any]:
    """A release of the bundle that holds for every day."""
    return {
        "event_id": "bench-release", "version": VERSION, "bundle_id": bundle.manifest.bundle_id,
        "path": f"{bundle.manifest.workload}/{VERSION}", "activate_day": 0, "status": "release", "signal_id": None,
        "released_as_of_ms": 0,
    }  # fmt: skip


def _rows(plan: Plan, data: Dataset) -> Rows:
    def sampled(batch: EventBatch) -> EventBatch:
        wanted = np.array([int(name[1:]) < N_SAMPLED for name in batch.customer_id], np.bool_)
        return batch.take(wanted)

    batches = [sampled(batch) for batch in [*data.prelude, *data.day]]
    pieces = [
        piece for day in range(DAY - TENURE_DAYS[1], DAY + 1) for batch in batches
        if len(piece := batch.take(batch.known_time_ms // DAY_MS == day))
    ]  # fmt: skip
    return tick_rows(plan, pieces, [DAY - 10, DAY - 3, DAY, DAY + 1], event_sample=0.2, seed=3)


def _labels(plan: Plan, rows: Rows) -> npt.NDArray[np.float64]:
    """Leavers by a noisy rule of many features, so that the trees have something to split on everywhere.

    The calendar and the tenure have no say: rows of four days would teach the model that one day is dangerous.
    """
    random = np.random.default_rng(7)
    says = np.array([not (column.is_calendar or column.is_ageing) for column in plan.columns])
    x = np.nan_to_num(rows.X.astype(np.float64)) * says
    z = (x - x.mean(0)) / np.maximum(x.std(0), 1e-9)
    drive = z @ random.normal(0, 1, z.shape[1]) + 0.7 * np.sin(3 * z) @ random.normal(0, 1, z.shape[1])
    rate = 1 / (1 + np.exp(-(0.5 * drive / drive.std() * 2 - 3)))
    return (random.random(len(x)) < rate).astype(np.float64)


def _core(data: Dataset, plan: Plan, rows: Rows, y: npt.NDArray[np.float64]) -> dict[str, bytes]:
    import xgboost

    params = {
        "objective": "binary:logistic", "max_depth": DEPTH, "eta": 0.05, "min_child_weight": 0.5, "nthread": 1,
        "tree_method": "hist", "seed": 0,
    }  # fmt: skip
    trained = xgboost.train(params, xgboost.DMatrix(rows.X, y), N_TREES)
    calibration = {"tick": {"a": 0.97, "b": 0.01}, "event": {"a": 1.02, "b": -0.02}, "urgent": {"a": 0.95, "b": 0.05}}
    files = {
        "model.ubj": bytes(trained.save_raw("ubj")), "calibration.json": _json(calibration),
        "threshold.json": _json({"tick": 0.5, "event": 0.5, "urgent": 0.5, "rule": "a share of the rows"}),
        "workload.toml": data.workload.text.encode(),
    }  # fmt: skip
    model = BoosterModel(VERSION, files, plan)
    latest = rows.take((rows.kind == 0) & (rows.as_of_ms >= DAY * DAY_MS))
    above = float(np.quantile(model.score(latest.X, latest.kind.astype(np.int64)), 1 - ALERT_SHARE))
    files["threshold.json"] = _json({"tick": above, "event": above, "urgent": above, "rule": "a share of the rows"})
    return files


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
