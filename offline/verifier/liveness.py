"""Who is live, who is scored, who is forgotten."""

from __future__ import annotations

from offline.verifier.customer import Customer, Definitions
from schemas.durations import DAY_MS


def is_live(definitions: Definitions, customer: Customer, as_of_ms: int) -> bool:
    """Begun before ``as_of_ms``, not ended at or after the newest start, neither idle nor lapsed."""
    workload = definitions.workload
    start, end = customer.newest_of(definitions.starts), customer.newest_of(workload.live.end)
    if start is None or customer.first_start is None or customer.first_start >= as_of_ms:
        return False
    if end is not None and end >= start:
        return False
    idle = workload.live.idle_after_ms
    if idle and as_of_ms - customer.newest_event() > idle:
        return False
    if workload.label.type != "lapse":
        return True
    return customer.paid_until is not None and customer.paid_until + workload.label.grace_ms > as_of_ms


def is_scored(definitions: Definitions, customer: Customer, as_of_ms: int) -> bool:
    """Live, and for long enough."""
    if customer.first_start is None or not is_live(definitions, customer, as_of_ms):
        return False
    return as_of_ms - customer.first_start >= definitions.workload.eligible.min_tenure_ms


def is_forgotten(definitions: Definitions, customer: Customer, day: int) -> bool:
    """Whether the tick of ``day`` drops the customer: silent for too long, no longer live, no alert to close."""
    as_of_ms = day * DAY_MS
    if as_of_ms - customer.newest_event() <= definitions.workload.forget_after_ms:
        return False
    return not is_live(definitions, customer, as_of_ms) and not customer.decisions.has_open_alert()
