"""Loads every kernel before the first event: one customer of made-up events through a task that is thrown away.

A kernel is read from the cache (or compiled) on its first call; without this the first batch of a worker pays for all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.codec import Codec
from schemas.workload import EventTopic
from stream_app import opcodes as op
from stream_app.bins import N_EDGES
from stream_app.checkpoint import Checkpointer
from stream_app.model import RuleModel
from stream_app.partition_task import PartitionTask
from stream_app.plan import Plan
from stream_app.releases import ActiveModel, ModelSchedule
from stream_app.scoring import Scorer
from stream_app.spans import RecordSpan

FIRST_DAY = 20_000
CUSTOMER = "C1"
NOW = float("inf")


def warm(plan: Plan, codec: Codec) -> int:
    """Run a start, a later event of every topic, and a tick; return how many rows were scored (at least one)."""
    edges = np.zeros((plan.n_features, N_EDGES), np.float32)
    scorer = Scorer(plan, codec, ModelSchedule(ActiveModel(RuleModel(plan), edges)))
    task = PartitionTask(plan, codec, 0, 1, scorer)
    later = FIRST_DAY + 1 + -(-plan.workload.eligible.min_tenure_ms // op.DAY_MS)
    starts = plan.workload.live.start
    for source, topic in enumerate(plan.workload.topics):
        kinds = [kind.name for kind in topic.kinds]
        begin = [kind for kind in kinds if kind in starts] if starts else kinds[:1]
        after = [kind for kind in kinds if kind not in plan.workload.live.end][:1]
        events = [(kind, FIRST_DAY) for kind in begin] + [(kind, later) for kind in after]
        values = [codec.encode(topic.name, _event(topic, kind, day)) for kind, day in events]
        days = np.array([day for _, day in events], np.int64)
        span = RecordSpan(np.arange(len(days)), days * op.DAY_MS, [CUSTOMER.encode()] * len(days), values)
        if len(span):
            task.offer(source, span, len(span))
    task.offer_clock(later + 1, 1)
    while task.step([NOW] * plan.n_sources, NOW):
        pass
    Checkpointer(task, incarnation=0).take().encode()
    return scorer.n_scored


def _event(topic: EventTopic, kind: str, day: int) -> dict[str, Any]:
    at = day * op.DAY_MS
    values = {"number": 1.0, "integer": 1, "time": at + 90 * op.DAY_MS, "category": "none"}
    return {
        "event_id": f"{kind}-{day}",
        "customer_id": CUSTOMER,
        "event_time_ms": at,
        "known_time_ms": at,
        "kind": kind,
        **{field.name: values[field.type] for field in topic.fields},
    }
