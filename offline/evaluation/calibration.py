"""Do probabilities mean what they say? Calibration curve, expected calibration error, the parts of the Brier score.

Rows are put into bins of about equal size by probability; bins stay the same over all replicates. Murphy (1973):
Brier = reliability - resolution + uncertainty, exactly so where probabilities within a bin are equal; the rest is told
as ``within_bins`` (Stephenson, Coelho and Jolliffe 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.bootstrap import Resampled, interval_of
from offline.evaluate import as_json
from offline.evaluation.confusion import ratio
from offline.metrics import Floats

N_BINS = 10


@dataclass(frozen=True, eq=False)
class Binned:
    """Sums per bin, (r, n_bins) for r weightings of the rows.

    Parameters
    ----------
    weight, positive, probability
        Weight of rows, of those that churned, and probabilities added up.
    squared_error
        Of all rows, (r,).
    """

    weight: Floats
    positive: Floats
    probability: Floats
    squared_error: Floats

    @property
    def total(self) -> Floats:
        """Weight of all rows, (r,)."""
        return np.asarray(self.weight.sum(axis=1))

    @property
    def churned(self) -> Floats:
        """Share that churned per bin, (r, n_bins)."""
        return ratio(self.positive, self.weight)

    @property
    def said(self) -> Floats:
        """Mean probability per bin, (r, n_bins)."""
        return ratio(self.probability, self.weight)

    @property
    def gap(self) -> Floats:
        """Mean probability less the share that churned, over all rows, (r,)."""
        return ratio((self.probability - self.positive).sum(axis=1), self.total)

    @property
    def ece(self) -> Floats:
        """Expected calibration error: mean distance of probability and outcome over bins, (r,)."""
        return ratio(np.abs(self.probability - self.positive).sum(axis=1), self.total)

    @property
    def reliability(self) -> Floats:
        """Mean squared distance of probability and outcome over bins, (r,): the smaller, the better."""
        return ratio(np.nansum(self.weight * (self.said - self.churned) ** 2, axis=1), self.total)

    @property
    def resolution(self) -> Floats:
        """How far the bins' outcomes are from the base rate, (r,): the larger, the better."""
        return ratio(np.nansum(self.weight * (self.churned - self._base[:, None]) ** 2, axis=1), self.total)

    @property
    def uncertainty(self) -> Floats:
        """Brier score of whoever knows the base rate alone, (r,)."""
        return self._base * (1 - self._base)

    @property
    def brier(self) -> Floats:
        """Mean squared distance of probability and outcome over rows, (r,)."""
        return ratio(self.squared_error, self.total)

    @property
    def within_bins(self) -> Floats:
        """What the three parts leave: probabilities of a bin are not all equal, (r,)."""
        return self.brier - (self.reliability - self.resolution + self.uncertainty)

    @property
    def _base(self) -> Floats:
        return ratio(self.positive.sum(axis=1), self.total)

    def as_json(self) -> dict[str, Any]:
        """Every figure with its interval; the first weighting is that of the rows as they are."""
        names = ("brier", "reliability", "resolution", "uncertainty", "within_bins", "ece", "gap")
        return {name: as_json(interval_of(getattr(self, name))) for name in names}

    def curve(self) -> list[dict[str, Any]]:
        """The calibration curve: mean probability and share that churned per bin, with its interval."""
        return [
            {
                "n": int(np.round(self.weight[0, k])),
                "probability": float(self.said[0, k]),
                "churned": as_json(interval_of(self.churned[:, k])),
            }
            for k in range(self.weight.shape[1])
            if self.weight[0, k] > 0
        ]


def bin_of(probability: Floats, n_bins: int = N_BINS) -> NDArray[np.int64]:
    """Bin of each row: about equally many in each, equal probabilities together; fewer bins when many are tied."""
    if not len(probability):
        return np.zeros(0, np.int64)
    edges = np.unique(np.quantile(probability, np.arange(1, n_bins) / n_bins, method="inverted_cdf"))
    return np.unique(np.searchsorted(edges, probability, side="left"), return_inverse=True)[1].astype(np.int64)


def binned(
    y: Floats, probability: Floats, bins: NDArray[np.int64] | None = None, weight: Floats | None = None
) -> Binned:
    """Sums of some rows: one weighting."""
    values, n = _values(y, probability, bin_of(probability) if bins is None else bins)
    w = np.ones(len(y)) if weight is None else weight
    return _of_sums(w[None, :] @ values, n)


def binned_replicates(
    resampled: Resampled, y: Floats, probability: Floats, bins: NDArray[np.int64] | None = None
) -> Binned:
    """Sums of the rows as they are and of every replicate."""
    values, n = _values(y, probability, bin_of(probability) if bins is None else bins)
    return _of_sums(resampled.sums(values), n)


def _values(y: Floats, probability: Floats, bins: NDArray[np.int64]) -> tuple[Floats, int]:
    """Columns whose sums `Binned` is made of, (n, 3 * n_bins + 1)."""
    n_bins = int(bins.max(initial=-1)) + 1
    inside = (bins[:, None] == np.arange(n_bins)[None, :]).astype(np.float64)
    error = (probability - y) ** 2
    return np.column_stack([inside, inside * y[:, None], inside * probability[:, None], error]), n_bins


def _of_sums(sums: Floats, n: int) -> Binned:
    return Binned(sums[:, :n], sums[:, n : 2 * n], sums[:, 2 * n : 3 * n], sums[:, 3 * n])
