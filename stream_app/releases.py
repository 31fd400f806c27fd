"""Which model scores which day: the releases read so far, in the order of their log."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stream_app.model import Model


@dataclass(frozen=True, eq=False)
class ActiveModel:
    """A model and the bin edges of its reference, (n_features, 9) float32; None for the rule."""

    model: Model
    edges: npt.NDArray[np.float32] | None = None


@dataclass(eq=False)
class ModelSchedule:
    """Models by activation day.

    The last release in the log whose activation day has come wins; before the first, the rule.
    """

    rule: ActiveModel
    releases: list[tuple[int, ActiveModel]] = field(default_factory=list)

    def add(self, activate_day: int, model: ActiveModel) -> None:
        """Take the next release of the log."""
        self.releases.append((activate_day, model))

    def at(self, day: int) -> ActiveModel:
        """The model for rows whose as-of lies on ``day``."""
        for activate_day, model in reversed(self.releases):
            if activate_day <= day:
                return model
        return self.rule

    def version_at(self, day: int) -> str:
        """Version of the model for ``day``."""
        return self.at(day).model.version
