"""How good a model is on rows it has not seen, beside a rule and a logistic regression, with intervals.

The answer is one JSON-able table (evaluation.json), NaN as None. Skill is claimed only when the intervals allow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline import metrics
from offline.bootstrap import Interval, Resampled, interval_of
from offline.calibrate import Platt
from offline.metrics import Floats
from offline.models import Logistic
from offline.rule import SILENT_DAYS, is_silent, silence_days
from offline.training_set import ROW_KINDS, Bools, TrainingSet

FEW_POSITIVES = 30
FEW_LEAVERS = 10


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows with outcomes, of one row kind.

    Parameters
    ----------
    customer
        Customer code per row; intervals resample the customers that are there.
    prior
        Share of positives in training: the answer of someone who knows nothing about a customer.
    """

    y: Floats
    customer: NDArray[np.int64]
    prior: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "customer", np.unique(self.customer, return_inverse=True)[1].astype(np.int64))

    @property
    def n_positive(self) -> int:
        """Rows that churned."""
        return int(self.y.sum())

    @property
    def n_leavers(self) -> int:
        """Customers with a row that churned: the rows of one leaver are one piece of evidence, not several."""
        return len(np.unique(self.customer[self.y > 0]))

    @cached_property
    def resampled(self) -> Resampled:
        """The draws that every interval of these rows is taken from."""
        return Resampled(self.customer)

    def intervals(self, score: Floats) -> dict[str, Any]:
        """ROC-AUC and PR-AUC with intervals."""
        ranking = metrics.Ranking(self.y, score)
        return {
            "roc_auc": as_json(self.resampled.interval(ranking.roc_auc)),
            "pr_auc": as_json(self.resampled.interval(ranking.pr_auc)),
        }

    def probabilities(self, probability: Floats, threshold: float) -> dict[str, Any]:
        """Everything about calibrated probabilities and their alarm."""
        prior = np.full(len(self.y), self.prior)
        return {
            **self.intervals(probability),
            "log_loss": number(metrics.log_loss(self.y, probability)),
            "log_loss_prior": number(metrics.log_loss(self.y, prior)),
            "brier": number(metrics.brier(self.y, probability)),
            "brier_prior": number(metrics.brier(self.y, prior)),
            "mean_probability": number(float(probability.mean())),
            "lift_10": number(metrics.lift(self.y, probability)),
            "at_threshold": {"threshold": threshold} | self.alarm(probability >= threshold),
        }

    def alarm(self, flagged: Bools) -> dict[str, Any]:
        """Precision, recall and F1 of flagging these rows."""
        precision, recall, f1 = metrics.precision_recall_f1(self.y, flagged)
        return {
            "n_flagged": int(flagged.sum()),
            "precision": number(precision),
            "recall": number(recall),
            "f1": number(f1),
        }

    def size(self) -> dict[str, Any]:
        """How much there is to judge by."""
        return {
            "n": len(self.y),
            "n_positive": self.n_positive,
            "n_customers": len(np.unique(self.customer)),
            "base_rate": number(float(self.y.mean())),
        }


def evaluate(
    training: TrainingSet,
    rows: Bools,
    probability: Floats,
    thresholds: tuple[float, ...],
    logistic: Logistic | None,
    prior: float,
) -> dict[str, Any]:
    """The evaluation of a model on some labelled rows.

    Parameters
    ----------
    rows
        Which rows of the training set, (n,).
    probability
        The model's answer for those rows, in their order.
    thresholds
        Per row kind.
    logistic
        The yardstick; None leaves it out.
    """
    by_kind: dict[str, Any] = {}
    kind, y, customer = training.rows.kind[rows], training.y[rows], training.customer[rows]
    for code, name in enumerate(ROW_KINDS):
        mine = kind == code
        judged = Judged(y[mine], customer[mine], prior)
        if len(judged.y):
            by_kind[name] = judged.size() | judged.probabilities(probability[mine], thresholds[code])
    ticks = kind == 0
    judged = Judged(y[ticks], customer[ticks], prior)
    X = training.rows.X[rows][ticks]
    silence = silence_days(X, training.plan.columns)
    return {
        "rows": by_kind,
        **_ladder(judged, probability[ticks], silence, None if logistic is None else logistic.margin(X)),
        "skill": skill(judged, probability[ticks], silence),
    }


def _ladder(judged: Judged, probability: Floats, silence: Floats | None, margin: Floats | None) -> dict[str, Any]:
    """The steps below the model, and what the step up is worth."""
    steps: dict[str, Any] = {}
    if silence is not None:
        steps["rule"] = {
            "says": f"silent for {SILENT_DAYS:.0f} days",
            **judged.intervals(silence),
            "at_threshold": judged.alarm(is_silent(silence)),
            "model_is_better_by_auc": as_json(auc_gain(judged, probability, silence)),
        }
    if margin is not None:
        steps["logistic"] = {
            **judged.intervals(margin),
            "log_loss": number(metrics.log_loss(judged.y, Platt().probability(margin))),
            "model_is_better_by_auc": as_json(auc_gain(judged, probability, margin)),
        }
    return steps


def skill(judged: Judged, probability: Floats, silence: Floats | None) -> dict[str, Any]:
    """Whether the rows show that the model knows something, and the sentence that says so."""
    n, n_leavers = judged.n_positive, judged.n_leavers
    if n < FEW_POSITIVES:
        return _says(False, f"too few positives to tell: {n} of {len(judged.y)} rows, at least {FEW_POSITIVES} needed")
    if n_leavers < FEW_LEAVERS:
        return _says(
            False, f"too few leavers to tell: {n} positive rows of {n_leavers} customers, at least {FEW_LEAVERS} needed"
        )
    auc = judged.resampled.interval(metrics.Ranking(judged.y, probability).roc_auc)
    if not auc.low > 0.5:
        return _says(False, f"the AUC interval {_span(auc)} covers 0.5: no skill shown over the base rate")
    if silence is not None:
        gain = auc_gain(judged, probability, silence)
        if not gain.low > 0.0:
            return _says(False, f"the gain in AUC over the silence rule {_span(gain)} covers 0: the rule does as well")
    return _says(True, f"AUC {auc.value:.3f} {_span(auc)} on {len(judged.y)} rows with {n} positives")


def auc_gain(judged: Judged, probability: Floats, other: Floats) -> Interval:
    """How much higher the AUC is than another score's, paired by customer."""
    ours, theirs = metrics.Ranking(judged.y, probability), metrics.Ranking(judged.y, other)
    return judged.resampled.interval(lambda w: ours.roc_auc(w) - theirs.roc_auc(w))


def log_loss_gain(judged: Judged, probability: Floats, other: Floats) -> Interval:
    """How much lower the log loss is than another's, paired by customer."""
    gain = metrics.row_log_loss(judged.y, other) - metrics.row_log_loss(judged.y, probability)
    sums = judged.resampled.sums(np.column_stack([gain, np.ones(len(gain))]))
    return interval_of(sums[:, 0] / sums[:, 1])


def as_json(found: Interval) -> dict[str, float | None]:
    """Value and bounds, None where they do not exist."""
    return {"value": number(found.value), "low": number(found.low), "high": number(found.high)}


def number(value: float) -> float | None:
    """A finite number, or None."""
    return float(value) if np.isfinite(value) else None


def _says(claimed: bool, text: str) -> dict[str, Any]:
    return {"claimed": claimed, "text": text}


def _span(found: Interval) -> str:
    return f"({found.low:.3f} to {found.high:.3f})"
