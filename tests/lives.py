"""Events as unruly as the contract allows: ties in time, late, early, silent for weeks, with nulls and unseen
values.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from schemas.events import EventBatch
from schemas.reasons import MAX_AHEAD_MS
from schemas.workload import Workload
from tests.streams import DAY_MS, random_events


def tangled_events(
    workload: Workload, n: int, n_customers: int, seed: int, *, days: int = 60, first_day: int = 20_160
) -> list[EventBatch]:
    """``n`` events of every topic; ``first_day`` 20,160 is 2025-03-13, before Europe's and America's clocks are
    done.
    """
    random = np.random.default_rng((seed, 1))
    return [
        _tangle(batch, workload.lateness_ms, random)
        for batch in random_events(workload, n, n_customers, seed, days=days, first_day=first_day)
    ]


def _tangle(batch: EventBatch, lateness_ms: int, random: np.random.Generator) -> EventBatch:
    n = len(batch)
    happened = batch.event_time_ms.copy()
    on_the_hour = random.random(n) < 0.3
    happened[on_the_hour] -= happened[on_the_hour] % (6 * 3_600_000)
    delay = np.zeros(n, np.int64)
    is_late, is_early = random.random(n) < 0.2, random.random(n) < 0.1
    delay[is_late] = random.integers(0, lateness_ms + 1, is_late.sum())
    delay[is_early] = -random.integers(0, MAX_AHEAD_MS + 1, is_early.sum())
    at_midnight = random.random(n) < 0.05  # known in the last moment of a day, happens in the next
    happened[at_midnight] += DAY_MS - happened[at_midnight] % DAY_MS + random.integers(0, 1000, at_midnight.sum())
    delay[at_midnight] = -random.integers(0, 60_000, at_midnight.sum())
    values = {name: _with_extremes(column, random) for name, column in batch.values.items()}
    return replace(batch, event_time_ms=happened, known_time_ms=happened + delay, values=values).sort()


def _with_extremes(column: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Some numbers as large as state keeps with every scale in use: a float32 sum would lose their cents."""
    if column.dtype == object or np.nanmax(column, initial=0.0) > 1e9:  # texts and times
        return column
    large = random.random(len(column)) < 0.2
    return np.where(large, np.round(column * 40_000.0), column)


def with_silences(batches: list[EventBatch], n_customers: int, seed: int, weeks: int = 6) -> list[EventBatch]:
    """The same events without a stretch of ``weeks`` for every third customer."""
    random = np.random.default_rng((seed, 2))
    first = min(int(b.event_time_ms.min()) for b in batches)
    last = max(int(b.event_time_ms.max()) for b in batches)
    begins = {f"C{c:05d}": int(random.integers(first, last)) for c in range(0, n_customers, 3)}
    kept = []
    for batch in batches:
        begin = np.array([begins.get(str(customer), last) for customer in batch.customer_id])
        gone = (batch.event_time_ms >= begin) & (batch.event_time_ms < begin + weeks * 7 * DAY_MS)
        kept.append(batch.take(~gone))
    return kept
