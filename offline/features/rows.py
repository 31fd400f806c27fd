"""Rows of a workload at its training cut-offs, for choosing among its features: ticks alone, test block left out."""

from __future__ import annotations

import numpy as np

from offline.cutoffs import choose_cutoffs
from offline.errors import LabelError
from offline.first_reading import FirstReading, Reading
from offline.retraining import horizon_days
from offline.some_customers import columns_of_some
from offline.training_set import TrainingSet
from schemas.workload import Workload
from stream_app.plan import Plan
from stream_app.recording import tick_rows

MAX_ROWS = 30_000


def take_rows(workload: Workload, history: Reading, first: FirstReading) -> TrainingSet:
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
