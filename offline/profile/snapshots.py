"""Feature rows at cut-offs spread over the history, and what the same customers looked like some days earlier.

Rows come from the same heart as training rows and know what was known at their moment. A long history is thinned to a
number of cut-offs, and a large one to a share of its customers; both are said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from offline.entries import with_features
from offline.errors import LabelError
from offline.first_reading import Reading, read_first
from offline.labels import Outcomes
from offline.metrics import Floats
from offline.moments import Customers
from offline.profile.days import chosen_days, earlier_days, own_days, sooner
from offline.some_customers import columns_of_some
from offline.training_set import Span
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.workload import Feature, Workload
from stream_app.columns import Columns
from stream_app.plan import FeatureColumn, Plan
from stream_app.recording import Rows, tick_rows

Int64s = NDArray[np.int64]
Matrix = NDArray[np.float32]

MAX_ROWS = 400_000
TENURE = Feature("profile_tenure_days", "tenure")


@dataclass(frozen=True, eq=False)
class Snapshots:
    """Labelled tick rows.

    Parameters
    ----------
    columns
        The workload's feature columns.
    X
        Feature rows at the cut-offs (n, n_features).
    earlier
        Days before -> rows of the same customers so many days before, NaN where there was none (n, n_features).
    was_there
        Days before -> whether there was one, (n,).
    y
        1 left within the horizon, 0 stayed, (n,).
    near
        Whether the end lies within the first tenth of the horizon, (n,); None when the label has no moment.
    day
        Cut-off, days since the epoch, (n,).
    customer
        Dense customer code, (n,).
    tenure_days
        Age of the customer at the cut-off, (n,).
    n_unlabelled
        Rows at these cut-offs that had no label and are left out.
    share
        Share of the customers that was looked at.
    """

    workload: Workload
    columns: tuple[FeatureColumn, ...]
    X: Matrix
    earlier: dict[int, Matrix]
    was_there: dict[int, NDArray[np.bool_]]
    y: Floats
    near: NDArray[np.bool_] | None
    day: Int64s
    customer: Int64s
    tenure_days: Floats
    n_unlabelled: int
    span: Span
    share: float

    def __len__(self) -> int:
        return len(self.y)

    @property
    def cutoff_days(self) -> tuple[int, ...]:
        """Cut-offs that have rows, ascending."""
        return tuple(int(day) for day in np.unique(self.day))

    def some(self, n_rows: int) -> Snapshots:
        """About so many rows: those of a seeded choice of customers."""
        if len(self) <= n_rows:
            return self
        n_customers = int(self.customer.max()) + 1
        order = np.random.default_rng(0).permutation(n_customers)
        rows = np.flatnonzero(order[self.customer] < max(1, n_customers * n_rows // len(self)))
        return replace(
            self,
            X=self.X[rows],
            earlier={days: X[rows] for days, X in self.earlier.items()},
            was_there={days: there[rows] for days, there in self.was_there.items()},
            y=self.y[rows],
            near=None if self.near is None else self.near[rows],
            day=self.day[rows],
            customer=np.unique(self.customer[rows], return_inverse=True)[1].astype(np.int64),
            tenure_days=self.tenure_days[rows],
        )


def take_snapshots(
    workload: Workload,
    history: Reading,
    *,
    known_until_ms: int | None = None,
    days: tuple[int, ...] = (),
    look: Callable[[EventBatch], None] = lambda _: None,
    count: Callable[[Columns], None] = lambda _: None,
) -> Snapshots:
    """Read the history twice: for outcomes, then for rows.

    Parameters
    ----------
    known_until_ms
        Everything known before is in the history; None takes the last known time in it.
    days
        Cut-offs of the user's own, days since the epoch; empty chooses them.
    look, count
        See every batch of the first reading, and all columns of the second.

    Raises
    ------
    OfflineError
        When there are no events, no matured cut-off, or no labelled row.
    """
    near = Outcomes(sooner(workload))

    def both(batch: EventBatch) -> None:
        look(batch)
        near.update(batch)

    first = read_first(workload, history, known_until_ms, both)
    chosen = own_days(days, workload, first.span) if days else chosen_days(workload, first, MAX_ROWS)
    share = min(1.0, MAX_ROWS / max(1, first.n_customers * len(chosen)))
    plan = Plan.from_workload(with_features(workload, [TENURE]))
    ticks = sorted({day - shift for day in chosen for shift in (0, *earlier_days(workload))})
    rows = tick_rows(plan, columns_of_some(plan, history, share, count), ticks)
    at = np.flatnonzero(np.isin(rows.as_of_ms, np.array(chosen, np.int64) * DAY_MS))
    y = first.outcomes.labels(rows.customer_id[at], rows.as_of_ms[at], first.span.last_known_ms)
    labelled = np.isfinite(y)
    if not labelled.any():
        raise LabelError(f"no labelled row at {len(chosen)} cut-offs: no eligible customer has a matured label")
    taken = _Taken(workload, plan, rows, at[labelled])
    return Snapshots(
        workload=workload,
        columns=plan.columns[:-1],
        X=taken.X[:, :-1],
        earlier={days: taken.earlier(days)[0] for days in earlier_days(workload)},
        was_there={days: taken.earlier(days)[1] for days in earlier_days(workload)},
        y=y[labelled],
        near=taken.near(near, first.span),
        day=taken.as_of_ms // DAY_MS,
        customer=np.unique(taken.code[taken.at], return_inverse=True)[1].astype(np.int64),
        tenure_days=taken.X[:, -1].astype(np.float64),
        n_unlabelled=int((~labelled).sum()),
        span=first.span,
        share=share,
    )


class _Taken:
    """Labelled rows (at positions `at`) among all that were taken, those of earlier days included."""

    def __init__(self, workload: Workload, plan: Plan, rows: Rows, at: Int64s) -> None:
        self._workload, self._plan, self._rows = workload, plan, rows
        self.at, self.X, self.as_of_ms = at, rows.X[at], rows.as_of_ms[at]
        self.code = np.asarray(Customers(rows.customer_id).codes, dtype=np.int64)
        self._first = int(rows.as_of_ms.min()) // DAY_MS
        self._n_days = int(np.ptp(rows.as_of_ms)) // DAY_MS + 1
        self._order = np.argsort(self._key(rows.as_of_ms, self.code), kind="stable")
        self._sorted = self._key(rows.as_of_ms, self.code)[self._order]

    def earlier(self, days: int) -> tuple[Matrix, NDArray[np.bool_]]:
        """Rows of the same customers so many days before, and whether there was one."""
        day = self.as_of_ms - days * DAY_MS
        sought = np.where(day >= self._first * DAY_MS, self._key(day, self.code[self.at]), -1)
        place = np.minimum(np.searchsorted(self._sorted, sought), len(self._sorted) - 1)
        there = self._sorted[place] == sought
        X = self._rows.X[self._order[place], :-1]
        return np.asarray(np.where(there[:, None], X, np.nan), dtype=np.float32), np.asarray(there)

    def near(self, near: Outcomes, span: Span) -> NDArray[np.bool_] | None:
        """Whether the end comes soon; None when the label has no moment."""
        if self._workload.label.type == "inactivity":
            return None
        customer_id = self._rows.customer_id[self.at]
        return np.asarray(near.labels(customer_id, self.as_of_ms, span.last_known_ms) == 1.0)

    def _key(self, as_of_ms: Int64s, code: Int64s) -> Int64s:
        return code * self._n_days + as_of_ms // DAY_MS - self._first
