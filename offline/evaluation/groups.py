"""Figures of groups of rows beside each other, all on the same draws of customers, and what differs beyond doubt.

Slices and the fairness table are both made of this. Many comparisons are made at once: p-values come from the spread
over the replicates and are raised by Holm's method (1979) over all of a table, so that one in twenty tables of groups
that are alike names a difference, not one in twenty groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Any, Final

import numpy as np

from offline.bootstrap import Interval
from offline.evaluate import as_json
from offline.evaluation.auc import auc_replicates
from offline.evaluation.confusion import Confusion, outcomes, ratio, share_interval
from offline.evaluation.scored import Scored
from offline.evaluation.slicing import Slicing
from offline.metrics import Floats, row_log_loss

MIN_ROWS: Final = 50
MIN_OF_EACH: Final = 10
"""A group with fewer rows, or fewer customers that left or stayed, is counted and not judged; nor is the precision of
fewer flagged customers."""


@dataclass(frozen=True, eq=False)
class Group:
    """One group's figures over the rows as they are and every replicate.

    Parameters
    ----------
    n_customers, n_leavers, n_stayers, n_flagged
        Different customers: all, and those with a row that left, stayed, was flagged.
    figures
        Name -> (1 + n_replicates,).
    """

    name: str
    n: int
    n_positive: int
    n_customers: int
    n_leavers: int
    n_stayers: int
    n_flagged: int
    figures: dict[str, Floats]

    @property
    def is_small(self) -> bool:
        """Whether it is too small to be judged."""
        return self.n < MIN_ROWS or min(self.n_leavers, self.n_stayers) < MIN_OF_EACH

    def interval(self, figure: str) -> Interval:
        """A figure with its interval."""
        return share_interval(self.figures[figure], self._n_behind(figure))

    def least_variance(self, figure: str) -> float:
        """What the variance of a share is at least, were each customer one row (Agresti and Coull's shares).

        Replicates of ten leavers none of whom is flagged do not vary at all; that is no certainty.
        """
        n, of = self._n_behind(figure), "base_rate" if figure == "gap" else figure
        if n is None:
            return 0.0
        share = (float(np.nan_to_num(self.figures[of][0])) * n + 2.0) / (n + 4.0)
        return share * (1.0 - share) / (n + 4.0)

    def as_json(self) -> dict[str, Any]:
        """Counts, and figures with intervals; of a small group the counts alone."""
        said: dict[str, Any] = {
            "name": self.name,
            "n": self.n,
            "n_customers": self.n_customers,
            "n_positive": self.n_positive,
            "is_small": self.is_small,
        }
        return said if self.is_small else said | {figure: as_json(self.interval(figure)) for figure in self.figures}

    def _n_behind(self, figure: str) -> int | None:
        """Customers that a share is a share of; None for what is no share."""
        return {
            "alert_rate": self.n_customers,
            "base_rate": self.n_customers,
            "gap": self.n_customers,
            "recall": self.n_leavers,
            "precision": self.n_flagged,
            "false_positive_rate": self.n_stayers,
        }.get(figure)


def groups_of(scored: Scored, slicing: Slicing, with_auc: bool = True) -> list[Group]:
    """The groups that have rows, in the slicing's order.

    Parameters
    ----------
    with_auc
        Whether to rank within each group, which takes most of the time.
    """
    present = [i for i in range(len(slicing.names)) if slicing.rows(i).any()]
    per_row = _per_row(scored)
    inside = [slicing.rows(i).astype(np.float64) for i in present]
    sums = scored.resampled.sums(np.column_stack([column[:, None] * per_row for column in inside]))
    auc = _aucs(scored, slicing, present) if with_auc else None
    found = []
    for at, i in enumerate(present):
        figures = _figures(sums[:, at * per_row.shape[1] : (at + 1) * per_row.shape[1]])
        if auc is not None:
            figures["roc_auc"] = auc[:, at]
        found.append(_group(scored, slicing, i, figures))
    return found


def whole_of(scored: Scored, with_auc: bool = True) -> Group:
    """All rows as one group."""
    return groups_of(scored, Slicing(("all",), np.zeros(len(scored), np.int64)), with_auc)[0]


def p_value(difference: Floats, least_variance: float = 0.0) -> float:
    """Chance of a difference this large between groups that are alike, two-sided, as if it were normal.

    Parameters
    ----------
    difference
        Of the rows as they are and of every replicate, (1 + n_replicates,).
    least_variance
        What its variance is at least.
    """
    drawn = difference[1:][np.isfinite(difference[1:])]
    spread = sqrt(max(float(drawn.var()) if len(drawn) > 1 else 0.0, least_variance))
    if not np.isfinite(difference[0]) or difference[0] == 0:
        return 1.0
    return erfc(abs(float(difference[0])) / spread / sqrt(2.0)) if spread > 0 else 0.0


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values raised for being several, by Holm's method.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    raised, highest = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        raised[i] = highest
    return raised


def _per_row(scored: Scored) -> Floats:
    """Columns whose sums the figures are made of, (n, 6)."""
    loss = row_log_loss(scored.y, scored.probability)
    return np.column_stack([outcomes(scored.y, scored.flagged), scored.probability, loss])


def _figures(sums: Floats) -> dict[str, Floats]:
    alarm = Confusion(*sums[:, :4].T)
    score = ratio(sums[:, 4], alarm.total)
    base_rate = ratio(alarm.true_positive + alarm.false_negative, alarm.total)
    return {
        "score": score,
        "base_rate": base_rate,
        "gap": score - base_rate,
        "alert_rate": alarm.alert_rate,
        "recall": alarm.recall,
        "precision": alarm.precision,
        "false_positive_rate": 1.0 - alarm.specificity,
        "log_loss": ratio(sums[:, 5], alarm.total),
    }


def _aucs(scored: Scored, slicing: Slicing, present: list[int]) -> Floats:
    """ROC-AUC within each group, (1 + n_replicates, n_groups)."""
    groups = [np.flatnonzero(slicing.rows(i)) for i in present]
    found = [auc_replicates(scored.resampled, scored.y, scored.probability, rows) for rows in groups]
    return np.column_stack(found)


def _group(scored: Scored, slicing: Slicing, i: int, figures: dict[str, Floats]) -> Group:
    mine = slicing.rows(i)
    y, customer = scored.y[mine], scored.customer[mine]
    n_flagged = len(np.unique(customer[scored.flagged[mine]]))
    if n_flagged < MIN_OF_EACH:
        figures["precision"] = np.full_like(figures["precision"], np.nan)
    return Group(
        name=slicing.names[i],
        n=int(mine.sum()),
        n_positive=int(y.sum()),
        n_customers=len(np.unique(customer)),
        n_leavers=len(np.unique(customer[y > 0])),
        n_stayers=len(np.unique(customer[y == 0])),
        n_flagged=n_flagged,
        figures=figures,
    )
