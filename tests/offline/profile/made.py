"""Snapshots made by hand, and a company into which leaks are planted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from offline.profile.snapshots import Snapshots
from offline.training_set import Span
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.workload import Workload, load_workload
from schemas.workload_parse import parse_workload
from stream_app.plan import FeatureColumn

LEAKY = """
[topics.crm]
doc = "What the sales team writes down; some of it after the customer has gone."
kinds = { noted = "a note on the contract", exit_call = "a call with a leaver", parting = "a gift" }
[topics.crm.fields]
end_day = { type = "integer", unit = "days", doc = "day on which the contract will have ended" }

[[feature]]
name = "exit_calls"
type = "count"
of = ["exit_call"]
windows = ["90d"]

[[feature]]
name = "end_day"
type = "last"
of = ["noted"]
field = "end_day"

[[feature]]
name = "partings"
type = "count"
of = ["parting"]
windows = ["30d"]
"""


def made_snapshots(X: np.ndarray[Any, Any], y: np.ndarray[Any, Any], **more: Any) -> Snapshots:
    """Rows of one cut-off, a customer each; features are called f0, f1, ..."""
    n = len(y)
    content: dict[str, Any] = {
        "workload": load_workload("subscription_churn"),
        "columns": tuple(FeatureColumn(f"f{j}", "count", "1", False, (), False, False) for j in range(X.shape[1])),
        "X": X.astype(np.float32),
        "earlier": {},
        "was_there": {},
        "y": y.astype(np.float64),
        "near": None,
        "day": np.full(n, 19_700, np.int64),
        "customer": np.arange(n, dtype=np.int64),
        "tenure_days": np.full(n, 100.0),
        "n_unlabelled": 0,
        "span": Span(0, DAY_MS, n),
        "share": 1.0,
    }
    return Snapshots(**content | more)


def leaky_workload() -> Workload:
    """The default workload with a topic that tells the end."""
    return parse_workload(load_workload("subscription_churn").text + LEAKY, "leaky.toml")


def planted(workload: Workload, batches: Sequence[EventBatch], kinds: Sequence[str], seed: int = 0) -> EventBatch:
    """Events of the crm for every customer who ends, all claiming to have been known when they happened.

    ``noted`` comes with the contract and holds the day of its end, ``exit_call`` comes 31 to 36 days before the end,
    ``parting`` 0 to 29 days before it.
    """
    rng, topic = np.random.default_rng(seed), workload.topic("crm")
    rows: list[tuple[int, str, str, float]] = []
    for kind, days in (("noted", None), ("exit_call", (31, 36)), ("parting", (0, 29))):
        if kind not in kinds:
            continue
        for customer, (start, end) in lives(workload, batches).items():
            at = start if days is None else end - int(rng.uniform(*days) * DAY_MS)
            rows.append((max(at, start), customer, kind, float(end // DAY_MS)))
    rows.sort()
    return EventBatch(
        topic="crm",
        event_id=np.array([f"crm-{i}" for i in range(len(rows))], object),
        customer_id=np.array([customer for _, customer, _, _ in rows], object),
        event_time_ms=np.array([at for at, _, _, _ in rows]),
        known_time_ms=np.array([at for at, _, _, _ in rows]),
        kind=np.array([topic.kind_index[kind] for _, _, kind, _ in rows], np.int16),
        values={"end_day": np.array([end if kind == "noted" else np.nan for _, _, kind, end in rows])},
    )


def lives(workload: Workload, batches: Sequence[EventBatch]) -> dict[str, tuple[int, int]]:
    """Customer -> (start, end) of those who end."""
    kinds = workload.topic("billing").kind_index
    found: dict[str, dict[str, int]] = {}
    for batch in batches:
        for name in ("subscribe", "cancel") if batch.topic == "billing" else ():
            for row in np.flatnonzero(batch.kind == kinds[name]):
                found.setdefault(str(batch.customer_id[row]), {})[name] = int(batch.event_time_ms[row])
    return {customer: (life["subscribe"], life["cancel"]) for customer, life in found.items() if "cancel" in life}


def by_known_day(batches: Sequence[EventBatch]) -> list[EventBatch]:
    """The batches cut at midnight, days of known time ascending."""
    days = sorted({int(day) for batch in batches for day in np.unique(batch.known_time_ms // DAY_MS)})
    parts = [batch.take(batch.known_time_ms // DAY_MS == day) for day in days for batch in batches]
    return [part for part in parts if len(part)]
