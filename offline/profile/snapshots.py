"""Feature rows at cut-offs spread over the history, and what the same customers looked like some days earlier.

Rows come from the same heart as training rows and know what was known at their moment. A long history is thinned to a
number of cut-offs, and a large one to a share of its customers; both are said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from offline.cutoffs import WARM_UP_DAYS, date_text
from offline.entries import with_features
from offline.errors import HistoryTooShortError, LabelError, OfflineError
from offline.labels import Outcomes
from offline.metrics import Floats
from offline.moments import Customers
from offline.retraining import horizon_days
from offline.some_customers import columns_of_some
from offline.training_set import Span, read_outcomes
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.workload import Feature, Workload
from stream_app.columns import Columns
from stream_app.plan import FeatureColumn, Plan
from stream_app.recording import Rows, tick_rows

Int64s = NDArray[np.int64]
Matrix = NDArray[np.float32]

MAX_ROWS = 400_000
MAX_CUTOFFS, FEWEST_CUTOFFS = 26, 6
WEEK = 7
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
    history: Callable[[], Iterable[EventBatch]],
    *,
    known_until_ms: int | None = None,
    days: tuple[int, ...] = (),
    look: Callable[[EventBatch], None] = lambda _: None,
    count: Callable[[Columns], None] = lambda _: None,
) -> Snapshots:
    """Read the history twice: for outcomes, then for rows.

    Parameters
    ----------
    history
        Starts a reading of all events, as `offline.training_set.build_training_set` takes it.
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
    outcomes, near, customers = Outcomes(workload), Outcomes(_sooner(workload)), set[str]()

    def first_reading() -> Iterator[EventBatch]:
        for batch in history():
            look(batch)
            near.update(batch)
            customers.update(batch.customer_id.tolist())
            yield batch

    outcomes, span = read_outcomes(workload, first_reading())
    until_ms = span.last_known_ms if known_until_ms is None else known_until_ms
    span = Span(span.first_known_ms, until_ms, span.n_events)
    chosen = _own(days, workload, span) if days else _chosen(workload, span, len(customers))
    share = min(1.0, MAX_ROWS / max(1, len(customers) * len(chosen)))
    shifts = earlier_days(workload)
    ticks = sorted({day - shift for day in chosen for shift in (0, *shifts)})
    watched = with_features(workload, [TENURE])
    plan = Plan.from_workload(watched)
    rows = tick_rows(plan, columns_of_some(plan, history, share, count), ticks)
    code = np.asarray(Customers(rows.customer_id).codes, dtype=np.int64)
    at = np.flatnonzero(np.isin(rows.as_of_ms, np.array(chosen, np.int64) * DAY_MS))
    y = outcomes.labels(rows.customer_id[at], rows.as_of_ms[at], until_ms)
    labelled = np.isfinite(y)
    if not labelled.any():
        raise LabelError(f"no labelled row at {len(chosen)} cut-offs: no eligible customer has a matured label")
    at, y = at[labelled], y[labelled]
    return _made(workload, plan, rows, code, at, y, near, shifts, int((~labelled).sum()), span, share)


def _made(
    workload: Workload,
    plan: Plan,
    rows: Rows,
    code: Int64s,
    at: Int64s,
    y: Floats,
    near: Outcomes,
    shifts: tuple[int, ...],
    n_unlabelled: int,
    span: Span,
    share: float,
) -> Snapshots:
    n_features = plan.n_features - 1
    as_of = rows.as_of_ms[at]
    earlier, was_there = {}, {}
    for shift in shifts:
        found = _rows_at(rows, code, code[at], as_of - shift * DAY_MS)
        there = found >= 0
        earlier[shift] = np.where(there[:, None], rows.X[np.maximum(found, 0), :n_features], np.float32(np.nan))
        was_there[shift] = there
    is_near = None
    if workload.label.type != "inactivity":
        is_near = near.labels(rows.customer_id[at], as_of, span.last_known_ms) == 1.0
    return Snapshots(
        workload=workload,
        columns=plan.columns[:n_features],
        X=rows.X[at, :n_features],
        earlier=earlier,
        was_there=was_there,
        y=y,
        near=is_near,
        day=as_of // DAY_MS,
        customer=np.unique(code[at], return_inverse=True)[1].astype(np.int64),
        tenure_days=rows.X[at, n_features].astype(np.float64),
        n_unlabelled=n_unlabelled,
        span=span,
        share=share,
    )


def earlier_days(workload: Workload) -> tuple[int, ...]:
    """How long before the cut-off features are looked at again: a day, and a week or a quarter of a short horizon."""
    return tuple(sorted({1, min(WEEK, max(1, horizon_days(workload) // 4))}))


def near_days(workload: Workload) -> int:
    """The first tenth of the horizon, in days, at least one."""
    return max(1, horizon_days(workload) // 10)


def _sooner(workload: Workload) -> Workload:
    return replace(workload, label=replace(workload.label, horizon_ms=near_days(workload) * DAY_MS))


def _own(days: tuple[int, ...], workload: Workload, span: Span) -> list[int]:
    last = span.known_until_day - horizon_days(workload)
    if max(days) > last:
        raise OfflineError(
            f"cut-off {date_text(max(days))} is not matured: the last day with a label is {date_text(last)}"
        )
    return sorted(set(days))


def _chosen(workload: Workload, span: Span, n_customers: int) -> list[int]:
    """Weekly cut-offs with a rotating weekday, counted back from the last matured day, thinned evenly."""
    horizon = horizon_days(workload)
    first, last = span.first_day + WARM_UP_DAYS, span.known_until_day - horizon
    if last < first:
        needed, detail = WARM_UP_DAYS + horizon, f"{WARM_UP_DAYS} to warm up, a label horizon of {horizon}"
        raise HistoryTooShortError(needed, span.known_until_day - span.first_day, detail)
    weeks = range((last - first) // WEEK + 1)
    days = sorted(day for day in (last - WEEK * week - 3 * week % WEEK for week in weeks) if day >= first)
    n = min(len(days), max(FEWEST_CUTOFFS, min(MAX_CUTOFFS, MAX_ROWS // max(1, n_customers))))
    return [days[i] for i in np.linspace(0, len(days) - 1, n).round().astype(int).tolist()]


def _rows_at(rows: Rows, code: Int64s, wanted: Int64s, as_of_ms: Int64s) -> Int64s:
    """Position of each customer's row at a moment, -1 where there is none."""
    first, n_days = int(rows.as_of_ms.min()) // DAY_MS, int(np.ptp(rows.as_of_ms)) // DAY_MS + 1
    key = code * n_days + rows.as_of_ms // DAY_MS - first
    order = np.argsort(key, kind="stable")
    day = as_of_ms // DAY_MS - first
    sought = np.where((day >= 0) & (day < n_days), wanted * n_days + day, -1)
    place = np.minimum(np.searchsorted(key[order], sought), len(key) - 1)
    return np.where(key[order][place] == sought, order[place], -1)
