"""Everything that is found out about a model on some rows, as one JSON-able table; NaN is None.

The short evaluation of `offline.evaluate` is beside it, not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from offline.bootstrap import interval_of
from offline.costs import Costs
from offline.evaluate import as_json
from offline.evaluation.calibration import bin_of, binned_replicates
from offline.evaluation.calibrators import compare_calibrators
from offline.evaluation.confusion import confusions
from offline.evaluation.curves import curves, gains_table
from offline.evaluation.fairness import fairness_table
from offline.evaluation.mistakes import Contributions, mistakes
from offline.evaluation.profit import profits
from offline.evaluation.scored import Scored
from offline.evaluation.slices import slice_table
from offline.evaluation.slicing import Slicing
from offline.metrics import Ranking, row_log_loss
from offline.passing import Say
from offline.training_set import ROW_KINDS

RANKED: Final = ("roc_auc", "pr_auc", "ks", "lift_10")


@dataclass(frozen=True, eq=False)
class Questions:
    """What is asked beyond the figures that every evaluation has.

    Parameters
    ----------
    slicings
        Name -> slices of the tick rows.
    protected
        Name -> groups of the tick rows.
    costs
        What a contact costs and brings; None leaves profit out.
    show_ids
        Whether customers are named.
    """

    slicings: Mapping[str, Slicing] = field(default_factory=dict)
    protected: Mapping[str, Slicing] = field(default_factory=dict)
    costs: Costs | None = None
    show_ids: bool = False


def find_out(
    scored: Scored, contributions: Contributions, key: str, questions: Questions, say: Say = lambda _: None
) -> dict[str, Any]:
    """The full evaluation of labelled rows that the model has not seen.

    Parameters
    ----------
    contributions
        What each feature adds to the margin, (n, n_features) in log odds.
    key
        Of the hashes that stand for customer ids.
    """
    ticks = scored.ticks
    say("figures and curves")
    found: dict[str, Any] = {
        "metrics": {
            kind: metrics_of(scored.take(scored.kind == code))
            for code, kind in enumerate(ROW_KINDS)
            if (scored.kind == code).any()
        },
        "curves": curves(ticks.y, ticks.probability),
        "gains": gains_table(ticks.resampled, ticks.y, ticks.probability),
        "calibration": calibration_of(ticks),
        "calibrators": compare_calibrators(ticks),
    }
    if questions.costs is not None:
        found["profit"] = profits(ticks, questions.costs)
    say("slices")
    found["slices"] = slice_table(scored, questions.slicings)
    if questions.protected:
        found["fairness"] = fairness_table(ticks, questions.protected)
    say("errors")
    found["errors"] = mistakes(ticks, contributions, key, questions.show_ids)
    return found


def metrics_of(scored: Scored) -> dict[str, Any]:
    """Every figure of rows of one kind, with its interval."""
    y, probability, resampled = scored.y, scored.probability, scored.resampled
    n_customers, n_leavers, n_stayers, n_flagged = (
        len(np.unique(scored.customer[rows])) for rows in (y >= 0, y > 0, y == 0, scored.flagged)
    )
    n_behind = {"alert_rate": n_customers, "accuracy": n_customers, "recall": n_leavers, "specificity": n_stayers}
    ranked = resampled.replicates(Ranking(y, probability).statistics)
    losses = resampled.sums(np.column_stack([row_log_loss(y, probability), np.ones(len(y))]))
    return {
        "n": len(y),
        "n_positive": int(y.sum()),
        "n_customers": n_customers,
        "n_leavers": n_leavers,
        **{name: as_json(interval_of(ranked[:, i])) for i, name in enumerate(RANKED)},
        "log_loss": as_json(interval_of(losses[:, 0] / losses[:, 1])),
        **binned_replicates(resampled, y, probability).as_json(),
        "threshold": float(scored.threshold[0]),
        "at_threshold": confusions(resampled, y, scored.flagged).as_json(n_behind | {"precision": n_flagged}),
    }


def calibration_of(ticks: Scored) -> list[dict[str, Any]]:
    """The calibration curve of tick rows."""
    return binned_replicates(ticks.resampled, ticks.y, ticks.probability, bin_of(ticks.probability)).curve()
