"""The feature row of one customer at one moment, feature by feature as the workload declares them.

A window of W days ends with the day that holds the last millisecond before the moment, and begins with the tile that
holds its first day: windows up to 7 days are counted in whole days, up to 30 in threes, longer ones in sixes.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from offline.verifier.customer import Customer, DayTally
from schemas.durations import DAY_MS
from schemas.workload import Feature, Workload

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def feature_row(workload: Workload, customer: Customer, as_of_ms: int) -> list[float]:
    """All columns in order; NaN is missing. What happened at ``as_of_ms`` or later must not be known yet."""
    row: list[float] = []
    for feature in workload.features:
        if feature.type in ("ratio", "trend"):
            row.append(_paired(workload, feature, customer, as_of_ms))
        elif feature.windows:
            row += [_windowed(workload, feature, customer, as_of_ms, days) for days in feature.windows]
        elif feature.type == "calendar":
            row.append(_calendar(workload, feature, as_of_ms))
        else:
            row.append(_moment(workload, feature, customer, as_of_ms))
    return row


def scale_of(workload: Workload, feature: Feature) -> float:
    """By what the values of a feature are divided."""
    field = workload.topic_of_kind[feature.of[0]].field(feature.field) if feature.field else None
    return 1.0 if field is None else float(field.scale)


def _in_window(feature: Feature, customer: Customer, as_of_ms: int, days: int, tile: int) -> list[DayTally]:
    last_day = (as_of_ms - 1) // DAY_MS
    first = (last_day - days + 1) // tile * tile
    last = last_day // tile * tile + tile - 1
    tallies = customer.days.get((feature.of, feature.field), {})
    return [tally for day, tally in tallies.items() if first <= day <= last]


def tile_days(window_days: int) -> int:
    """Days that are counted together for a window of so many days."""
    return 1 if window_days <= 7 else 3 if window_days <= 30 else 6


def _windowed(workload: Workload, feature: Feature, customer: Customer, as_of_ms: int, days: int) -> float:
    if feature.type == "distinct_days":
        return float(len(_in_window(feature, customer, as_of_ms, days, 1)))
    tallies = _in_window(feature, customer, as_of_ms, days, tile_days(days))
    if feature.type == "count":
        return float(sum([tally.n_events for tally in tallies]))
    scale, n = scale_of(workload, feature), sum([tally.n_values for tally in tallies])
    if feature.type == "max":
        return max(tally.largest for tally in tallies if tally.n_values) / scale if n else math.nan
    total = float(sum([tally.total for tally in tallies])) / scale
    return total if feature.type == "sum" else total / n if n else math.nan


def _paired(workload: Workload, feature: Feature, customer: Customer, as_of_ms: int) -> float:
    """Ratio or trend of what happens per day in a short and a long window."""
    days, long_days = feature.windows
    tallies = [_in_window(feature, customer, as_of_ms, d, tile_days(d)) for d in feature.windows]
    short, long = (sum([t.total if feature.field else t.n_events for t in window]) for window in tallies)
    if feature.type == "trend":
        scale = scale_of(workload, feature)
        return (short / scale) / days - (long / scale) / long_days
    return math.nan if long == 0 else (short * long_days) / (long * float(days))


def _days(ms: int) -> float:
    return max(ms, 0) / DAY_MS


def _moment(workload: Workload, feature: Feature, customer: Customer, as_of_ms: int) -> float:
    """Features of times, last values and open items."""
    if feature.type == "tenure":
        return math.nan if customer.first_start is None else _days(as_of_ms - customer.first_start)
    if feature.type == "open":
        return float(customer.n_open.get(feature.name, 0))
    if feature.type == "recency":
        newest = customer.newest_of(feature.of)
        return math.nan if newest is None else _days(as_of_ms - newest)
    if feature.type == "delay":
        begin, end = customer.newest_of(feature.from_), customer.newest_of(feature.to)
        if begin is None:
            return math.nan
        return _days((end if end is not None and end >= begin else as_of_ms) - begin)
    said = customer.last.get((feature.of, feature.field))
    if said is None:
        return math.nan
    if feature.type == "until":
        return (said.value - as_of_ms) / DAY_MS
    return said.value / scale_of(workload, feature)


def _calendar(workload: Workload, feature: Feature, as_of_ms: int) -> float:
    local = (EPOCH + timedelta(milliseconds=as_of_ms)).astimezone(ZoneInfo(workload.timezone))
    return float({"weekday": local.weekday(), "day_of_month": local.day, "month": local.month}[str(feature.part)])
