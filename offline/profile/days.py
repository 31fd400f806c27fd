"""At which days a profile looks: cut-offs spread over the history, and how long before and after each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from offline.cutoffs import WARM_UP_DAYS, date_text
from offline.errors import HistoryTooShortError, OfflineError
from offline.first_reading import FirstReading
from offline.retraining import horizon_days
from offline.training_set import Span
from schemas.durations import DAY_MS
from schemas.workload import Workload

MAX_CUTOFFS, FEWEST_CUTOFFS = 26, 6
WEEK = 7


def earlier_days(workload: Workload) -> tuple[int, ...]:
    """How long before the cut-off features are looked at again: a day, and a week or a quarter of a short horizon."""
    return tuple(sorted({1, min(WEEK, max(1, horizon_days(workload) // 4))}))


def near_days(workload: Workload) -> int:
    """The first tenth of the horizon, in days, at least one."""
    return max(1, horizon_days(workload) // 10)


def sooner(workload: Workload) -> Workload:
    """The workload with a horizon of only `near_days`."""
    return replace(workload, label=replace(workload.label, horizon_ms=near_days(workload) * DAY_MS))


def own_days(days: tuple[int, ...], workload: Workload, span: Span) -> list[int]:
    """The user's cut-offs, ascending.

    Raises
    ------
    OfflineError
        When one is not matured.
    """
    last = span.known_until_day - horizon_days(workload)
    if max(days) > last:
        raise OfflineError(
            f"cut-off {date_text(max(days))} is not matured: the last day with a label is {date_text(last)}"
        )
    return sorted(set(days))


def chosen_days(workload: Workload, first: FirstReading, max_rows: int) -> list[int]:
    """Weekly cut-offs with a rotating weekday, counted back from the last matured day, thinned evenly.

    Parameters
    ----------
    max_rows
        With many customers, fewer cut-offs, so that about so many rows come of them.

    Raises
    ------
    HistoryTooShortError
        When no day is both warm and matured.
    """
    horizon, span = horizon_days(workload), first.span
    earliest, last = span.first_day + WARM_UP_DAYS, span.known_until_day - horizon
    if last < earliest:
        needed, detail = WARM_UP_DAYS + horizon, f"{WARM_UP_DAYS} to warm up, a label horizon of {horizon}"
        raise HistoryTooShortError(needed, span.known_until_day - span.first_day, detail)
    weeks = range((last - earliest) // WEEK + 1)
    days = sorted(day for day in (last - WEEK * week - 3 * week % WEEK for week in weeks) if day >= earliest)
    n = min(len(days), max(FEWEST_CUTOFFS, min(MAX_CUTOFFS, max_rows // max(1, first.n_customers))))
    return [days[i] for i in np.linspace(0, len(days) - 1, n).round().astype(int).tolist()]
