"""The online challenger: river's logistic regression, learning row by row. The only module that imports river.

Numbers are scaled by the mean and deviation so far, a missing one counts as the mean; categories are indicators.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from offline.ladder.family import Columns, log_odds
from offline.metrics import Floats

LEARNING_RATES: Final = (0.003, 0.01, 0.03)
L2: Final = 1e-4
LARGEST: Final = 5.0  # standard deviations: one strange row must not throw the weights


@dataclass(frozen=True)
class OnlineLogistic:
    """How fast a learner follows.

    Parameters
    ----------
    learning_rate
        Of stochastic gradient descent.
    """

    learning_rate: float

    def says(self) -> str:
        """The choice in words."""
        return f"learning rate {self.learning_rate:g}"

    def create_learner(self, columns: Columns) -> RiverLearner:
        """A learner that knows nothing yet."""
        return RiverLearner(columns, self.learning_rate)


class RiverLearner:
    """Scaling and weights so far.

    Parameters
    ----------
    columns
        What the columns of a row are.
    learning_rate
        Of stochastic gradient descent.
    """

    def __init__(self, columns: Columns, learning_rate: float) -> None:
        from river import linear_model, optim

        self._model: Any = linear_model.LogisticRegression(optim.SGD(learning_rate), l2=L2)
        self._is_number = np.array([not column.is_categorical for column in columns])
        self._n_codes = [len(column.categories) + 1 for column in columns if column.is_categorical]
        self._seen, self._mean, self._squares = np.zeros((3, int(self._is_number.sum())))

    def update(self, x: Floats, outcome: float) -> None:
        """Take a row (n_features,) and whether its customer churned."""
        numbers = x[self._is_number].astype(np.float64)
        known = np.isfinite(numbers)
        self._seen += known
        step = np.where(known, numbers - self._mean, 0.0)
        self._mean += step / np.maximum(self._seen, 1.0)
        self._squares += np.where(known, step * (numbers - self._mean), 0.0)
        self._model.learn_one(self._scaled(x), bool(outcome))

    def margin(self, x: Floats) -> float:
        """Log odds of a row (n_features,) with what is known so far."""
        return float(log_odds(np.array([self._model.predict_proba_one(self._scaled(x))[True]]))[0])

    def _scaled(self, x: Floats) -> dict[int, float]:
        numbers = x[self._is_number].astype(np.float64)
        deviation = np.sqrt(self._squares / np.maximum(self._seen, 1.0))
        usable = np.isfinite(numbers) & (deviation > 0.0)
        z = np.where(usable, numbers - self._mean, 0.0) / np.where(usable, deviation, 1.0)
        values = np.clip(z, -LARGEST, LARGEST).tolist()
        for code, n in zip(x[~self._is_number].tolist(), self._n_codes, strict=True):
            values.extend(1.0 if code == k else 0.0 for k in range(n))
        return dict(enumerate(values))
