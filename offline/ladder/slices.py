"""Segments beside outcomes: how many leave in each, what the score says of them, and how well it ranks inside."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.bootstrap import interval
from offline.evaluate import as_json
from offline.metrics import Floats, roc_auc
from offline.training_set import Bools


def slice_rows(
    slices: Mapping[str, Bools], y: Floats, customer: NDArray[np.int64], score: Floats, probability: Floats, seed: int
) -> list[dict[str, Any]]:
    """One JSON-able row for each slice that is not empty, with 95 % intervals by customer.

    Parameters
    ----------
    slices
        Name -> rows of the slice, (n,).
    y, customer, score, probability
        Outcomes, customer codes, what ranks and what is calibrated, (n,).
    """
    found = []
    for name, mine in slices.items():
        if not mine.any():
            continue
        outcome, margin, chance = y[mine], score[mine], probability[mine]
        code = np.unique(customer[mine], return_inverse=True)[1].astype(np.int64)
        found.append(
            {
                "name": name,
                "n": len(outcome),
                "n_customers": int(code.max()) + 1,
                "n_positive": int(outcome.sum()),
                "churn_rate": as_json(interval(code, partial(_mean, outcome), seed=seed)),
                "score": as_json(interval(code, partial(_mean, chance), seed=seed)),
                "roc_auc": as_json(interval(code, partial(roc_auc, outcome, margin), seed=seed)),
            }
        )
    return found


def _mean(values: Floats, weight: Floats | None) -> float:
    return float(np.average(values, weights=weight))
