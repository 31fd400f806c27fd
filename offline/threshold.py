"""Where to cut a probability into alarm and silence: for the best F1, for a recall, or for the most profit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from offline.costs import Costs
from offline.errors import OfflineError
from offline.metrics import Floats

RULE = "maximises F1 on the calibration fold; ties take the higher threshold"
Goal = Literal["f1", "recall", "profit"]


@dataclass(frozen=True)
class ThresholdRule:
    """What a threshold is chosen for; it is always chosen on the calibration fold.

    Parameters
    ----------
    recall
        Share of leavers that must be caught, for the goal ``recall``.
    costs
        For the goal ``profit``.
    """

    goal: Goal = "f1"
    recall: float = 0.0
    costs: Costs | None = None

    def choose(self, y: Floats, probability: Floats) -> float:
        """The threshold of a fold; (n,) each."""
        if self.goal == "recall":
            return recall_threshold(y, probability, self.recall)
        if self.goal == "profit":
            assert self.costs is not None, "parse_rule demands them"
            return best_profit_threshold(y, probability, self.costs)
        return best_f1_threshold(y, probability)

    def content(self) -> dict[str, Any]:
        """What threshold.json says of the choice."""
        said: dict[str, Any] = {"rule": self.text()}
        if self.goal != "f1":
            said["goal"] = f"recall:{self.recall:g}" if self.goal == "recall" else self.goal
        return said if self.costs is None else said | {"costs": self.costs.as_json()}

    def text(self) -> str:
        """The choice in a sentence."""
        if self.goal == "recall":
            return f"highest threshold with a recall of at least {self.recall:g} on the calibration fold"
        if self.goal == "profit":
            assert self.costs is not None, "parse_rule demands them"
            return f"maximises profit on the calibration fold ({self.costs.text()}); ties take the higher threshold"
        return RULE


BEST_F1: Final = ThresholdRule()


def parse_rule(text: str, costs: Costs | None) -> ThresholdRule:
    """The rule that a user names.

    Parameters
    ----------
    text
        ``f1``, ``recall:0.8`` or ``profit``.
    costs
        What a contact costs and brings; ``profit`` needs it, the others leave it aside.

    Raises
    ------
    OfflineError
        When the text is none of them, or costs are missing.
    """
    name, _, number = text.partition(":")
    if name == "f1" and not number:
        return BEST_F1
    if name == "profit" and not number:
        if costs is None:
            raise OfflineError("--threshold profit needs to know what a contact costs and brings; add --costs FILE")
        return ThresholdRule("profit", costs=costs)
    if name == "recall":
        try:
            share = float(number)
        except ValueError:
            share = -1.0
        if 0.0 < share <= 1.0:
            return ThresholdRule("recall", recall=share)
    raise OfflineError(f"--threshold {text!r} is not f1, profit, or recall: and a share such as recall:0.8")


def rule_of(content: Mapping[str, Any]) -> ThresholdRule:
    """The rule that a threshold.json was made by: what a retraining chooses for again."""
    costs = content.get("costs")
    return parse_rule(str(content.get("goal", "f1")), None if costs is None else Costs(**costs))


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
    return _cut_after(ordered, int(np.argmax(f1)))


def recall_threshold(y: Floats, probability: Floats, recall: float) -> float:
    """The highest threshold at which at least this share of the positives is flagged; 1 without positives.

    Examples
    --------
    >>> recall_threshold(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.2, 0.6, 0.9]), 0.6)
    0.15000000000000002
    """
    if not len(y) or y.sum() == 0:
        return 1.0
    order = np.argsort(-probability, kind="stable")
    ordered = probability[order]
    caught = np.cumsum(y[order])
    first = int(np.argmax(caught >= recall * caught[-1] - 1e-9))
    last_of_tie = int(np.flatnonzero(ordered == ordered[first])[-1])
    return _cut_after(ordered, last_of_tie)


def best_profit_threshold(y: Floats, probability: Floats, costs: Costs) -> float:
    """The threshold at which contacting everyone above it brought the most; 1 when contacting nobody does."""
    order = np.argsort(-probability, kind="stable")
    ordered = probability[order]
    profit = np.cumsum(costs.profit(y[order]))
    profit[:-1][ordered[:-1] == ordered[1:]] = -np.inf  # a cut inside a tie does not exist
    if not len(y) or profit.max() <= 0:
        return 1.0
    return _cut_after(ordered, int(np.argmax(profit)))


def _cut_after(ordered: Floats, i: int) -> float:
    """Half way between a probability, highest first, and the next lower one."""
    below = ordered[i + 1] if i + 1 < len(ordered) else 0.0
    return float((ordered[i] + below) / 2.0)
