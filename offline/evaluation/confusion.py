"""The confusion matrix of an alarm and what follows from it, for the rows as they are and for every replicate at once.

Counts are weighted; a share of nothing is NaN. Checked against scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from offline.bootstrap import Interval, Resampled, interval_of
from offline.evaluate import as_json
from offline.metrics import Floats
from offline.training_set import Bools

FIGURES: Final = (
    "alert_rate",
    "precision",
    "recall",
    "f1",
    "specificity",
    "accuracy",
    "balanced_accuracy",
)
Z: Final = 1.959964


@dataclass(frozen=True, eq=False)
class Confusion:
    """Weights of the four outcomes of an alarm: numbers, or arrays with one entry for each replicate."""

    true_positive: Floats
    false_positive: Floats
    false_negative: Floats
    true_negative: Floats

    @property
    def total(self) -> Floats:
        """All rows."""
        return self.true_positive + self.false_positive + self.false_negative + self.true_negative

    @property
    def alert_rate(self) -> Floats:
        """Share of rows that are flagged."""
        return ratio(self.true_positive + self.false_positive, self.total)

    @property
    def precision(self) -> Floats:
        """Share of flagged rows that churned."""
        return ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> Floats:
        """Share of rows that churned which are flagged."""
        return ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> Floats:
        """Share of rows that stayed which are left alone."""
        return ratio(self.true_negative, self.true_negative + self.false_positive)

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall."""
        return ratio(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)

    @property
    def accuracy(self) -> Floats:
        """Share of rows that are called right."""
        return ratio(self.true_positive + self.true_negative, self.total)

    @property
    def balanced_accuracy(self) -> Floats:
        """Mean of recall and specificity: a half for whoever knows nothing."""
        return (self.recall + self.specificity) / 2

    def as_json(self, n_behind: Mapping[str, int]) -> dict[str, Any]:
        """Counts of the rows as they are, and figures with intervals.

        Parameters
        ----------
        n_behind
            Customers that a figure is a share of, as `share_interval` asks for.
        """
        counts = {
            name: int(np.round(getattr(self, name)[0]))
            for name in ("true_positive", "false_positive", "false_negative", "true_negative")
        }
        return {"counts": counts} | {
            name: as_json(share_interval(getattr(self, name), n_behind.get(name))) for name in FIGURES
        }


def outcomes(y: Floats, flagged: Bools) -> Floats:
    """Indicators of the four outcomes, (n, 4), in the order of `Confusion`: what is summed."""
    alarm = flagged.astype(np.float64)
    return np.column_stack([alarm * y, alarm * (1 - y), (1 - alarm) * y, (1 - alarm) * (1 - y)])


def confusion(y: Floats, flagged: Bools, weight: Floats | None = None) -> Confusion:
    """The confusion matrix of some rows, one entry each."""
    w = np.ones(len(y)) if weight is None else weight
    return Confusion(*(w[None, :] @ outcomes(y, flagged)).T)


def confusions(resampled: Resampled, y: Floats, flagged: Bools) -> Confusion:
    """The confusion matrix of the rows as they are and of every replicate, (1 + n_replicates,) each."""
    return Confusion(*resampled.sums(outcomes(y, flagged)).T)


def share_interval(values: Floats, n: int | None) -> Interval:
    """A share with its interval; Wilson's where every replicate has 0 or 1, as that is no certainty.

    Parameters
    ----------
    values
        Of the rows as they are and of every replicate, (1 + n_replicates,).
    n
        Customers that it is a share of; None for what is no share.
    """
    found = interval_of(values)
    if not n or found.low != found.high or found.value not in (0.0, 1.0):
        return found
    inner = Z * Z / (n + Z * Z)
    return Interval(found.value, 0.0, inner) if found.value == 0.0 else Interval(found.value, 1.0 - inner, 1.0)


def ratio(part: Floats, whole: Floats) -> Floats:
    """Shares; NaN of nothing."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0))
