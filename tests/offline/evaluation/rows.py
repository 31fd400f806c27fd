"""Made-up scored rows with a known truth: several rows per customer, categories, missing values."""

from __future__ import annotations

import numpy as np

from offline.evaluation.scored import Scored
from stream_app.plan import FeatureColumn

DAY_MS = 86_400_000
PLANS = ("basic", "plus", "pro")
WEIGHTS = np.array([-0.08, 0.12, 0.0, 0.0])


def column(name: str, type_: str, categories: tuple[str, ...] = ()) -> FeatureColumn:
    return FeatureColumn(name, type_, "", bool(categories), categories, False, False)


COLUMNS = (
    column("sessions_30d", "count"),
    column("days_since_session", "recency"),
    column("tenure", "tenure"),
    column("plan", "last", PLANS),
)


def made_rows(n: int = 4_000, seed: int = 0, per_customer: int = 2, threshold: float = 0.2) -> Scored:
    """Calibrated tick rows: the outcome is drawn with the probability that the model says."""
    rng = np.random.default_rng(seed)
    customer = np.repeat(np.arange(n // per_customer), per_customer)
    n = len(customer)
    X = np.column_stack(
        [rng.poisson(8, n), rng.exponential(8, n), rng.uniform(14, 500, n), rng.integers(0, 3, n)]
    ).astype(np.float32)
    X[rng.random(n) < 0.05, 0] = np.nan
    margin = -2.2 + np.nan_to_num(X, nan=8.0).astype(np.float64) @ WEIGHTS
    probability = 1 / (1 + np.exp(-margin))
    day = 20_000 + 7 * np.tile(np.arange(per_customer), n // per_customer)
    return Scored(
        y=(rng.random(n) < probability).astype(np.float64),
        probability=probability,
        margin=margin,
        threshold=np.full(n, threshold),
        kind=np.zeros(n, np.uint8),
        customer_id=np.array([f"customer-{c}" for c in customer], dtype=object),
        as_of_ms=day.astype(np.int64) * DAY_MS,
        X=X,
        columns=COLUMNS,
    )


def contributions(X: np.ndarray) -> np.ndarray:
    """Of the linear model behind the margins."""
    return (np.nan_to_num(X, nan=8.0) * WEIGHTS).astype(np.float32)
