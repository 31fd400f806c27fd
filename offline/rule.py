"""The first step of the ladder: call a customer who has been silent for two weeks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offline.metrics import Floats
from offline.models import Matrix
from stream_app.plan import FeatureColumn

SILENT_DAYS = 14.0


def silence_days(X: Matrix, features: tuple[FeatureColumn, ...]) -> Floats | None:
    """Days since the customer was last heard of, by the workload's first recency feature; infinite if never.

    None when the workload declares no recency feature: there is no rule then.
    """
    column = next((j for j, feature in enumerate(features) if feature.type == "recency"), None)
    if column is None:
        return None
    days = X[:, column].astype(np.float64)
    return np.where(np.isnan(days), np.inf, days)


def is_silent(days: Floats) -> NDArray[np.bool_]:
    """Whether the rule flags the row."""
    return days >= SILENT_DAYS
