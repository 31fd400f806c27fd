"""How good were the scores, now that the labels are in? Everything from (score bin x outcome) counts, with intervals.

Daily as-of days are no independent samples. A customer who leaves on day C is a positive of every as-of day in
[C - horizon, C), and the same stayers are negatives day after day. So intervals use *effective* numbers:

* positives: a leaving day c appears in w(c) of the pooled as-of days. With leavers spread evenly over the days, the
  pooled positives stand for ``positives * sum(w) / sum(w^2)`` leavers (Kish's effective size, every leaver's days
  fully correlated);
* negatives: each stayer once, so the mean per as-of day.

Scores of one customer do move a little from day to day, so this errs on the wide side. It supposes one leaving moment
per positive; for labels by inactivity it is an approximation. Not inside: when a drop matters (judge.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from stream_app.drift import Counts, Floats

N_SCORE_BINS: Final = 20
Z_95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Counts by score bin, shape ``(20,)``, pooled over `days` (ascending as-of days, each once)."""

    days: tuple[int, ...]
    negatives: Counts
    positives: Counts

    @property
    def n(self) -> int:
        """Rows, not customers."""
        return int(self.negatives.sum() + self.positives.sum())

    @property
    def base_rate(self) -> float:
        """Share of positives; nan without rows."""
        return float(self.positives.sum() / self.n) if self.n else float("nan")


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its variance on effective numbers; `low` and `high` are the 95 % interval within 0..1."""

    value: float
    variance: float

    @property
    def low(self) -> float:
        """Lower end."""
        return float(max(0.0, self.value - Z_95 * np.sqrt(self.variance)))

    @property
    def high(self) -> float:
        """Upper end."""
        return float(min(1.0, self.value + Z_95 * np.sqrt(self.variance)))


def auc(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Chance that a positive is in a higher score bin than a negative, a shared bin counting half; nan without both.

    Examples
    --------
    >>> auc([0, 0, 4], [6, 0, 0]), auc([1, 1], [1, 1])
    (1.0, 0.5)
    """
    up, down = np.asarray(positives, dtype=np.float64), np.asarray(negatives, dtype=np.float64)
    if not up.sum() or not down.sum():
        return float("nan")
    return float(up @ _placements(down) / up.sum())


def effective_positives(n_positives: float, days: tuple[int, ...], horizon_days: int) -> float:
    """How many distinct leavers the pooled positives of these as-of days stand for (module docstring)."""
    if not days or not n_positives:
        return 0.0
    as_of = np.asarray(days, dtype=np.int64)
    leaving = np.arange(as_of.min() + 1, as_of.max() + horizon_days + 1)
    after = np.searchsorted(as_of, leaving, side="left") - np.searchsorted(as_of, leaving - horizon_days, side="left")
    return float(n_positives * after.sum() / (after.astype(np.float64) ** 2).sum())


def auc_interval(outcomes: Outcomes, horizon_days: int) -> Interval:
    """AUC with DeLong's variance on the binned counts, divided by effective instead of pooled numbers.

    Each side's variance of placements is taken at least as a quarter of ``auc * (1 - auc)``, so a perfect small
    sample keeps a width. nan value and infinite variance when one side is empty. Source: DeLong, DeLong,
    Clarke-Pearson 1988, eq. 3-5.
    """
    up, down = outcomes.positives.astype(np.float64), outcomes.negatives.astype(np.float64)
    value = auc(up, down)
    if np.isnan(value):
        return Interval(value, float("inf"))
    floor = 0.25 * max(value * (1.0 - value), 1e-4)
    of_positives = max(_variance(up, _placements(down)), floor)
    of_negatives = max(_variance(down, 1.0 - _placements(up)), floor)
    n_positives = effective_positives(float(up.sum()), outcomes.days, horizon_days)
    n_negatives = float(down.sum()) / len(outcomes.days)
    return Interval(value, of_positives / n_positives + of_negatives / n_negatives)


def brier(outcomes: Outcomes, bin_means: ArrayLike) -> float:
    """Mean squared error of the scores, each taken as its bin's mean score in the reference; nan without rows."""
    means = np.asarray(bin_means, dtype=np.float64)
    loss = outcomes.positives @ (1.0 - means) ** 2 + outcomes.negatives @ means**2
    return float(loss / outcomes.n) if outcomes.n else float("nan")


def observed_to_expected(outcomes: Outcomes, bin_means: ArrayLike, horizon_days: int) -> tuple[float, float]:
    """Calibration in the large: log(observed / expected positives) and its standard error (effective positives).

    Half a pseudo-count on both sides keeps it finite; 0 is well calibrated, positive means more left than was said.
    """
    rows = (outcomes.positives + outcomes.negatives).astype(np.float64)
    observed, expected = float(outcomes.positives.sum()), float(rows @ np.asarray(bin_means, dtype=np.float64))
    error = 1.0 / np.sqrt(max(effective_positives(observed, outcomes.days, horizon_days), 0.5))
    return float(np.log((observed + 0.5) / (expected + 0.5))), float(error)


def lift(outcomes: Outcomes, top_share: float = 0.1) -> float:
    """How many times the base rate the best scored `top_share` of rows has; a bin cut by it counts in proportion."""
    if not outcomes.n or not outcomes.positives.sum():
        return float("nan")
    rows = (outcomes.positives + outcomes.negatives)[::-1].astype(np.float64)
    wanted = top_share * rows.sum()
    before = np.cumsum(rows) - rows
    taken = np.clip((wanted - before) / np.where(rows > 0.0, rows, 1.0), 0.0, 1.0)
    return float((outcomes.positives[::-1] @ taken) / outcomes.positives.sum() / top_share)


def precision_recall(outcomes: Outcomes, from_bin: int) -> tuple[float, float]:
    """Precision and recall of calling every row from score bin `from_bin` upwards; nan where nothing is."""
    hits, called = int(outcomes.positives[from_bin:].sum()), int(outcomes.negatives[from_bin:].sum())
    positives = int(outcomes.positives.sum())
    precision = hits / (hits + called) if hits + called else float("nan")
    return precision, hits / positives if positives else float("nan")


def estimated_auc(scores: ArrayLike, bin_means: ArrayLike) -> float:
    """What the AUC of rows without labels would be if the calibrated scores still held: blind to concept drift."""
    rows, means = np.asarray(scores, dtype=np.float64), np.asarray(bin_means, dtype=np.float64)
    return auc(rows * means, rows * (1.0 - means))


def _placements(counts: Floats) -> Floats:
    """Share of `counts` below each bin, its own bin half."""
    return np.asarray((np.cumsum(counts) - counts / 2.0) / counts.sum())


def _variance(weights: Floats, values: Floats) -> float:
    mean = weights @ values / weights.sum()
    return float(weights @ (values - mean) ** 2 / weights.sum())
