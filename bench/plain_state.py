"""The default workload's features in plain Python, one customer's state as a dict that JSON can hold: what a
per-event app keeps.

Same tiles and windows as everywhere; a ring is a list of [tile, value], newest last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bench.numpy_columns import COUNTED, COUNTS, DAY_MS, LONGEST, MIN_TENURE_MS, MINUTE_MS, SUMS, URGENT

State = dict[str, Any]
NAN = math.nan
LAST = {
    "subscribe": ("price", "plan"),
    "plan_change": ("price", "plan"),
    "survey_answered": ("csat",),
    "profile_changed": ("seats", "country", "channel"),
}
NEWEST = {
    "session": ("session", "login"),
    "login": ("login",),
    "invoice": ("invoice",),
    "payment": ("payment",),
    "subscribe": ("start",),
    "plan_change": ("change",),
    "ticket_opened": ("ticket",),
    "cancel": ("end",),
}


def new_state() -> State:
    """Of a customer who was never heard of."""
    return {
        "rings": {},
        "time": {},
        "last": {},
        "open": 0,
        "step": -1,
        "score": -1,
        "band": 0,
        "episode": 0,
        "since": 0,
        "closed": 0,
    }


def _add(state: State, name: str, length: int, tile_days: int, day: int, value: float, at_most: bool = False) -> None:
    ring, tile = state["rings"].setdefault(name, []), day // tile_days
    for pair in reversed(ring):
        if pair[0] == tile:
            pair[1] = max(pair[1], value) if at_most else pair[1] + value
            return
        if pair[0] < tile:
            break
    ring.append([tile, value])
    ring.sort()
    while ring[0][0] <= ring[-1][0] - length:
        ring.pop(0)


def update(state: State, kind: str, time_ms: int, record: Mapping[str, Any]) -> None:
    """Apply one event."""
    day, times = time_ms // DAY_MS, state["time"]
    for name in COUNTED.get(kind, ()):
        _add(state, name, *COUNTS[name], day, 1)
    for name in NEWEST.get(kind, ()):
        times[name] = max(times.get(name, 0), time_ms)
    if kind in ("session", "login"):
        _add(state, "active", *COUNTS["active"], day, 1, at_most=True)
    if kind == "session" and record["minutes"] is not None:
        minutes = round(record["minutes"] * 10)
        for name in ("minutes1", "minutes3"):
            _add(state, name, *SUMS[name], day, minutes)
        _add(state, "timed3", *COUNTS["timed3"], day, 1)
        _add(state, "longest", *LONGEST, day, minutes, at_most=True)
    elif kind == "payment" and record["amount"] is not None:
        _add(state, "paid6", *SUMS["paid6"], day, round(record["amount"] * 100))
    elif kind == "ticket_opened" and record["sentiment"] is not None:
        _add(state, "moods6", *SUMS["moods6"], day, round(record["sentiment"] * 1000))
        _add(state, "mood6", *COUNTS["mood6"], day, 1)
    state["open"] += (kind == "ticket_opened") - (kind == "ticket_resolved")
    if kind == "subscribe":
        times["first"] = min(times.get("first", time_ms), time_ms)
    fields = LAST.get(kind, ())
    if fields and time_ms >= times.get(fields[0], 0):
        times[fields[0]] = time_ms
        state["last"] |= {name: record[name] for name in fields}


def is_due(state: State, kind: str, time_ms: int, known_ms: int) -> bool:
    """Whether a score is taken at this event, which was applied before."""
    step, times, as_of = time_ms // MINUTE_MS, state["time"], max(time_ms, known_ms) + 1
    is_new = step > state["step"]
    state["step"] = max(state["step"], step)
    if not (is_new or kind in URGENT) or "start" not in times or times.get("end", -1) >= times["start"]:
        return False
    return bool(as_of - times["first"] >= MIN_TENURE_MS)


def features(state: State, as_of: int, codes: Mapping[str, Mapping[str, int]]) -> list[float]:
    """The feature row (41,) as of a moment."""
    day, rings, times, last = (as_of - 1) // DAY_MS, state["rings"], state["time"], state["last"]

    def total(name: str, window: int) -> float:
        tile_days = (COUNTS | SUMS)[name][1]
        first, end = (day - window + 1) // tile_days, day // tile_days
        return sum(value for tile, value in rings.get(name, ()) if first <= tile <= end)

    def since(name: str) -> float:
        return max(as_of - times[name], 0) / DAY_MS if name in times else NAN

    def latest(name: str) -> float:
        value = last.get(name)
        if value is None:
            return NAN
        return codes[name].get(value, len(codes[name])) if name in codes else value

    week, month = total("minutes1", 7) / 10, total("minutes3", 30) / 10
    timed, moods, sessions = total("timed3", 30), total("mood6", 60), total("session3", 30)
    first, end = (day - 13) // LONGEST[1], day // LONGEST[1]
    longest = max((value for tile, value in rings.get("longest", ()) if first <= tile <= end), default=None)
    paid = times["payment"] if times.get("payment", -1) >= times.get("invoice", 0) else as_of
    return [
        total("login1", 7),
        total("login3", 30),
        total("session1", 1),
        total("session1", 7),
        total("session3", 14),
        sessions,
        total("session6", 60),
        total("error1", 7),
        total("error3", 30),
        total("export1", 7),
        total("export3", 30),
        week,
        month,
        month / timed if timed else NAN,
        NAN if longest is None else longest / 10,
        total("active", 7),
        total("active", 30),
        total("active", 90),
        total("session1", 7) * 30 / (sessions * 7.0) if sessions else NAN,
        week / 7 - month / 30,
        since("session"),
        since("login"),
        max(as_of - times["first"], 0) / DAY_MS,
        total("failed3", 30),
        total("failed6", 90),
        total("paid6", 60) / 100,
        max(paid - times["invoice"], 0) / DAY_MS if "invoice" in times else NAN,
        latest("price"),
        latest("plan"),
        since("change"),
        total("ticket3", 14),
        total("ticket3", 30),
        state["open"],
        total("moods6", 60) / 1000 / moods if moods else NAN,
        since("ticket"),
        latest("csat"),
        latest("seats"),
        latest("country"),
        latest("channel"),
        (as_of // DAY_MS + 3) % 7,
        datetime.fromtimestamp(as_of / 1000, UTC).day,
    ]
