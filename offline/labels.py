"""Did the customer churn in the horizon after a cut-off? Three kinds of answer, and "not known yet".

A label looks at event times in ``(T, T + horizon]``. It is NaN ("unlabelled", never negative) until the horizon lies
within the known data, and also when a cancellation happened at or before T but became known only afterwards: that
customer had already left, so the row can teach nothing. Checked against a slow oracle in the tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.metrics import Floats
from offline.moments import Customers, Int64s, Moments
from schemas.events import EventBatch
from schemas.workload import Workload
from stream_app import opcodes as op
from stream_app.columns import Columns
from stream_app.recording import Stretch


class Outcomes:
    """What the label needs of a history: feed every batch to `update`, then ask for `labels`.

    Parameters
    ----------
    workload
        Its label says which kinds count, over which horizon.
    """

    def __init__(self, workload: Workload) -> None:
        self._label = workload.label
        self._topics = workload.topics
        self._kinds = {
            topic.name: [i for i, kind in enumerate(topic.kinds) if kind.name in workload.label.of]
            for topic in workload.topics
        }
        self._parts: list[tuple[NDArray[Any], Int64s, Int64s, Floats]] = []

    def update(self, batch: EventBatch | Stretch) -> None:
        """Take the outcome events of a batch; batches may come in any order."""
        if isinstance(batch, Stretch):
            self._update_by_columns(batch.columns, batch.order)
            return
        rows = np.flatnonzero(np.isin(batch.kind, self._kinds[batch.topic]))
        if not len(rows):
            return
        field = self._label.field
        value = batch.values[field][rows] if field and field in batch.values else np.full(len(rows), np.nan)
        self._parts.append(
            (
                batch.customer_id[rows].astype(object),
                batch.event_time_ms[rows],
                batch.known_time_ms[rows],
                value.astype(np.float64),
            )
        )

    def _update_by_columns(self, columns: Columns, order: Int64s) -> None:
        n_kinds = np.cumsum([0, *(len(topic.kinds) for topic in self._topics)])
        of = [n_kinds[t] + kind for t, topic in enumerate(self._topics) for kind in self._kinds[topic.name]]
        is_of = np.zeros(n_kinds[-1], np.bool_)
        is_of[of] = True
        rows = order[is_of[columns.kind[order]]]
        value = np.full(len(rows), np.nan)
        for t, topic in enumerate(self._topics):
            names, mine = [field.name for field in topic.fields], columns.source[rows] == t
            if self._label.field in names:
                found = columns.values[rows[mine], names.index(self._label.field)]
                value[mine] = np.where(found == op.NONE, np.nan, found)
        if len(rows):
            text = columns.take(rows).customers().to_objects()
            self._parts.append((text, columns.event_time[rows], columns.known_time[rows], value))

    def labels(self, customer_id: NDArray[Any], as_of_ms: Int64s, known_until_ms: int) -> Floats:
        """1 churned, 0 stayed, NaN not known; (n,).

        Parameters
        ----------
        customer_id, as_of_ms
            Rows to label, (n,).
        known_until_ms
            End of the known data; a row is labelled when its horizon ends at or before it.
        """
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)] if self._parts else []
        if not columns:
            columns = [np.zeros(0, object), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)]
        customers = Customers(columns[0])
        code = customers.codes_of(np.asarray(customer_id))
        label = self._answer(customers.codes, columns, code, np.asarray(as_of_ms, dtype=np.int64))
        label[as_of_ms + self._label.horizon_ms > known_until_ms] = np.nan
        return label

    def _answer(self, event_code: Int64s, columns: list[NDArray[Any]], code: Int64s, as_of_ms: Int64s) -> Floats:
        _, event_ms, known_ms, value = columns
        until_ms = as_of_ms + self._label.horizon_ms
        if self._label.type == "lapse":
            moments = lapse_moments(event_code, event_ms, value, self._label.grace_ms or 0)
            return (Moments(*moments).n_within(code, as_of_ms, until_ms) > 0).astype(np.float64)
        events = Moments(event_code, event_ms)
        inside = events.n_within(code, as_of_ms, until_ms) > 0
        if self._label.type == "inactivity":
            return (~inside).astype(np.float64)
        n_known = Moments(event_code, np.maximum(known_ms, event_ms)).n_up_to(code, as_of_ms - 1)
        label = inside.astype(np.float64)
        label[events.n_up_to(code, as_of_ms) > n_known] = np.nan
        return label


def lapse_moments(code: Int64s, event_ms: Int64s, paid_until_ms: Floats, grace_ms: int) -> tuple[Int64s, Int64s]:
    """Every (customer code, moment) at which the highest ``paid_until`` seen so far ran out, grace included.

    A payment that comes at the very moment still renews. A payment for a time already over lapses nothing new.
    """
    known = np.isfinite(paid_until_ms)
    order = np.lexsort((event_ms[known], code[known]))
    code, event_ms, paid = code[known][order], event_ms[known][order], paid_until_ms[known][order].astype(np.int64)
    if not len(code):
        return code, event_ms
    paid = _running_max(code, paid)
    ends = np.r_[
        (code[1:] != code[:-1]) | (event_ms[1:] != event_ms[:-1]), True
    ]  # state after the last event of a moment
    code, event_ms, paid = code[ends], event_ms[ends], paid[ends]
    lapse_ms = paid + grace_ms
    same_next = np.r_[code[1:] == code[:-1], False]
    next_ms = np.r_[event_ms[1:], 0]
    lapsed = (lapse_ms >= event_ms) & (~same_next | (next_ms > lapse_ms))
    return code[lapsed], lapse_ms[lapsed]


def _running_max(code: Int64s, value: Int64s) -> Int64s:
    """Maximum so far within runs of equal, ascending codes."""
    low, span = int(value.min()), int(value.max()) - int(value.min()) + 1
    keyed = np.maximum.accumulate(code * span + (value - low))
    return keyed - code * span + low
