"""Platt calibration: probability = 1 / (1 + exp(-(a * margin + b))), one (a, b) per row kind.

Fitted by Newton's method on log loss with Platt's smoothed targets (Platt 1999; Lin, Lin and Weng 2007), so that a fold
in which the margins separate the classes still has a finite answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offline.metrics import Floats

MAX_STEPS = 100


@dataclass(frozen=True)
class Platt:
    """Slope and intercept on the margin scale.

    Parameters
    ----------
    a
        Slope; negative only if higher margins mean fewer positives.
    b
        Intercept in log odds.
    """

    a: float = 1.0
    b: float = 0.0

    def probability(self, margin: Floats) -> Floats:
        """Calibrated probability of each margin, (n,)."""
        z = self.a * np.asarray(margin, dtype=np.float64) + self.b
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -700.0, 700.0))))


def fit_platt(y: Floats, margin: Floats) -> Platt:
    """The calibration of a fold.

    Parameters
    ----------
    y
        Outcomes 0 or 1, (n,).
    margin
        Uncalibrated log odds, (n,).
    """
    n_positive, n_negative = float(y.sum()), float(len(y) - y.sum())
    target = np.where(y > 0, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    a, b = 0.0, float(np.log((n_positive + 1) / (n_negative + 1)))
    best = _loss(target, margin, a, b)
    for _ in range(MAX_STEPS):
        step = _newton_step(target, margin, a, b)
        size = 1.0
        while size > 1e-10 and _loss(target, margin, a - size * step[0], b - size * step[1]) >= best:
            size /= 2.0
        if size <= 1e-10:
            break
        a, b = float(a - size * step[0]), float(b - size * step[1])
        loss = _loss(target, margin, a, b)
        if best - loss < 1e-14:
            break
        best = loss
    return Platt(a, b)


def _loss(target: Floats, margin: Floats, a: float, b: float) -> float:
    z = a * margin + b
    return float(np.mean(np.logaddexp(0.0, z) - target * z))


def _newton_step(target: Floats, margin: Floats, a: float, b: float) -> Floats:
    p = Platt(a, b).probability(margin)
    gradient = np.array([np.mean((p - target) * margin), np.mean(p - target)])
    w = p * (1.0 - p)
    ridge = 1e-12
    hessian = np.array(
        [[np.mean(w * margin * margin) + ridge, np.mean(w * margin)], [np.mean(w * margin), np.mean(w) + ridge]]
    )
    return np.asarray(np.linalg.solve(hessian, gradient))
