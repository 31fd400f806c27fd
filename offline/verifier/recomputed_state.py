"""The recomputed customers as the same lines that `worker_state` reads from the worker's rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from offline.verifier.customer import Customer, Definitions
from offline.verifier.features import feature_row
from offline.verifier.outputs import Line, line_of
from offline.verifier.replay import PartitionReplay
from schemas.durations import DAY_MS


def recomputed_customers(replay: PartitionReplay) -> list[Line]:
    """Everybody's line."""
    columns = replay.workload.columns()
    return [_line(replay.definitions, columns, customer) for customer in replay.customers.values()]


def _line(definitions: Definitions, columns: tuple[str, ...], customer: Customer) -> Line:
    live, decisions = definitions.workload.live, customer.decisions
    x = np.array(feature_row(definitions.workload, customer, customer.newest_event() + 1), np.float64)
    memory_days = -(-definitions.workload.label.horizon_ms // DAY_MS) + 1
    content: dict[str, Any] = {
        "first_start": customer.first_start, "newest_event": customer.newest_event(),
        "newest_start": customer.newest_of(definitions.starts), "newest_end": customer.newest_of(live.end),
        "label": _label(definitions, customer), "stamps": customer.stamps,
        "features": dict(zip(columns, x.astype(np.float32).tolist(), strict=True)),
        "tick_day": customer.tick_day, "step": customer.step, "last_score_micros": decisions.micros,
        "is_high": decisions.is_high,
        "episodes": [[e.number, e.open_since, e.closed_at] for e in decisions.episodes],
        "remembered": {str(day % memory_days): bin_ for day, bin_ in decisions.remembered.items()},
    }  # fmt: skip
    return line_of(f"customer {customer.key.decode()}", content)


def _label(definitions: Definitions, customer: Customer) -> int | None:
    label = definitions.workload.label
    return customer.paid_until if label.type == "lapse" else customer.newest_of(label.of)
