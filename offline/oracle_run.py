"""A version of the registry beside the oracle of the simulation that filled the lake, on days after its training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from offline.cutoffs import choose_test_cutoffs, date_text, day_of
from offline.errors import OfflineError
from offline.history import History
from offline.oracle import beside_oracle, load_oracle
from offline.passing import Say
from offline.registry import Registry
from offline.retraining import horizon_days
from offline.training_set import read_outcomes
from schemas.durations import DAY_MS
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload
from schemas.workload_parse import parse_workload
from stream_app.model import BoosterModel
from stream_app.plan import Plan
from stream_app.recording import tick_rows


def version_beside_oracle(
    settings: Settings, workload: Workload, version: str, path: Path, say: Say = lambda _: None
) -> dict[str, Any]:
    """What `beside_oracle` says of a version, on the oracle's days whose labels are held out and matured.

    Parameters
    ----------
    path
        ``oracle.parquet`` as `driftline simulate --out` writes it.

    Raises
    ------
    OfflineError
        When the file is no oracle, or none of its days is held out and matured.
    """
    oracle = load_oracle(path)
    bundle = Registry.of(settings, workload.name).load(version)
    frozen = parse_workload(bundle.files["workload.toml"].decode(), bundle.path / "workload.toml")
    history, plan = History(Lake(settings.lake_dir), frozen, say=say), Plan.from_workload(frozen)
    say("reading the history for the oracle's days")
    outcomes, span = read_outcomes(frozen, history())
    trained_to = day_of(bundle.manifest.data_window["train"][-1])
    held_out = choose_test_cutoffs(trained_to, span.known_until_day, horizon_days(frozen)).test
    days = [day for day in oracle.days if held_out.first_day <= day <= held_out.last_day]
    if not days:
        raise OfflineError(
            f"oracle {path}: has no day from {date_text(held_out.first_day)} to {date_text(held_out.last_day)}, "
            "when labels are held out and matured; simulate with a smaller --oracle-every"
        )
    rows = tick_rows(plan, history.again(), days)
    rows = rows.take(np.flatnonzero(rows.kind == 0))
    y = outcomes.labels(rows.customer_id, rows.as_of_ms, span.last_known_ms)
    labelled = np.isfinite(y)
    rows, y = rows.take(labelled), y[labelled]
    model = BoosterModel(bundle.manifest.version, bundle.files, plan)
    probability = model.score(rows.X, rows.kind.astype(np.int64)).astype(np.float64)
    customer = np.unique(rows.customer_id.astype(str), return_inverse=True)[1].astype(np.int64)
    found = beside_oracle(y, customer, probability, oracle.probabilities(rows.customer_id, rows.as_of_ms // DAY_MS))
    return found | {"days": [date_text(day) for day in days]}
