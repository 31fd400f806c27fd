"""Curves over all thresholds: ROC, precision and recall, gains and lift, scores by outcome; thinned for plots, JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from offline.bootstrap import Resampled, interval_of
from offline.evaluate import as_json, number
from offline.metrics import Floats, Ranking

N_POINTS = 200
N_HISTOGRAM_BINS = 30
GAIN_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def roc_curve(y: Floats, score: Floats, weight: Floats | None = None) -> tuple[Floats, Floats]:
    """(share of negatives flagged, share of positives flagged), from nothing flagged to everything; (g + 1,) each."""
    positive, negative = Ranking(y, score).grouped(weight)
    return _shares(negative), _shares(positive)


def pr_curve(y: Floats, score: Floats, weight: Floats | None = None) -> tuple[Floats, Floats]:
    """(recall, precision) at every distinct score, highest first; (g,) each."""
    positive, negative = Ranking(y, score).grouped(weight)
    caught, flagged = np.cumsum(positive), np.cumsum(positive + negative)
    some = flagged > 0
    return caught[some] / max(caught[-1], 1e-300), caught[some] / flagged[some]


def gains(y: Floats, score: Floats, shares: Floats, weight: Floats | None = None) -> Floats:
    """Share of all positives among the highest-scored share of rows; (len(shares),).

    A tie at the border counts with its mean.
    """
    return _gains(Ranking(y, score), shares, weight)


def gains_table(resampled: Resampled, y: Floats, score: Floats) -> list[dict[str, Any]]:
    """Gains and lift at a few shares, with intervals of the gains."""
    shares, ranking = np.array(GAIN_SHARES), Ranking(y, score)
    found = resampled.replicates(lambda w: _gains(ranking, shares, w))
    return [
        {"share": share, "gain": as_json(interval_of(found[:, i])), "lift": number(float(found[0, i]) / share)}
        for i, share in enumerate(GAIN_SHARES)
    ]


def curves(y: Floats, score: Floats) -> dict[str, Any]:
    """Every curve as lists of at most 200 points."""
    false_alarms, recall = roc_curve(y, score)
    caught, precision = pr_curve(y, score)
    shares = np.linspace(0.0, 1.0, N_POINTS)
    return {
        "roc": {"false_positive_rate": thinned(false_alarms), "recall": thinned(recall)},
        "pr": {"recall": thinned(caught), "precision": thinned(precision)},
        "gains": {"share": shares.tolist(), "gain": thinned(gains(y, score, shares))},
        "histogram": histogram(y, score),
    }


def histogram(y: Floats, probability: Floats) -> dict[str, list[float]]:
    """Rows per bin of probability, by outcome; bins are equal steps of the square root, as most scores are low."""
    edges = np.linspace(0.0, 1.0, N_HISTOGRAM_BINS + 1) ** 2
    stayed, left = (np.histogram(probability[y == outcome], edges)[0] for outcome in (0, 1))
    return {"edges": edges.tolist(), "stayed": stayed.tolist(), "left": left.tolist()}


def thinned(values: Floats, n: int = N_POINTS) -> list[float | None]:
    """At most ``n`` of the values, more at the beginning, where scores are high; the first and the last among them."""
    if len(values) <= n:
        return [number(value) for value in values]
    places = np.unique((np.linspace(0, 1, n) ** 2 * (len(values) - 1)).round().astype(np.int64))
    return [number(values[i]) for i in places]


def _shares(weights: Floats) -> Floats:
    total = weights.sum()
    return np.asarray(np.r_[0.0, np.cumsum(weights) / (total if total > 0 else np.nan)])


def _gains(ranking: Ranking, shares: Floats, weight: Floats | None) -> Floats:
    positive, negative = ranking.grouped(weight)
    caught, size = np.r_[0.0, np.cumsum(positive)], np.r_[0.0, np.cumsum(positive + negative)]
    if caught[-1] <= 0:
        return np.full(len(shares), np.nan)
    return np.asarray(np.interp(shares * size[-1], size, caught) / caught[-1])
