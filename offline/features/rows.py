"""Rows of a workload at its training cut-offs, for choosing among its features: ticks alone, test block left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from offline.cutoffs import choose_cutoffs
from offline.errors import LabelError
from offline.labels import Outcomes
from offline.retraining import horizon_days
from offline.some_customers import columns_of_some
from offline.training_set import Span, TrainingSet, read_outcomes
from schemas.events import EventBatch
from schemas.workload import Workload
from stream_app.plan import Plan
from stream_app.recording import tick_rows

MAX_ROWS = 30_000

History = Callable[[], Iterable[EventBatch]]


@dataclass(frozen=True, eq=False)
class FirstReading:
    """What a first reading of the history found."""

    outcomes: Outcomes
    span: Span
    n_customers: int


def read_first(
    workload: Workload, history: History, known_until_ms: int | None, look: Callable[[EventBatch], None]
) -> FirstReading:
    """Outcomes and span; `look` sees every batch."""
    customers: set[str] = set()

    def batches() -> Iterable[EventBatch]:
        for batch in history():
            look(batch)
            customers.update(batch.customer_id.tolist())
            yield batch

    outcomes, span = read_outcomes(workload, batches())
    until_ms = span.last_known_ms if known_until_ms is None else known_until_ms
    return FirstReading(outcomes, replace(span, last_known_ms=until_ms), len(customers))


def take_rows(workload: Workload, history: History, first: FirstReading) -> TrainingSet:
    """Labelled tick rows at the training cut-offs that `driftline train` would choose, of a share of the customers.

    Raises
    ------
    OfflineError
        When the history is too short, or no row has a label.
    """
    span = first.span
    cutoffs = choose_cutoffs(span.first_day, span.known_until_day, horizon_days(workload))
    share = min(1.0, MAX_ROWS / max(1, first.n_customers * len(cutoffs.train_days)))
    plan = Plan.from_workload(workload)
    rows = tick_rows(plan, columns_of_some(plan, history, share), cutoffs.train_days)
    y = first.outcomes.labels(rows.customer_id, rows.as_of_ms, span.last_known_ms)
    if not np.isfinite(y).any():
        raise LabelError("no labelled row at the training cut-offs: no eligible customer has a matured label")
    return TrainingSet(plan, rows, y, cutoffs, span)
