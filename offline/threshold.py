"""Where to cut a probability into alarm and silence."""

from __future__ import annotations

import numpy as np

from offline.metrics import Floats

RULE = "maximises F1 on the calibration fold; ties take the higher threshold"


def best_f1_threshold(y: Floats, probability: Floats) -> float:
    """The threshold t that maximises F1 of ``probability >= t``.

    The cut is put half way between the two neighbouring probabilities, so that rounding does not move rows over it.
    Without positives it is 1: nothing is flagged.

    Examples
    --------
    >>> best_f1_threshold(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.6, 0.9]))
    0.4
    """
    if not len(y) or y.sum() == 0:
        return 1.0
    order = np.argsort(-probability, kind="stable")
    ordered, outcome = probability[order], y[order]
    caught = np.cumsum(outcome)
    f1 = 2.0 * caught / (np.arange(1, len(y) + 1) + outcome.sum())
    f1[:-1][ordered[:-1] == ordered[1:]] = -1.0  # a cut inside a tie does not exist
    best = int(np.argmax(f1))
    below = ordered[best + 1] if best + 1 < len(ordered) else 0.0
    return float((ordered[best] + below) / 2.0)
