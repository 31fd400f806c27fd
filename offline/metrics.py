"""How good scores are, measured with row weights so that a bootstrap is one more weight vector.

Pure functions of NumPy arrays; no model, no file, no threshold choice. A number that does not exist (the AUC of one
class, the precision of no alarm) is NaN. Checked against scikit-learn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TINY = 1e-15


def _grouped(y: Floats, score: Floats, weight: Floats | None) -> tuple[Floats, Floats]:
    """Weights of positives and negatives per distinct score, highest score first."""
    w = np.ones(len(y)) if weight is None else weight
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(y) else np.zeros(0, dtype=np.int64)
    if not len(starts):
        return np.zeros(0), np.zeros(0)
    positive = np.add.reduceat((w * y)[order], starts)
    negative = np.add.reduceat((w * (1.0 - y))[order], starts)
    return positive, negative


def roc_auc(y: Floats, score: Floats, weight: Floats | None = None) -> float:
    """Chance that a positive scores above a negative; ties count half.

    Examples
    --------
    >>> roc_auc(np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.1, 0.9]))
    0.75
    """
    positive, negative = _grouped(y, score, weight)
    pairs = positive.sum() * negative.sum()
    if pairs <= 0:
        return float("nan")
    negatives_below = negative.sum() - np.cumsum(negative)
    return float((positive * (negatives_below + 0.5 * negative)).sum() / pairs)


def pr_auc(y: Floats, score: Floats, weight: Floats | None = None) -> float:
    """Average precision: precision at every threshold, weighted by the recall gained there."""
    positive, negative = _grouped(y, score, weight)
    total = positive.sum()
    if total <= 0:
        return float("nan")
    caught = np.cumsum(positive)
    flagged = caught + np.cumsum(negative)
    precision = np.divide(caught, flagged, out=np.zeros_like(caught), where=flagged > 0)
    return float((precision * positive).sum() / total)


def log_loss(y: Floats, probability: Floats, weight: Floats | None = None) -> float:
    """Mean negative log likelihood in nats."""
    p = np.clip(probability, TINY, 1.0 - TINY)
    return float(np.average(-(y * np.log(p) + (1.0 - y) * np.log1p(-p)), weights=weight)) if len(y) else float("nan")


def brier(y: Floats, probability: Floats, weight: Floats | None = None) -> float:
    """Mean squared distance of probability and outcome."""
    return float(np.average((probability - y) ** 2, weights=weight)) if len(y) else float("nan")


def precision_recall_f1(y: Floats, flagged: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Precision, recall and F1 of an alarm; precision is NaN when nothing is flagged, recall without positives."""
    caught = float(y[flagged].sum())
    n_flagged, n_positive = int(flagged.sum()), float(y.sum())
    precision = caught / n_flagged if n_flagged else float("nan")
    recall = caught / n_positive if n_positive else float("nan")
    f1 = 2.0 * caught / (n_flagged + n_positive) if n_flagged + n_positive else float("nan")
    return precision, recall, f1


def lift(y: Floats, score: Floats, share: float = 0.1) -> float:
    """Positives among the highest scores, as a multiple of the base rate.

    Parameters
    ----------
    share
        Share of rows looked at, at least one row. A tie at the border counts with its mean.
    """
    n, base = len(y), float(y.mean()) if len(y) else 0.0
    if base == 0.0:
        return float("nan")
    n_top = max(1, round(share * n))
    border = np.partition(score, n - n_top)[n - n_top]
    above, tied = score > border, score == border
    caught = y[above].sum() + y[tied].mean() * (n_top - above.sum())
    return float(caught / n_top / base)
