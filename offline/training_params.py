"""What a training may be told instead of the defaults: parameters of XGBoost, and how much rows count.

How such parameters are found, and read from a file, is the business of `offline.tuning`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TrainingParams:
    """Parameters of one training.

    Parameters
    ----------
    booster
        Parameters of XGBoost that differ from, or stand beside, `offline.models.PARAMS`.
    half_life_days
        A row this much older weighs half; None weighs all alike.
    event_weight
        Weight of an event row, where a tick row weighs 1.
    origin
        Where they come from, such as a study's name.
    labels_until_day
        They were chosen by labels that reach up to this day; None when no data chose them.
    """

    booster: Mapping[str, float] = field(default_factory=dict)
    half_life_days: float | None = None
    event_weight: float = 1.0
    origin: str = ""
    labels_until_day: int | None = None

    def as_json(self) -> dict[str, Any]:
        """All that decides about the model, in one flat table, and where it comes from."""
        rows = {"half_life_days": self.half_life_days, "event_weight": self.event_weight}
        return dict(self.booster) | rows | {"origin": self.origin}

    def describe(self) -> str:
        """How the rows are weighed, in words."""
        fading = "all rows alike" if self.half_life_days is None else f"a half-life of {self.half_life_days:g} days"
        return fading if self.event_weight == 1.0 else f"{fading}, event rows weigh {self.event_weight:.3g}"
