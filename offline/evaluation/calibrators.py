"""Would another calibrator than Platt's do better? Asked on held-out rows, answered with intervals, never acted upon.

Platt, beta and isotonic calibration are each fitted on the margins of four fifths of the customers and judged on the
rest, five times over; so they are compared on equal terms. "As released" is what the stream runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from offline.bootstrap import interval_of
from offline.calibrate import fit_platt
from offline.evaluate import as_json
from offline.evaluation.learners import isotonic_probability
from offline.evaluation.scored import Scored
from offline.metrics import Floats, row_log_loss

N_FOLDS = 5
MIN_POSITIVES = 30
MAX_STEPS = 100
Calibrator = Callable[[Floats, Floats, Floats], Floats]


def platt_probability(y: Floats, margin: Floats, asked: Floats) -> Floats:
    """Probabilities of the margins ``asked``, (m,), by Platt's sigmoid."""
    return fit_platt(y, margin).probability(asked)


def beta_probability(y: Floats, margin: Floats, asked: Floats) -> Floats:
    """Probabilities of the margins ``asked``, (m,), by beta calibration (Kull, Silva Filho and Flach 2017).

    Log odds are a ln p - b ln(1 - p) + c for p = sigmoid(margin), with a and b at least 0: a slope that wants to be
    negative is left out.
    """
    columns, chosen = _beta_columns(margin), [0, 1]
    weights = _fit_logistic(columns[:, chosen], y)
    if (weights[:-1] < 0).any():
        chosen = [int(np.argmax(weights[:-1]))]
        weights = _fit_logistic(columns[:, chosen], y)
    z = _beta_columns(asked)[:, chosen] @ weights[:-1] + weights[-1]
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -700.0, 700.0))))


CALIBRATORS: Final[dict[str, Calibrator]] = {
    "Platt": platt_probability,
    "beta": beta_probability,
    "isotonic": isotonic_probability,
}


def compare_calibrators(scored: Scored) -> dict[str, Any]:
    """Log loss and Brier score of each calibrator, and how much lower than Platt's, paired by customer.

    Parameters
    ----------
    scored
        Rows of one kind that the model has not seen.
    """
    y, n_leavers = scored.y, len(np.unique(scored.customer[scored.y > 0]))
    if n_leavers < MIN_POSITIVES:
        return {"tried": {}, "text": f"too few leavers to compare calibrators: {n_leavers}, {MIN_POSITIVES} needed"}
    found = {"as released": scored.probability} | {
        name: crossed(calibrator, scored) for name, calibrator in CALIBRATORS.items()
    }
    losses = {name: (row_log_loss(y, p), (p - y) ** 2) for name, p in found.items()}
    columns = [column for pair in losses.values() for column in pair]
    sums = scored.resampled.sums(np.column_stack([*columns, np.ones(len(y))]))
    means = (sums[:, :-1] / sums[:, -1:]).reshape(len(sums), len(found), 2)
    platt = means[:, list(found).index("Platt")]
    tried = {
        name: {
            "log_loss": as_json(interval_of(means[:, i, 0])),
            "brier": as_json(interval_of(means[:, i, 1])),
            "log_loss_below_platt": as_json(interval_of(platt[:, 0] - means[:, i, 0])),
        }
        for i, name in enumerate(found)
    }
    return {"tried": tried, "text": _verdict(tried)}


def crossed(calibrator: Calibrator, scored: Scored) -> Floats:
    """Probabilities of rows by a calibrator that was fitted on other customers' rows, (n,)."""
    found = np.zeros(len(scored))
    for fold in folds(scored.customer):
        found[fold] = calibrator(scored.y[~fold], scored.margin[~fold], scored.margin[fold])
    return found


def folds(customer: NDArray[np.int64], n_folds: int = N_FOLDS, seed: int = 0) -> list[NDArray[np.bool_]]:
    """Rows of each fifth of the customers, (n,) each."""
    place = np.random.default_rng(seed).permutation(int(customer.max(initial=-1)) + 1) % n_folds
    return [place[customer] == i for i in range(n_folds)]


def _verdict(tried: dict[str, Any]) -> str:
    better, worse = [], []
    for name in ("isotonic", "beta"):
        gain = tried[name]["log_loss_below_platt"]
        if gain["low"] > 0:
            span = f"{gain['value']:.4f} ({gain['low']:.4f} to {gain['high']:.4f})"
            better.append(f"{name} would lower log loss by {span}")
        elif gain["high"] < 0:
            worse.append(name)
    if better:
        return "; ".join(better) + ". The stream runs Platt; nothing was changed"
    tail = f"; {' and '.join(worse)} would do worse" if worse else ""
    return f"no calibrator does better than Platt beyond doubt{tail}"


def _beta_columns(margin: Floats) -> Floats:
    """The logarithms of p and, negative, of 1 - p, without losing digits at either end; (n, 2)."""
    return np.column_stack([-np.logaddexp(0.0, -margin), np.logaddexp(0.0, margin)])


def _fit_logistic(X: Floats, y: Floats) -> Floats:
    """Weights and intercept by Newton's method on log loss, with a trace of ridge for what separates; (k + 1,)."""
    columns = np.column_stack([X, np.ones(len(X))])
    ridge = 1e-6 * np.eye(columns.shape[1])
    weights = np.zeros(columns.shape[1])
    for _ in range(MAX_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(columns @ weights, -700.0, 700.0)))
        gradient = columns.T @ (p - y) + ridge @ weights
        step = np.linalg.solve((columns * (p * (1 - p))[:, None]).T @ columns + ridge, gradient)
        size = min(1.0, 5.0 / max(np.abs(step).max(), 1e-12))  # far from the answer, Newton's steps are too long
        weights = weights - size * step
        if np.abs(step).max() < 1e-9:
            break
    return weights
