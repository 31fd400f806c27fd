"""What the choice is worth: the gain over the defaults, and how much of it was luck.

The best of many looks better on the rows it was chosen on than it is. So customers are drawn again and again; each
time the best trial is chosen on those drawn and compared with the defaults on those not drawn. That is the gain to
expect of a choice made so (Tsamardinos, Greasidou and Borboudakis 2018, bootstrap bias corrected cross-validation).
Its interval is rather too wide: about a third of the customers is not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from offline.bootstrap import LEVEL, N_REPLICATES, Interval, Resampled, interval
from offline.metrics import Floats
from offline.tuning.criterion import Criterion, Statistic
from offline.tuning.fold_models import JudgedRows

MOST_CANDIDATES = 30


@dataclass(frozen=True)
class Gain:
    """How much better than the defaults, in units of the criterion; more is better.

    Parameters
    ----------
    on_folds
        Of the best trial on the very rows that chose it, paired by customer.
    expected
        Of a best trial chosen by some customers, on others.
    """

    on_folds: Interval
    expected: Interval

    @property
    def is_worth_it(self) -> bool:
        """Whether the expected gain lies above zero."""
        return self.expected.low > 0.0

    def text(self, criterion: Criterion) -> str:
        """The verdict as a sentence."""
        found = self.expected
        span = f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f}) in {criterion.words}"
        if self.is_worth_it:
            return f"Tuning is worth it: expected on customers that took no part in the choice is a gain of {span}."
        if found.high < 0.0:
            return f"Tuning harms: the expected gain is {span}. Keep the defaults."
        return f"Tuning brings nothing that these folds show: the expected gain of {span} covers 0. Keep the defaults."


def gain_over_defaults(
    criterion: Criterion,
    judged: JudgedRows,
    margins: Mapping[int, Floats],
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
) -> Gain:
    """The gain of choosing the best of these trials.

    Parameters
    ----------
    margins
        Trial number -> log odds of all judged rows (n,); 0 is the defaults and always there.
    """
    of = {number: judged.statistic(criterion, margin) for number, margin in margins.items()}
    ranked = sorted(of, key=lambda number: (-criterion.sign * of[number](None), number))[:MOST_CANDIDATES]
    best, default = of[ranked[0]], of[0]
    on_folds = interval(judged.customer, lambda w: criterion.gain(best(w), default(w)), n_replicates, seed)
    candidates = [of[number] for number in dict.fromkeys([*ranked, 0])]
    return Gain(on_folds, _expected(criterion, judged, candidates, default, n_replicates, seed))


def _expected(
    criterion: Criterion,
    judged: JudgedRows,
    candidates: list[Statistic],
    default: Statistic,
    n_replicates: int,
    seed: int,
) -> Interval:
    gains = []
    for weight in Resampled(judged.customer, n_replicates, seed).weights():
        drawn = np.array([criterion.sign * candidate(weight) for candidate in candidates])
        others = (weight == 0.0).astype(np.float64)
        if np.isfinite(drawn).all():
            gains.append(criterion.gain(candidates[int(drawn.argmax())](others), default(others)))
    found = np.array([gain for gain in gains if np.isfinite(gain)])
    if not len(found):
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(found.mean()), float(low), float(high))
