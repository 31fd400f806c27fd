"""Point-in-time rows with labels, split by time: what a model is trained, calibrated and judged on.

Tick rows come from the same heart as the stream, at the chosen cut-offs and, for the reference profile, on every day of
the last weeks. Event rows are a seeded sample; they train and calibrate, they are never the reference.

Soon after a drift the fit block, two embargoes before the test block, ends before the onset: nothing in it tells how to
learn what is new. Then *fit* and *later* are told apart by customer instead: a third of the customers are kept back,
and their rows since the onset are the later block. No label is on both sides; the test block stays later in time than
both. A history too short for two embargoes is told apart in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from offline.cutoffs import Block, Cutoffs, date_text
from offline.errors import FeatureError, LabelError
from offline.labels import Outcomes
from offline.metrics import Floats
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.packed import codes_of_texts
from schemas.workload import Workload
from stream_app.plan import Plan
from stream_app.recording import Rows, Stretch, tick_rows

Bools = NDArray[np.bool_]
Fold = Literal["fit", "between", "later", "test"]

PURPOSES: Mapping[Fold, str] = {"fit": "to fit on", "later": "to calibrate on", "test": "to test on"}
ROW_KINDS = ("tick", "event", "urgent")
N_EVENT_ROWS = 30_000
REFERENCE_DAYS = 28
KEPT_BACK = 3  # after a drift: one customer in so many
MIN_KEPT_BACK_POSITIVES = 20


@dataclass(frozen=True)
class Span:
    """What a first look at the history says.

    Parameters
    ----------
    first_known_ms, last_known_ms
        When the first and the last event became known.
    n_events
        Events that the stream would accept.
    """

    first_known_ms: int
    last_known_ms: int
    n_events: int

    @property
    def first_day(self) -> int:
        """Day of the first event."""
        return self.first_known_ms // DAY_MS

    @property
    def known_until_day(self) -> int:
        """The first day that is not known to be complete."""
        return self.last_known_ms // DAY_MS


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Rows, their labels and the split.

    Parameters
    ----------
    rows
        Tick rows of cut-offs and reference days, and sampled event rows.
    y
        1 churned, 0 stayed, NaN not known; (n,).
    onset_day
        First day of the drift that the training answers; None without one.
    """

    plan: Plan
    rows: Rows
    y: Floats
    cutoffs: Cutoffs
    span: Span
    onset_day: int | None = None

    def fold(self, *names: Fold, row_kind: int | None = None) -> Bools:
        """Labelled rows of these blocks: ticks at the cut-offs, event rows anywhere inside; (n,).

        Parameters
        ----------
        row_kind
            0 tick, 1 event, 2 urgent; None takes all.
        """
        inside = np.zeros(len(self.rows), dtype=bool)
        for name in names:
            inside |= (
                self._by_customer[name] if name in self._by_customer else self._inside(getattr(self.cutoffs, name))
            )
        if row_kind is not None:
            inside &= self.rows.kind == row_kind
        return inside & np.isfinite(self.y)

    @property
    def reference_rows(self) -> Bools:
        """Daily tick rows of the last weeks of the training window and of the test block; (n,)."""
        last = self.cutoffs.later.last_day
        day = self.rows.as_of_ms // DAY_MS
        trained = (day > last - REFERENCE_DAYS) & (day <= last)
        return np.asarray((self.rows.kind == 0) & (trained | self.held_out))

    @property
    def held_out(self) -> Bools:
        """Tick rows of the test block and, if that is shorter than a week, of the days just before; (n,)."""
        days = _held_out_days(self.cutoffs.test)
        day = self.rows.as_of_ms // DAY_MS
        return np.asarray((self.rows.kind == 0) & (day >= days.start) & (day < days.stop))

    @cached_property
    def customer(self) -> NDArray[np.int64]:
        """Dense customer code per row, for resampling; (n,)."""
        return codes_of_texts(self.rows.customer_id)

    @cached_property
    def _by_customer(self) -> Mapping[str, Bools]:
        """The blocks before the test when they are told apart by customer; empty when by time."""
        cutoffs, onset_day = self.cutoffs, self.onset_day
        if cutoffs.by_customer:
            onset_day = cutoffs.fit.first_day
        elif onset_day is None or onset_day <= cutoffs.fit.last_day:
            return {}
        trained = self._inside(cutoffs.fit) | self._inside(cutoffs.between) | self._inside(cutoffs.later)
        order = np.random.default_rng(0).permutation(int(self.customer.max(initial=-1)) + 1)
        kept_back = trained & (order[self.customer] % KEPT_BACK == 0)
        later = kept_back & (self.rows.as_of_ms >= onset_day * DAY_MS)
        if not cutoffs.by_customer and np.nansum(self.y[later & (self.rows.kind == 0)]) < MIN_KEPT_BACK_POSITIVES:
            return {}
        return {"fit": trained & ~kept_back, "between": kept_back & ~later, "later": later}

    def _inside(self, block: Block) -> Bools:
        at_cutoff = np.isin(self.rows.as_of_ms, np.array(block.days, dtype=np.int64) * DAY_MS)
        within = (self.rows.as_of_ms >= block.first_day * DAY_MS) & (self.rows.as_of_ms <= block.last_day * DAY_MS)
        return np.where(self.rows.kind == 0, at_cutoff, within)


def build_training_set(
    workload: Workload,
    history: Callable[[], Iterable[EventBatch | Stretch]],
    cutoffs: Callable[[Span], Cutoffs],
    *,
    known_until_ms: int | None = None,
    known_at_least_ms: int = 0,
    n_event_rows: int = N_EVENT_ROWS,
    seed: int = 0,
    purposes: Mapping[Fold, str] = PURPOSES,
    onset_day: int | None = None,
) -> TrainingSet:
    """Read the history twice: for labels and its span, then for features.

    Parameters
    ----------
    history
        Starts a reading of all events, ascending by day of known time; an `offline.history.History` is read once.
    cutoffs
        Splits what the first reading found.
    known_until_ms
        Everything known before is in the history; None takes the last known time in it.
    known_at_least_ms
        With None: everything known before this is in it in any case, however early its last event.
    n_event_rows
        About how many event rows to sample.
    purposes
        Blocks that must hold both classes, and what for.
    onset_day
        First day of the drift that the training answers.

    Raises
    ------
    LabelError
        When there are no rows, no matured labels, or one class only.
    FeatureError
        When no feature has a value in any row.
    """
    reading = LocalReading(workload, history)
    return assemble(
        workload,
        reading,
        cutoffs,
        known_until_ms=known_until_ms,
        known_at_least_ms=known_at_least_ms,
        n_event_rows=n_event_rows,
        seed=seed,
        purposes=purposes,
        onset_day=onset_day,
    )


class Reading(Protocol):
    """A history that is gone through twice: for its span and labels, then for rows. Here, or on a cluster."""

    def span(self) -> Span:
        """What the first going through says."""
        ...

    def rows(self, days: Sequence[int], event_share: float, seed: int, known_until_ms: int) -> tuple[Rows, Floats]:
        """Tick rows of these days, sampled event rows, and the labels of both; in any order of customers."""
        ...


class LocalReading:
    """The history read in this process."""

    def __init__(self, workload: Workload, history: Callable[[], Iterable[EventBatch | Stretch]]) -> None:
        self._workload, self._history = workload, history
        self._outcomes: Outcomes | None = None

    def span(self) -> Span:
        """What the first going through says."""
        self._outcomes, span = read_outcomes(self._workload, self._history())
        return span

    def rows(self, days: Sequence[int], event_share: float, seed: int, known_until_ms: int) -> tuple[Rows, Floats]:
        """Tick rows of these days, sampled event rows, and the labels of both."""
        assert self._outcomes is not None, "the span is asked for first"
        again = getattr(self._history, "again", self._history)
        rows = tick_rows(Plan.from_workload(self._workload), again(), days, event_sample=event_share, seed=seed)
        return rows, self._outcomes.labels(rows.customer_id, rows.as_of_ms, known_until_ms)


def assemble(
    workload: Workload,
    reading: Reading,
    cutoffs: Callable[[Span], Cutoffs],
    *,
    known_until_ms: int | None = None,
    known_at_least_ms: int = 0,
    n_event_rows: int = N_EVENT_ROWS,
    seed: int = 0,
    purposes: Mapping[Fold, str] = PURPOSES,
    onset_day: int | None = None,
) -> TrainingSet:
    """A training set of a reading, its rows by moment and customer; parameters as of `build_training_set`."""
    span = reading.span()
    until_ms = max(span.last_known_ms, known_at_least_ms) if known_until_ms is None else known_until_ms
    span = Span(span.first_known_ms, until_ms, span.n_events)
    split = cutoffs(span)
    share = min(1.0, n_event_rows / max(1, span.n_events))
    rows, y = reading.rows(days_needed(split), share, seed, until_ms)
    order = rows.order()
    made = TrainingSet(Plan.from_workload(workload), rows.take(order), y[order], split, span, onset_day)
    _check_labels(made, purposes)
    _check_features(made, purposes)
    return made


def read_outcomes(workload: Workload, history: Iterable[EventBatch | Stretch]) -> tuple[Outcomes, Span]:
    """One reading of the history: its outcome events and its span.

    Raises
    ------
    LabelError
        When there is no event.
    """
    outcomes = Outcomes(workload)
    n_events, first, last = 0, 1 << 62, -(1 << 62)
    for batch in history:
        if len(batch):
            outcomes.update(batch)
            n_events += len(batch)
            known = batch.known_time_ms
            first, last = min(first, int(known.min())), max(last, int(known.max()))
    if not n_events:
        raise LabelError("the history holds no event that the stream would accept")
    return outcomes, Span(first, last, n_events)


def days_needed(cutoffs: Cutoffs) -> list[int]:
    """Cut-offs and the daily ticks of the reference."""
    last = cutoffs.later.last_day
    reference = range(last - REFERENCE_DAYS + 1, last + 1) if cutoffs.later.days else range(0)
    return sorted({*cutoffs.days, *reference, *_held_out_days(cutoffs.test)})


def _held_out_days(test: Block) -> range:
    return range(min(test.first_day, test.last_day - 6), test.last_day + 1)


def _check_labels(made: TrainingSet, purposes: Mapping[Fold, str]) -> None:
    for name, purpose in purposes.items():
        mask = made.fold(name, row_kind=0)
        n, n_positive = int(mask.sum()), int(made.y[mask].sum())
        if n == 0:
            raise LabelError(f"no matured labels {purpose}: {_why_none(made, name)}")
        if n_positive in (0, n):
            raise LabelError(f"one class only {purpose}: {n_positive} of {n} rows churned; more history is needed")


def _why_none(made: TrainingSet, name: Fold) -> str:
    block: Block = getattr(made.cutoffs, name)
    matures = block.first_day + made.cutoffs.horizon_days
    if block.days and matures * DAY_MS > made.span.last_known_ms:
        return (
            f"those of {date_text(block.first_day)} mature when everything before {date_text(matures)} is known; "
            f"the lake knows everything before {date_text(made.span.known_until_day)}"
        )
    return "no eligible customer at those cut-offs"


def _check_features(made: TrainingSet, purposes: Mapping[Fold, str]) -> None:
    rows = made.fold(*purposes)
    if purposes and not np.isfinite(made.rows.X[rows]).any():
        raise FeatureError(
            f"all {made.rows.X.shape[1]} features are missing in all {int(rows.sum())} rows; "
            "look at kinds and fields of the [[feature]] entries, and at the values that the [[source]] entries map"
        )
