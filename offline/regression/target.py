"""What a customer brings within the horizon after a cut-off, and brought within the one before.

A sum of one field over events of some kinds: ahead over event times in ``(T, T + horizon]``, as a label looks; behind
over ``(T - horizon, T]``, of what was known before T. Whole numbers are summed, so the order of events does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.errors import OfflineError
from offline.history import BatchHistory
from offline.metrics import Floats
from offline.moments import Customers, Int64s
from schemas.events import EventBatch
from schemas.workload import EventTopic, Field, Workload
from stream_app.columns import Columns


@dataclass(frozen=True)
class ValueTarget:
    """A sum of a field over kinds of events.

    Parameters
    ----------
    kinds
        Names, all of topics that carry the field.
    scale
        Sums are kept as whole numbers of 1 / scale.
    """

    field: str
    kinds: tuple[str, ...]
    unit: str
    scale: int
    horizon_ms: int

    def __str__(self) -> str:
        return f"sum of {self.field} over {', '.join(self.kinds)}"


def target_of(workload: Workload, kinds: Sequence[str] = (), field: str | None = None) -> ValueTarget:
    """The target a user asks for; without a wish that of the workload's first feature that is a sum.

    Raises
    ------
    OfflineError
        When kinds and field do not belong together, or there is no such feature.
    """
    if not kinds and field is None:
        declared = next((feature for feature in workload.features if feature.type == "sum"), None)
        if declared is None or declared.field is None:
            raise OfflineError("the workload has no feature of type sum to take the value from; give --of and --field")
        kinds, field = declared.of, declared.field
    if not kinds or field is None:
        raise OfflineError("give both --of and --field, or neither")
    found = [_field(_topic(workload, kind), kind, field) for kind in kinds]
    if len({(one.unit, one.scale) for one in found}) > 1:
        raise OfflineError(f"--field {field}: its unit or scale is not the same for all of {', '.join(kinds)}")
    return ValueTarget(field, tuple(kinds), found[0].unit, found[0].scale, workload.label.horizon_ms)


def _topic(workload: Workload, kind: str) -> EventTopic:
    for topic in workload.topics:
        if kind in topic.kind_index:
            return topic
    there = ", ".join(name for topic in workload.topics for name in topic.kind_index)
    raise OfflineError(f"--of: {kind!r} is no kind of this workload; there are {there}")


def _field(topic: EventTopic, kind: str, name: str) -> Field:
    found = topic.field(name)
    if found is None or found.type not in ("number", "integer"):
        there = ", ".join(field.name for field in topic.fields if field.type in ("number", "integer")) or "none"
        raise OfflineError(f"--field: {name!r} is no number that {kind} carries; there are {there}")
    return found


class Values:
    """What a target needs of a history: feed every batch to `update`, then ask."""

    def __init__(self, workload: Workload, target: ValueTarget) -> None:
        self._target = target
        self._kinds = {
            topic.name: [i for i, kind in enumerate(topic.kinds) if kind.name in target.kinds]
            for topic in workload.topics
        }
        self._parts: list[tuple[NDArray[Any], Int64s, Int64s, Floats]] = []

    def update(self, batch: EventBatch) -> None:
        """Take what counts of a batch; a missing value counts nothing."""
        column = batch.values.get(self._target.field)
        if column is None or not self._kinds[batch.topic]:
            return
        rows = np.flatnonzero(np.isin(batch.kind, self._kinds[batch.topic]) & np.isfinite(column.astype(np.float64)))
        amount = np.rint(column[rows].astype(np.float64) * self._target.scale)
        customer = batch.customer_id[rows].astype(object)
        self._parts.append((customer, batch.event_time_ms[rows], batch.known_time_ms[rows], amount))

    def ahead(self, customer_id: NDArray[Any], as_of_ms: Int64s) -> Floats:
        """The sum within the horizon after each cut-off, (n,); whether it is matured is the label's business."""
        _, event_ms, _, _ = self._columns
        horizon = self._target.horizon_ms
        return self._sums(customer_id, as_of_ms, lambda t: (event_ms > t) & (event_ms <= t + horizon))

    def behind(self, customer_id: NDArray[Any], as_of_ms: Int64s) -> Floats:
        """The sum within the horizon before each cut-off, as known then; (n,)."""
        _, event_ms, known_ms, _ = self._columns
        horizon = self._target.horizon_ms
        return self._sums(customer_id, as_of_ms, lambda t: (event_ms > t - horizon) & (event_ms <= t) & (known_ms < t))

    @property
    def _columns(self) -> list[NDArray[Any]]:
        if self._parts:
            return [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        return [np.zeros(0, object), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)]

    def _sums(self, customer_id: NDArray[Any], as_of_ms: Int64s, inside: Callable[[int], NDArray[np.bool_]]) -> Floats:
        """One pass over the events for each distinct cut-off: there are tens of them."""
        who, _, _, amount = self._columns
        customers = Customers(who)
        code = customers.codes_of(np.asarray(customer_id))
        found = np.zeros(len(code))
        for moment in np.unique(as_of_ms).tolist():
            events, rows = inside(moment), np.flatnonzero((as_of_ms == moment) & (code >= 0))
            total = np.bincount(customers.codes[events], amount[events], minlength=int(code.max(initial=0)) + 1)
            found[rows] = total[code[rows]]
        return found / self._target.scale


class ValuedHistory:
    """A history that hands its events to `Values` as they pass."""

    def __init__(self, history: BatchHistory, values: Values) -> None:
        self._history, self._values = history, values

    def __call__(self) -> Iterator[EventBatch]:
        """Read the lake."""
        for batch in self._history():
            self._values.update(batch)
            yield batch

    def again(self) -> Iterator[Columns]:
        """The events as columns, in the same order."""
        return self._history.columns()
