"""The silence rule as a step: the longer a customer has not been heard of, the higher the score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offline.errors import OfflineError
from offline.ladder.family import Columns, Family
from offline.metrics import Floats
from offline.models import Matrix
from offline.rule import SILENT_DAYS, silence_days

LONGEST_DAYS = 400.0


def _margin(days: Floats) -> Floats:
    return np.asarray(np.log1p(np.minimum(days, LONGEST_DAYS)))


@dataclass(frozen=True)
class RuleModel:
    """Nothing is learnt."""

    columns: Columns
    notes: tuple[str, ...] = ()

    def margin(self, X: Matrix) -> Floats:
        """log(1 + days of silence), at most 400 days and so many when never heard of; (n,)."""
        days = silence_days(X, self.columns)
        if days is None:
            raise OfflineError("the workload declares no feature of type recency: there is no silence rule")
        return _margin(days)


@dataclass(frozen=True)
class Rule:
    """Nothing to choose."""

    def says(self) -> str:
        """The choice in words."""
        return ""

    def fit(self, X: Matrix, y: Floats, columns: Columns, seed: int) -> RuleModel:
        """The rule for these columns."""
        return RuleModel(columns)


FAMILY = Family("rule", f"rule: silent for {SILENT_DAYS:.0f} days", (Rule(),), cut=float(np.log1p(SILENT_DAYS)))
