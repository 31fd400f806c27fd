"""A model beside an oracle that knows the true probabilities: how much of what can be known does it know?

The oracle is a Parquet file of a simulation: day, customer, probability of leaving within the horizon after that day's
00:00. Both are judged on the very same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from offline import metrics
from offline.bootstrap import interval
from offline.errors import OfflineError
from offline.evaluate import as_json
from offline.metrics import Floats

COLUMNS = ("day", "customer_id", "p_churn")
Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Oracle:
    """True probabilities by day and customer.

    Parameters
    ----------
    by_day
        Day since the epoch -> customer id -> probability of leaving within the horizon after its 00:00.
    """

    by_day: dict[int, dict[str, float]]

    @property
    def days(self) -> tuple[int, ...]:
        """Days that it speaks of, ascending."""
        return tuple(sorted(self.by_day))

    def probabilities(self, customer_id: NDArray[Any], day: Int64s) -> Floats:
        """True probability of each row, (n,); NaN where the oracle says nothing."""
        nobody: dict[str, float] = {}
        pairs = zip(day.tolist(), customer_id.tolist(), strict=True)
        return np.array([self.by_day.get(at, nobody).get(str(who), np.nan) for at, who in pairs], dtype=np.float64)


def load_oracle(path: Path) -> Oracle:
    """Read the oracle of a simulation.

    Raises
    ------
    OfflineError
        When the file cannot be read or lacks a column.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as cause:
        raise OfflineError(
            f"oracle {path}: cannot be read as Parquet; `driftline simulate --out` writes one"
        ) from cause
    if lacking := [name for name in COLUMNS if name not in table.column_names]:
        raise OfflineError(f"oracle {path}: has no column {lacking[0]!r}; needed are {', '.join(COLUMNS)}")
    by_day: dict[int, dict[str, float]] = {}
    for day, who, p_churn in zip(*(table[name].to_pylist() for name in COLUMNS), strict=True):
        by_day.setdefault(int(day), {})[str(who)] = float(p_churn)
    return Oracle(by_day)


def beside_oracle(y: Floats, customer: Int64s, probability: Floats, truth: Floats) -> dict[str, Any]:
    """AUC of model and oracle on the rows that both speak of, and the model's share of the oracle's lift.

    The share is (AUC of the model - 0.5) / (AUC of the oracle - 0.5), with an interval by resampling customers.

    Parameters
    ----------
    y, customer, probability, truth
        Outcome, dense customer code, the model's answer and the true probability of each row, (n,); a row without a
        truth is left out and counted.

    Raises
    ------
    OfflineError
        When no row has a truth.
    """
    known = np.isfinite(truth)
    if not known.any():
        raise OfflineError("oracle: knows none of the customers on the days that are judged; is it of this simulation?")
    y, probability, truth = y[known], probability[known], truth[known]
    customer = np.unique(customer[known], return_inverse=True)[1].astype(np.int64)

    def share(weight: Floats | None) -> float:
        lift = metrics.roc_auc(y, truth, weight) - 0.5
        return (metrics.roc_auc(y, probability, weight) - 0.5) / lift if lift > 0 else float("nan")

    return {
        "n": len(y),
        "n_positive": int(y.sum()),
        "n_left_out": int((~known).sum()),
        "model": as_json(interval(customer, lambda w: metrics.roc_auc(y, probability, w))),
        "oracle": as_json(interval(customer, lambda w: metrics.roc_auc(y, truth, w))),
        "lift_share": as_json(interval(customer, share)),
    }


def oracle_line(found: dict[str, Any]) -> str:
    """What `beside_oracle` found, as a sentence."""
    model, oracle, share = found["model"], found["oracle"], found["lift_share"]
    return (
        f"Beside the oracle: AUC {_range(model)} of {_range(oracle)} on {found['n']} rows with {found['n_positive']} "
        f"positives; {_range(share)} of the oracle's lift over 0.5."
    )


def _range(value: dict[str, float | None]) -> str:
    if value["value"] is None:
        return "-"
    return f"{value['value']:.3f} ({value['low'] or np.nan:.3f} to {value['high'] or np.nan:.3f})"
