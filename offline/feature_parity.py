"""Are the features that a model was judged on those that other code computes from the same events?

The other code is `offline.verifier`, which shares no kernel with the heart: Avro read by hand, one customer at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from offline.verifier.customer import Customer, Definitions
from offline.verifier.decisions import Decisions, Episodes
from offline.verifier.events import Event, EventReader, Record, Refused
from offline.verifier.features import feature_row
from offline.verifier.liveness import is_forgotten
from schemas.batch_codec import BatchEncoder, keys_of
from schemas.codec import Codec
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.registry import FileRegistry
from schemas.workload import Workload
from stream_app.recording import Rows

N_CUSTOMERS = 60


@dataclass(frozen=True)
class FeatureParity:
    """What came out of computing some rows a second time.

    Parameters
    ----------
    first
        The first value that differs, in words; None when all are equal bit by bit.
    """

    n_customers: int
    n_rows: int
    n_different: int
    first: str | None

    def line(self) -> str:
        """The finding in words."""
        what = f"{self.n_rows} rows of {self.n_customers} customers computed again by other code"
        return f"{what}: equal bit by bit" if self.first is None else f"{what}: {self.n_different} differ, {self.first}"


def compare_features(
    workload: Workload, history: Iterable[EventBatch], rows: Rows, n_customers: int = N_CUSTOMERS, seed: int = 0
) -> FeatureParity:
    """Compute the tick rows of some customers a second time.

    Parameters
    ----------
    history
        The events that the rows were made of, and no later ones.
    rows
        Tick rows as the heart took them.
    """
    customers = sorted(set(rows.customer_id.tolist()))
    chosen = np.random.default_rng(seed).permutation(len(customers))[:n_customers]
    names = {customers[i] for i in chosen.tolist()}
    events = _events(workload, history, names)
    mine = np.flatnonzero([name in names for name in rows.customer_id.tolist()])
    n_different, first = 0, None
    for name in sorted(names):
        own = rows.take(mine[rows.customer_id[mine] == name])
        order = np.argsort(own.as_of_ms, kind="stable")
        again = _rows_of(workload, events[name], own.as_of_ms[order].tolist())
        for i, row in zip(order.tolist(), again, strict=True):
            if (found := _difference(workload, name, own, i, row)) is not None:
                n_different, first = n_different + 1, first or found
    return FeatureParity(len(names), len(mine), n_different, first)


def _events(workload: Workload, history: Iterable[EventBatch], names: set[str]) -> dict[str, list[Event]]:
    """Events of some customers in the order in which they became known, through their bytes."""
    encoder, codec = BatchEncoder(workload), Codec(FileRegistry.for_workload(workload))
    readers = {topic.name: EventReader(workload, i, codec) for i, topic in enumerate(workload.topics)}
    found: dict[str, list[Event]] = defaultdict(list)
    for batch in history:
        own = batch.take(np.flatnonzero([name in names for name in batch.customer_id.tolist()]))
        for key, value in zip(keys_of(own), encoder.encode(own), strict=True):
            try:
                event = readers[batch.topic].read(Record(0, 0, key, value))
            except Refused:
                continue  # the heart took it, so a row will differ and tell
            found[key.decode()].append(event)
    return {name: sorted(found[name], key=lambda event: event.known_time_ms) for name in names}


def _rows_of(workload: Workload, events: list[Event], moments: list[int]) -> list[list[float] | None]:
    """Feature rows at some ascending moments; None where nothing of the customer is known."""
    definitions, customer, at = Definitions(workload), None, 0
    found: list[list[float] | None] = []
    for moment in moments:
        while at < len(events) and events[at].known_time_ms < moment:
            if customer is None or is_forgotten(definitions, customer, events[at].known_time_ms // DAY_MS):
                customer = _new(workload, events[at])
            customer.apply(definitions, events[at])
            at += 1
        found.append(None if customer is None else feature_row(workload, customer, moment))
    return found


def _new(workload: Workload, event: Event) -> Customer:
    decisions = Decisions([Episodes() for _ in workload.alerts])
    return Customer(event.customer, 0, [-1] * len(workload.topics), decisions)


def _difference(workload: Workload, name: str, rows: Rows, i: int, again: list[float] | None) -> str | None:
    """The first value of a row that other code computes otherwise."""
    if again is None:
        return f"{name} is not known to it"
    expected = np.array(again, np.float64).astype(np.float32)
    same = (rows.X[i].view(np.uint32) == expected.view(np.uint32)) | (np.isnan(rows.X[i]) & np.isnan(expected))
    if same.all():
        return None
    j = int(np.argmin(same))
    return f"{workload.columns()[j]} of {name} is {rows.X[i, j]}, and {expected[j]} there"
