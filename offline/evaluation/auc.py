"""ROC-AUC of some rows for all replicates at once: what slices need, by the dozen.

Counts of draws are whole numbers, so sums are exact. Equal to `offline.metrics.roc_auc` with the replicate's weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offline.bootstrap import CHUNK, Resampled
from offline.metrics import Floats


def auc_replicates(resampled: Resampled, y: Floats, score: Floats, rows: NDArray[np.int64]) -> Floats:
    """ROC-AUC of the rows as they are, then of each replicate; (1 + n_replicates,).

    Parameters
    ----------
    y, score
        Of all rows, (n,).
    rows
        Which rows to rank, (m,).
    """
    positive, negative = rows[y[rows] > 0], rows[y[rows] == 0]
    negative = negative[np.argsort(score[negative], kind="stable")]
    below = np.searchsorted(score[negative], score[positive], side="left")
    not_above = np.searchsorted(score[negative], score[positive], side="right")
    once = np.ones((1, resampled.drawn.shape[1]), np.uint8)
    parts = [once, *(resampled.drawn[at : at + CHUNK] for at in range(0, len(resampled.drawn), CHUNK))]
    found = []
    for drawn in parts:
        ours = drawn[:, resampled.customer[positive]].astype(np.int64)
        theirs = drawn[:, resampled.customer[negative]]
        so_far = np.zeros((len(drawn), len(negative) + 1), np.int64)
        np.cumsum(theirs, axis=1, dtype=np.int64, out=so_far[:, 1:])
        won = (ours * (so_far[:, below] + so_far[:, not_above])).sum(axis=1) / 2.0
        pairs = ours.sum(axis=1) * so_far[:, -1]
        found.append(np.divide(won, pairs, out=np.full(len(drawn), np.nan), where=pairs > 0))
    return np.concatenate(found)
