"""What a first reading of a history finds: outcomes, its span, and how many customers it has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from offline.labels import Outcomes
from offline.training_set import Span, read_outcomes
from schemas.events import EventBatch
from schemas.workload import Workload

Reading = Callable[[], Iterable[EventBatch]]
"""Starts a reading of all events, as `offline.training_set.build_training_set` takes it."""


@dataclass(frozen=True, eq=False)
class FirstReading:
    """Outcome events, span and customers; `span.last_known_ms` is the end of what is known."""

    outcomes: Outcomes
    span: Span
    n_customers: int


def read_first(
    workload: Workload,
    history: Reading,
    known_until_ms: int | None = None,
    look: Callable[[EventBatch], None] = lambda _: None,
) -> FirstReading:
    """Read once.

    Parameters
    ----------
    known_until_ms
        Everything known before is in the history; None takes the last known time in it.
    look
        Sees every batch.

    Raises
    ------
    LabelError
        When there is no event.
    """
    customers: set[str] = set()

    def batches() -> Iterator[EventBatch]:
        for batch in history():
            look(batch)
            customers.update(batch.customer_id.tolist())
            yield batch

    outcomes, span = read_outcomes(workload, batches())
    until_ms = span.last_known_ms if known_until_ms is None else known_until_ms
    return FirstReading(outcomes, replace(span, last_known_ms=until_ms), len(customers))
