"""What the planted drifts do to the world.

``covariate``: newcomers of `CAMPAIGN_MIX`, so who is there and how much they use the product shifts, while the law of
cancellation given a customer's state stays. ``concept``: `law.hazards` are exchanged. ``seasonal``: all usage is scaled
by a wave. ``upstream_bug``: a column is spoilt on its way into the log, the world itself is untouched.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from producers.simulate.config import Drift, SimulationConfig, SimulationError
from producers.simulate.layout import TOPICS


class PlantedDrifts:
    """The drifts of a configuration, asked by day after the first.

    Raises
    ------
    SimulationError
        When an upstream bug names a field that does not exist or is a category.
    """

    def __init__(self, config: SimulationConfig) -> None:
        self._drifts = config.drifts
        self._n_customers = config.n_customers
        for bug in self._of("upstream_bug"):
            _check_field(bug)

    def _of(self, kind: str) -> list[Drift]:
        return [drift for drift in self._drifts if drift.kind == kind]

    def concept_on(self, offset: int) -> bool:
        """Whether the drivers of cancellation are exchanged."""
        return any(drift.acts_on(offset) for drift in self._of("concept"))

    def usage_factor(self, offset: int) -> float:
        """Usage against the usual: 1 outside of waves."""
        factor = 1.0
        for wave in self._of("seasonal"):
            if wave.acts_on(offset) and wave.end_days is not None:
                phase = (offset - wave.after_days + 0.5) / (wave.end_days - wave.after_days)
                factor *= 1.0 - wave.strength * np.sin(np.pi * phase) ** 2
        return float(factor)

    def campaign_newcomers(self, offset: int) -> float:
        """Mean number of customers that campaigns bring on a day."""
        rate = 0.0
        for campaign in self._of("covariate"):
            if campaign.acts_on(offset) and campaign.end_days is not None:
                rate += campaign.strength * self._n_customers / (campaign.end_days - campaign.after_days)
        return rate

    def spoil(self, topic: str, offset: int, values: dict[str, NDArray[np.float64]]) -> None:
        """Replace the columns of a topic that arrive wrong on a day, in place of the mapping."""
        for bug in self._of("upstream_bug"):
            bug_topic, _, name = bug.field.partition(".")
            if bug_topic == topic and bug.acts_on(offset):
                values[name] = values[name] * bug.strength


def _check_field(bug: Drift) -> None:
    topic, _, name = bug.field.partition(".")
    if topic not in TOPICS or name not in TOPICS[topic].fields:
        known = ", ".join(f"{t}.{f}" for t, layout in TOPICS.items() for f in layout.fields)
        raise SimulationError(f"drift {bug.label}", f"field {bug.field!r} is not one of {known}")
