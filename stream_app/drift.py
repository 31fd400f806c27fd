"""How far has a binned distribution moved? Distances between reference and current counts, and what a judgement is.

Every statistic works on the last axis, so ``(n_features, n_bins)`` arrays are compared in one call. Inside: PSI,
Jensen-Shannon, Kolmogorov-Smirnov, Wasserstein, chi-square, the three verdicts and the `Finding` that becomes a Drift
record. Not inside: which thresholds apply (reference.py, judge.py) and what follows from a finding (policy.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Verdict = Literal["steady", "drifted", "too_few"]
Scope = Literal["feature", "score", "volume", "refused", "missing", "value", "performance", "calibration"]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

DAY_MS: Final = 86_400_000
PSEUDO_COUNT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """One judged statistic of one day (or of one step, in the fast loop): the content of a Drift record.

    Distance and threshold share one unit. With enough rows, ``distance > threshold`` is what ``drifted`` means, save
    in the fast loop, where a detector has the verdict and the distance is that of its last observation. `mark` tells
    apart what is judged more than once a day (a step's start, the partitions of a partial day). `by_construction`: an
    ageing or calendar column, which moves without anything being wrong.
    """

    day: int
    as_of_ms: int
    scope: Scope
    name: str
    statistic: str
    distance: float
    threshold: float
    verdict: Verdict
    n: int
    model_version: str
    share: float = 1.0
    detail: str = ""
    mark: str = ""
    by_construction: bool = False

    @property
    def event_id(self) -> str:
        """The same judgement has the same id, whoever makes it and however often."""
        parts = [str(self.day), self.scope, self.name, self.statistic, self.model_version]
        return "/".join(parts + ([self.mark] if self.mark else []))

    def record(self) -> dict[str, Any]:
        """The Avro Drift record as a plain mapping."""
        return {
            "event_id": self.event_id,
            "day": self.day,
            "as_of_ms": self.as_of_ms,
            "scope": self.scope,
            "name": self.name,
            "statistic": self.statistic,
            "distance": self.distance,
            "threshold": self.threshold,
            "verdict": self.verdict,
            "n": self.n,
            "share": self.share,
            "model_version": self.model_version,
            "detail": self.detail,
        }


def verdict_of(distance: float, threshold: float, n: int, min_rows: int) -> Verdict:
    """Steady or drifted; ``too_few`` below `min_rows` rows, where any distance is noise (PSI of ten rows: 8)."""
    if n < min_rows:
        return "too_few"
    return "drifted" if distance > threshold else "steady"


def shares(counts: ArrayLike, seen: ArrayLike) -> Floats:
    """Counts as smoothed shares of the bins that were `seen` on either side.

    Each such bin gets half a pseudo-count (Jeffreys), so an empty bin never divides by zero and its weight fades with
    the number of rows. A bin empty on both sides has share 0 and adds nothing to any distance.
    """
    inside = np.asarray(seen, dtype=bool)
    smoothed = np.where(inside, np.asarray(counts, dtype=np.float64) + PSEUDO_COUNT, 0.0)
    total = smoothed.sum(axis=-1, keepdims=True)
    return np.asarray(smoothed / np.where(total > 0.0, total, 1.0))


def psi(reference: ArrayLike, current: ArrayLike) -> Floats:
    """Population stability index: the sum of the Kullback-Leibler divergences of both directions, in nats.

    Empty bins are smoothed as `shares` says. Without drift its mean is about ``(bins - 1) * (1/n + 1/m)`` for n and m
    *independent* rows, so guard small windows with `verdict_of`.

    Parameters
    ----------
    reference, current
        Counts, shape ``(..., n_bins)``.

    Examples
    --------
    >>> round(float(psi([500, 500], [500, 500])), 6)
    0.0
    >>> round(float(psi([5000, 5000], [2500, 7500])), 2)
    0.27
    """
    p, q, seen = _pair(reference, current)
    ratio = np.log(np.where(seen, q, 1.0) / np.where(seen, p, 1.0))
    return np.asarray(((q - p) * ratio).sum(axis=-1))


def jensen_shannon(reference: ArrayLike, current: ArrayLike) -> Floats:
    """Jensen-Shannon distance in 0..1: the root of the divergence in bits (scipy's `jensenshannon` with base 2)."""
    p, q, _ = _pair(reference, current)
    middle = (p + q) / 2.0
    divergence = (_relative_bits(p, middle) + _relative_bits(q, middle)) / 2.0
    return np.asarray(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def kolmogorov_smirnov(reference: ArrayLike, current: ArrayLike) -> Floats:
    """Largest gap of the distribution functions over ordered bins, unsmoothed, 0..1; at most the unbinned one."""
    return np.asarray(np.abs(_cumulative(reference) - _cumulative(current)).max(axis=-1))


def wasserstein(reference: ArrayLike, current: ArrayLike) -> Floats:
    """Earth mover's distance over ordered bins, unsmoothed: how many bins the average row moved."""
    return np.asarray(np.abs(_cumulative(reference) - _cumulative(current)).sum(axis=-1))


def chi_square(reference: ArrayLike, current: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    """Pearson's statistic of the 2 x bins table and its degrees of freedom (bins seen on either side, less one).

    It grows with the number of rows, and repeated rows of one customer are not independent: a yardstick, never a
    verdict.
    """
    first, second = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    column = first + second
    total = column.sum(axis=-1, keepdims=True)
    statistic = np.zeros(column.shape[:-1])
    for counts in (first, second):
        expected = column * counts.sum(axis=-1, keepdims=True) / np.where(total > 0.0, total, 1.0)
        statistic = statistic + ((counts - expected) ** 2 / np.where(expected > 0.0, expected, 1.0)).sum(axis=-1)
    return statistic, np.asarray((column > 0).sum(axis=-1) - 1, dtype=np.int64)


def _pair(reference: ArrayLike, current: ArrayLike) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    first, second = np.asarray(reference), np.asarray(current)
    seen = np.asarray((first > 0) | (second > 0))
    return shares(first, seen), shares(second, seen), seen


def _relative_bits(p: Floats, middle: Floats) -> Floats:
    inside = p > 0.0
    ratio = np.where(inside, p, 1.0) / np.where(inside, middle, 1.0)
    return np.asarray((p * np.log2(ratio)).sum(axis=-1))


def _cumulative(counts: ArrayLike) -> Floats:
    values = np.asarray(counts, dtype=np.float64)
    total = values.sum(axis=-1, keepdims=True)
    return np.asarray(np.cumsum(values / np.where(total > 0.0, total, 1.0), axis=-1))
