"""By what the points of the search space are told apart, on the judged rows of one fold.

Log loss is that of calibrated probabilities, as `offline.train` chooses by it: a calibration is fitted to the same
rows, two numbers for every point alike. Profit is not here: it needs a cost matrix, and a threshold chosen elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from offline import metrics
from offline.calibrate import fit_platt
from offline.metrics import Floats

Statistic = Callable[[Floats | None], float]


@dataclass(frozen=True)
class Criterion:
    """One measure, and which way it is better.

    Parameters
    ----------
    prepare
        Takes outcomes and margins (n,), does what does not depend on row weights, and returns a function of row
        weights (n,), or None for the rows as they are.
    sign
        1 when larger is better, -1 when smaller is.
    """

    name: str
    words: str
    prepare: Callable[[Floats, Floats], Statistic]
    sign: int

    def gain(self, value: float, other: float) -> float:
        """How much better `value` is than `other`."""
        return self.sign * (value - other)


def _log_loss(y: Floats, margin: Floats) -> Statistic:
    p = np.clip(fit_platt(y, margin).probability(margin), metrics.TINY, 1.0 - metrics.TINY)
    loss = -(y * np.log(p) + (1.0 - y) * np.log1p(-p))

    def statistic(weight: Floats | None) -> float:
        if weight is None:
            return float(loss.mean())
        total = weight.sum()
        return float(weight @ loss / total) if total > 0 else float("nan")

    return statistic


def _ranked(metric: Callable[[Floats, Floats, Floats | None], float]) -> Callable[[Floats, Floats], Statistic]:
    def prepare(y: Floats, margin: Floats) -> Statistic:
        order = np.argsort(-margin, kind="stable")  # once: sorting what is sorted is cheap
        y, margin = y[order], margin[order]
        return lambda weight: metric(y, margin, None if weight is None else weight[order])

    return prepare


CRITERIA: Final = {
    criterion.name: criterion
    for criterion in (
        Criterion("log_loss", "log loss", _log_loss, -1),
        Criterion("roc_auc", "ROC-AUC", _ranked(metrics.roc_auc), 1),
        Criterion("pr_auc", "PR-AUC", _ranked(metrics.pr_auc), 1),
    )
}
