"""Slow, obvious answers to what the kernels compute: plain Python over lists of events, nothing kept, nothing shared.

An event is a dict as `schemas.codec.Codec.decode` gives it, with ``topic`` beside. Every function takes all that is
known of *one* customer; "known" is the caller's business except in `score_rows`, which replays a life.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from schemas.events import EventBatch
from schemas.workload import Feature, Field, Workload

Event = dict[str, Any]
DAY_MS = 86_400_000
NAN = math.nan
_MASK = (1 << 64) - 1
TICK, ON_EVENT, URGENT = 0, 1, 2


def events_of(workload: Workload, batches: Iterable[EventBatch]) -> list[Event]:
    """All events of ``batches``, in the order given."""
    found = []
    for batch in batches:
        for record in batch.to_records(workload.topic(batch.topic)):
            record["topic"] = batch.topic
            found.append(record)
    return found


def in_merge_order(workload: Workload, events: Sequence[Event]) -> list[Event]:
    """By known time, ties to the topic that is declared first, then as they were."""
    names = [topic.name for topic in workload.topics]
    return sorted(events, key=lambda e: (e["known_time_ms"], names.index(e["topic"])))


def by_customer(events: Iterable[Event]) -> dict[str, list[Event]]:
    lives: dict[str, list[Event]] = {}
    for event in events:
        lives.setdefault(event["customer_id"], []).append(event)
    return lives


# ---- values ---------------------------------------------------------------------------------------------


def field_of(workload: Workload, feature: Feature) -> Field:
    found = workload.topic_of_kind[feature.of[0]].field(str(feature.field))
    assert found is not None
    return found


def scaled(field: Field, value: Any) -> int | None:
    """What state keeps of a value: an integer, or None."""
    if value is None:
        return None
    if field.type == "category":
        return field.categories.index(value) if value in field.categories else len(field.categories)
    return round(value * field.scale)


def hash_text(text: str) -> int:
    """The 64-bit hash that breaks ties: multiply and fold, eight bytes a step, signed."""
    data = text.encode()
    h = 0x9E3779B97F4A7C15 ^ (len(data) * 0xC2B2AE3D27D4EB4F & _MASK)
    for at in range(0, len(data), 8):
        h = (h ^ int.from_bytes(data[at : at + 8], "little")) * 0xFF51AFD7ED558CCD & _MASK
        h ^= h >> 29
    h = (h ^ (h >> 32)) * 0xC4CEB9FE1A85EC53 & _MASK
    h ^= h >> 29
    return h - (1 << 64) if h >> 63 else h


# ---- windows --------------------------------------------------------------------------------------------


def tile_days(window_days: int) -> int:
    """A window of up to 7 days is counted in whole days, up to 30 in threes, a longer one in sixes."""
    return 1 if window_days <= 7 else 3 if window_days <= 30 else 6


def end_day(as_of_ms: int) -> int:
    """The day that holds the last millisecond before ``as_of_ms``."""
    return (as_of_ms - 1) // DAY_MS


def in_window(events: Iterable[Event], kinds: Sequence[str], as_of_ms: int, days: int, tile: int) -> list[Event]:
    """Events of ``kinds`` in the tiles that hold the window's days."""
    last = end_day(as_of_ms)
    tiles = range((last - days + 1) // tile, last // tile + 1)
    return [e for e in events if e["kind"] in kinds and e["event_time_ms"] // DAY_MS // tile in tiles]


# ---- features -------------------------------------------------------------------------------------------


def features(workload: Workload, events: Sequence[Event], as_of_ms: int) -> list[float]:
    """The feature row in column order; NaN is missing."""
    row: list[float] = []
    for feature in workload.features:
        row += _WINDOWED_OR_PLAIN[feature.type](workload, feature, events, as_of_ms)
    return row


def _windowed(workload: Workload, feature: Feature, events: Sequence[Event], as_of_ms: int) -> list[float]:
    row = []
    for days in feature.windows:
        chosen = in_window(events, feature.of, as_of_ms, days, tile_days(days))
        if feature.type == "count":
            row.append(float(len(chosen)))
            continue
        field = field_of(workload, feature)
        values = [v for v in (scaled(field, e[field.name]) for e in chosen) if v is not None]
        if feature.type == "sum":
            row.append(sum(values) / field.scale)
        elif feature.type == "mean":
            row.append(sum(values) / field.scale / len(values) if values else NAN)
        else:
            row.append(max(values) / field.scale if values else NAN)
    return row


def _distinct_days(workload: Workload, feature: Feature, events: Sequence[Event], as_of_ms: int) -> list[float]:
    row = []
    for days in feature.windows:
        chosen = in_window(events, feature.of, as_of_ms, days, 1)
        row.append(float(len({e["event_time_ms"] // DAY_MS for e in chosen})))
    return row


def _paired(workload: Workload, feature: Feature, events: Sequence[Event], as_of_ms: int) -> list[float]:
    per_day = []
    for days in feature.windows:
        chosen = in_window(events, feature.of, as_of_ms, days, tile_days(days))
        total: float = len(chosen)
        if feature.field:
            field = field_of(workload, feature)
            total = sum(scaled(field, e[field.name]) or 0 for e in chosen) / field.scale
        per_day.append(total / days)
    short, long = per_day
    if feature.type == "trend":
        return [short - long]
    return [NAN if long == 0 else short / long]


def newest(events: Iterable[Event], kinds: Sequence[str]) -> int | None:
    """Time of the newest event of ``kinds``."""
    return max((e["event_time_ms"] for e in events if e["kind"] in kinds), default=None)


def last_value(workload: Workload, feature: Feature, events: Sequence[Event]) -> int | None:
    """The value of the greatest (time, hash of the id, value) among events that have one."""
    field = field_of(workload, feature)
    have = [
        (e["event_time_ms"], hash_text(e["event_id"]), value)
        for e in events
        if e["kind"] in feature.of and (value := scaled(field, e[field.name])) is not None
    ]
    return max(have)[2] if have else None


def _days(ms: int) -> float:
    return max(ms, 0) / DAY_MS


def _plain(workload: Workload, feature: Feature, events: Sequence[Event], as_of_ms: int) -> list[float]:
    if feature.type == "tenure":
        first = first_start(workload, events)
        return [NAN if first is None else _days(as_of_ms - first)]
    if feature.type == "recency":
        at = newest(events, feature.of)
        return [NAN if at is None else _days(as_of_ms - at)]
    if feature.type == "last":
        value = last_value(workload, feature, events)
        return [NAN if value is None else value / field_of(workload, feature).scale]
    if feature.type == "until":
        value = last_value(workload, feature, events)
        return [NAN if value is None else (value - as_of_ms) / DAY_MS]
    if feature.type == "open":
        opened = sum(e["kind"] in feature.of for e in events)
        return [float(opened - sum(e["kind"] in feature.closed_by for e in events))]
    begin, end = newest(events, feature.from_), newest(events, feature.to)
    if begin is None:
        return [NAN]
    return [_days((end if end is not None and end >= begin else as_of_ms) - begin)]


def _calendar(workload: Workload, feature: Feature, events: Sequence[Event], as_of_ms: int) -> list[float]:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=as_of_ms)
    local = moment.astimezone(ZoneInfo(workload.timezone))
    parts = {"weekday": local.weekday(), "day_of_month": local.day, "month": local.month}
    return [float(parts[str(feature.part)])]


_WINDOWED_OR_PLAIN = (
    dict.fromkeys(("count", "sum", "mean", "max"), _windowed)
    | dict.fromkeys(("ratio", "trend"), _paired)
    | dict.fromkeys(("tenure", "recency", "last", "until", "open", "delay"), _plain)
    | {"distinct_days": _distinct_days, "calendar": _calendar}
)


# ---- who is scored, and when ----------------------------------------------------------------------------


def start_kinds(workload: Workload) -> tuple[str, ...]:
    """The kinds with which a life begins; without any declared, all but the end kinds."""
    return workload.live.start or tuple(kind for kind in workload.kind_index if kind not in workload.live.end)


def first_start(workload: Workload, events: Sequence[Event]) -> int | None:
    return min((e["event_time_ms"] for e in events if e["kind"] in start_kinds(workload)), default=None)


def is_live(workload: Workload, events: Sequence[Event], as_of_ms: int) -> bool:
    """Begun before ``as_of_ms``, not ended at or after the newest start, neither idle nor lapsed."""
    first, start = first_start(workload, events), newest(events, start_kinds(workload))
    if first is None or start is None or first >= as_of_ms:
        return False
    end = newest(events, workload.live.end)
    if end is not None and end >= start:
        return False
    idle = workload.live.idle_after_ms
    if idle is not None and as_of_ms - max(e["event_time_ms"] for e in events) > idle:
        return False
    if workload.label.type != "lapse":
        return True
    paid = [e[workload.label.field] for e in events if e["kind"] in workload.label.of]
    paid_until = max((p for p in paid if p is not None), default=None)
    return paid_until is not None and paid_until + workload.label.grace_ms > as_of_ms


def is_scored(workload: Workload, events: Sequence[Event], as_of_ms: int) -> bool:
    """Live, and for long enough."""
    first = first_start(workload, events)
    old_enough = first is not None and as_of_ms - first >= workload.eligible.min_tenure_ms
    return old_enough and is_live(workload, events, as_of_ms)


def is_forgotten(workload: Workload, events: Sequence[Event], day: int) -> bool:
    """Whether the tick of ``day`` drops the customer: silent for longer than allowed, and no longer live."""
    if not events:
        return False
    silent = day * DAY_MS - max(e["event_time_ms"] for e in events)
    return silent > workload.forget_after_ms and not is_live(workload, events, day * DAY_MS)


def score_rows(workload: Workload, life: Sequence[Event], last_day: int) -> list[tuple[int, int, list[float]]]:
    """(as-of, row kind, features) of one customer, by a daily clock up to ``last_day``; ``life`` in merge order."""
    urgent = {kind.name for topic in workload.topics for kind in topic.kinds if kind.urgent}
    rows: list[tuple[int, int, list[float]]] = []
    known: list[Event] = []
    newest_step: int | None = None

    def tick(day: int) -> None:
        nonlocal known, newest_step
        if is_forgotten(workload, known, day):
            known, newest_step = [], None
        elif is_scored(workload, known, day * DAY_MS):
            rows.append((day * DAY_MS, TICK, features(workload, known, day * DAY_MS)))

    today = life[0]["known_time_ms"] // DAY_MS
    for event in life:
        while today < event["known_time_ms"] // DAY_MS:
            today += 1
            tick(today)
        known.append(event)
        step = event["event_time_ms"] // workload.score_every_ms
        is_new_step = newest_step is None or step > newest_step
        newest_step = max(step, newest_step) if newest_step is not None else step
        as_of = max(event["event_time_ms"], event["known_time_ms"]) + 1
        if (is_new_step or event["kind"] in urgent) and is_scored(workload, known, as_of):
            rows.append((as_of, URGENT if event["kind"] in urgent else ON_EVENT, features(workload, known, as_of)))
    while today < last_day:
        today += 1
        tick(today)
    return rows
