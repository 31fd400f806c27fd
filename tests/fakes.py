"""Stand-ins: models whose scores are known or wild, without a library behind them."""

from __future__ import annotations

import numpy as np

from stream_app.model import Reason
from stream_app.plan import Plan
from stream_app.releases import ActiveModel, ModelSchedule


class Moody:
    """A model whose score is a hash of the row: high and low in turns, the same for the same features."""

    version = "moody"

    def __init__(self, plan: Plan) -> None:
        self.names = plan.feature_names
        self.thresholds = np.array([0.6, 0.5, 0.7])

    def score(self, x: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        bits = np.nan_to_num(x, nan=-7.0).astype(np.float64)
        noise = np.sin((bits * np.arange(1, x.shape[1] + 1)).sum(axis=1)) * 43_758.5453
        return (noise - np.floor(noise)).astype(np.float32)

    def explain(self, x: np.ndarray, n: int) -> list[list[Reason]]:
        return [[Reason(self.names[0], float(row[0]), 1.0)][:n] for row in x]


def moody(plan: Plan) -> ModelSchedule:
    """A schedule of a `Moody` from the first day on."""
    return ModelSchedule(ActiveModel(Moody(plan)))
