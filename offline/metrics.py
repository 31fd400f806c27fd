"""How good scores are, measured with row weights so that a bootstrap is one more weight vector.

Pure functions of NumPy arrays; no model, no file, no threshold choice. A number that does not exist (the AUC of one
class, the precision of no alarm) is NaN. Checked against scikit-learn. `Ranking` sorts once for many weight vectors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TINY = 1e-15
LIFT_SHARE = 0.1


class Ranking:
    """Rows ordered by score, highest first, for statistics that look at the order alone.

    Parameters
    ----------
    y
        Outcomes 0 or 1, (n,).
    score
        Higher means more likely, (n,); ties form one group.
    """

    def __init__(self, y: Floats, score: Floats) -> None:
        self._order = np.argsort(-score, kind="stable")
        ordered = score[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(y) else np.zeros(0, np.int64)
        self._y, self._not_y = y[self._order], 1.0 - y[self._order]
        self.score: Floats = ordered[self._starts]
        """Distinct scores, highest first, (g,)."""

    def grouped(self, weight: Floats | None = None) -> tuple[Floats, Floats]:
        """Weights of positives and negatives per distinct score, highest first, (g,) each."""
        positive = self._y if weight is None else weight[self._order] * self._y
        negative = self._not_y if weight is None else weight[self._order] * self._not_y
        if len(self._starts) == len(self._order):  # no ties, or no rows
            return positive, negative
        return np.add.reduceat(positive, self._starts), np.add.reduceat(negative, self._starts)

    def roc_auc(self, weight: Floats | None = None) -> float:
        """Chance that a positive scores above a negative; ties count half."""
        return _roc_auc(*self.grouped(weight))

    def pr_auc(self, weight: Floats | None = None) -> float:
        """Average precision: precision at every threshold, weighted by the recall gained there."""
        return _pr_auc(*self.grouped(weight))

    def statistics(self, weight: Floats | None = None) -> Floats:
        """ROC-AUC, PR-AUC, KS and lift of the highest tenth, (4,), at the price of little more than one of them."""
        positive, negative = self.grouped(weight)
        return np.array(
            [
                _roc_auc(positive, negative),
                _pr_auc(positive, negative),
                _ks(positive, negative),
                _lift(positive, negative, LIFT_SHARE),
            ]
        )


def roc_auc(y: Floats, score: Floats, weight: Floats | None = None) -> float:
    """Chance that a positive scores above a negative; ties count half.

    Examples
    --------
    >>> roc_auc(np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.1, 0.9]))
    0.75
    """
    return Ranking(y, score).roc_auc(weight)


def pr_auc(y: Floats, score: Floats, weight: Floats | None = None) -> float:
    """Average precision: precision at every threshold, weighted by the recall gained there."""
    return Ranking(y, score).pr_auc(weight)


def ks(y: Floats, score: Floats, weight: Floats | None = None) -> float:
    """Kolmogorov-Smirnov distance of the scores of positives and negatives."""
    return _ks(*Ranking(y, score).grouped(weight))


def lift(y: Floats, score: Floats, share: float = LIFT_SHARE, weight: Floats | None = None) -> float:
    """Positives among the highest scores, as a multiple of the base rate.

    Parameters
    ----------
    share
        Share of rows looked at, at least one row. A tie at the border counts with its mean.
    """
    return _lift(*Ranking(y, score).grouped(weight), share)


def log_loss(y: Floats, probability: Floats, weight: Floats | None = None) -> float:
    """Mean negative log likelihood in nats."""
    return float(np.average(row_log_loss(y, probability), weights=weight)) if len(y) else float("nan")


def row_log_loss(y: Floats, probability: Floats) -> Floats:
    """Negative log likelihood of each row in nats, (n,)."""
    p = np.clip(probability, TINY, 1.0 - TINY)
    return np.asarray(-(y * np.log(p) + (1.0 - y) * np.log1p(-p)))


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


def _roc_auc(positive: Floats, negative: Floats) -> float:
    pairs = positive.sum() * negative.sum()
    if pairs <= 0:
        return float("nan")
    negatives_below = negative.sum() - np.cumsum(negative)
    return float((positive * (negatives_below + 0.5 * negative)).sum() / pairs)


def _pr_auc(positive: Floats, negative: Floats) -> float:
    total = positive.sum()
    if total <= 0:
        return float("nan")
    caught = np.cumsum(positive)
    flagged = caught + np.cumsum(negative)
    precision = np.divide(caught, flagged, out=np.zeros_like(caught), where=flagged > 0)
    return float((precision * positive).sum() / total)


def _ks(positive: Floats, negative: Floats) -> float:
    n_positive, n_negative = positive.sum(), negative.sum()
    if n_positive <= 0 or n_negative <= 0:
        return float("nan")
    return float(np.abs(np.cumsum(positive) / n_positive - np.cumsum(negative) / n_negative).max())


def _lift(positive: Floats, negative: Floats, share: float) -> float:
    caught, size = np.cumsum(positive), np.cumsum(positive + negative)
    if not len(caught) or caught[-1] <= 0:
        return float("nan")
    top = max(1.0, float(np.round(share * size[-1])))
    found = np.interp(top, np.r_[0.0, size], np.r_[0.0, caught])
    return float(found / top / (caught[-1] / size[-1]))
