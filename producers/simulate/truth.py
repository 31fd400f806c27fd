"""The truth beside a simulated log: which drifts were planted, and the oracle's probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from producers.simulate.config import Drift, SimulationConfig
from producers.simulate.oracle import HORIZON_DAYS, OracleDay

TRUTH_FILE: Final = "truth.json"
ORACLE_FILE: Final = "oracle.parquet"


def write_truth(folder: Path, config: SimulationConfig, oracle: Iterable[OracleDay | None] = ()) -> None:
    """Write ``truth.json`` and, when there are oracle days, ``oracle.parquet`` (day, customer_id, p_churn).

    Parameters
    ----------
    folder
        Created when missing.
    oracle
        `SimulatedDay.oracle` of the days; None is passed over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TRUTH_FILE).write_text(json.dumps(truth(config), indent=2) + "\n", encoding="utf-8")
    days = [day for day in oracle if day is not None]
    if days:
        pq.write_table(_table(days), folder / ORACLE_FILE)


def truth(config: SimulationConfig) -> dict[str, Any]:
    """The drifts of a configuration; days since 1970-01-01, ends excluded, null when it stays."""
    return {
        "seed": config.seed,
        "n_customers": config.n_customers,
        "start_day": config.first_day,
        "end_day": config.first_day + config.n_days,
        "horizon_days": HORIZON_DAYS,
        "drifts": [_entry(drift, config.first_day) for drift in config.drifts],
    }


def _entry(drift: Drift, first_day: int) -> dict[str, Any]:
    end = drift.end_days
    start_day, end_day = first_day + drift.after_days, None if end is None else first_day + end
    return {
        "name": drift.label,
        "kind": drift.kind,
        "start_day": start_day,
        "end_day": end_day,
        "start_date": _iso(start_day),
        "end_date": None if end_day is None else _iso(end_day),
        "description": _description(drift),
    }


def _description(drift: Drift) -> str:
    if drift.kind == "covariate":
        return (
            f"a campaign brings {drift.strength:g} x n_customers newcomers (ads, basic plan, Italy, little usage); "
            "churn given a customer's state is unchanged; they become eligible 14 days after joining"
        )
    if drift.kind == "concept":
        return "falling usage no longer drives cancellations; plan, small contracts, open tickets and open invoices do"
    if drift.kind == "seasonal":
        return f"usage falls by up to {drift.strength:.0%} and comes back; churn is unchanged"
    change = "is null" if np.isnan(drift.strength) else f"is {drift.strength:g} times too large"
    return f"{drift.field} {change}"


def _iso(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _table(days: list[OracleDay]) -> pa.Table:
    return pa.table(
        {
            "day": np.concatenate([np.full(len(day.p_churn), day.day, np.int64) for day in days]),
            "customer_id": pa.array(np.concatenate([day.customer_id for day in days]), pa.string()),
            "p_churn": np.concatenate([day.p_churn for day in days]),
        }
    )
