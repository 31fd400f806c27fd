"""The state of the NumPy loop: one row of bytes for each customer, seen as float32 tiles, float64 sums and int64 times.

The features of the default workload, written by hand with the same windows and tiles. Tiles of a window are summed by
one matrix product for all rows and windows together; NumPy has nothing faster for it.
It is long because each feature is written out, as by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DAY_MS = 86_400_000
MINUTE_MS = 60_000
MIN_TENURE_MS = 14 * DAY_MS
NEVER = -(2**62)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# name -> (tiles, days in a tile); counts of events, then sums of scaled values, then the longest session
COUNTS = {
    "login1": (9, 1),
    "login3": (12, 3),
    "session1": (9, 1),
    "session3": (12, 3),
    "session6": (12, 6),
    "error1": (9, 1),
    "error3": (12, 3),
    "export1": (9, 1),
    "export3": (12, 3),
    "timed3": (12, 3),
    "failed3": (12, 3),
    "failed6": (17, 6),
    "ticket3": (12, 3),
    "mood6": (12, 6),
    "active": (94, 1),
}
SUMS = {"minutes1": (9, 1), "minutes3": (12, 3), "paid6": (12, 6), "moods6": (12, 6)}
LONGEST = (7, 3)
# kind -> rings that count it
COUNTED = {
    "login": ("login1", "login3"),
    "session": ("session1", "session3", "session6"),
    "error": ("error1", "error3"),
    "export": ("export1", "export3"),
    "payment_failed": ("failed3", "failed6"),
    "ticket_opened": ("ticket3",),
}
COUNT_WINDOWS = [
    ("login1", 7),
    ("login3", 30),
    ("session1", 1),
    ("session1", 7),
    ("session3", 14),
    ("session3", 30),
    ("session6", 60),
    ("error1", 7),
    ("error3", 30),
    ("export1", 7),
    ("export3", 30),
    ("timed3", 30),
    ("active", 7),
    ("active", 30),
    ("active", 90),
    ("failed3", 30),
    ("failed6", 90),
    ("ticket3", 14),
    ("ticket3", 30),
    ("mood6", 60),
]
SUM_WINDOWS = [("minutes1", 7), ("minutes3", 30), ("paid6", 60), ("moods6", 60)]
TIMES = (
    "day",
    "first",
    "start",
    "end",
    "session",
    "login",
    "invoice",
    "payment",
    "change",
    "ticket",
    "price",
    "survey",
    "profile",
    "open",
    "step",
    "score",
    "band",
    "episode",
    "since",
    "closed",
)
VALUES = ("price", "plan", "csat", "seats", "country", "channel")
URGENT = ("payment_failed", "plan_change", "ticket_opened")


def _offsets(rings: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    ends = np.cumsum([0] + [length for length, _ in rings.values()]).tolist()
    return dict(zip(rings, ends[:-1], strict=True))


COUNT_AT, SUM_AT = _offsets(COUNTS), _offsets(SUMS)
N_COUNTS = -(-sum(length for length, _ in COUNTS.values()) // 2) * 2
N_SUMS = sum(length for length, _ in SUMS.values())
VALUE_AT = {name: N_SUMS + LONGEST[0] + i for i, name in enumerate(VALUES)}
TIME_AT = {name: i for i, name in enumerate(TIMES)}
ROW_BYTES = 4 * N_COUNTS + 8 * (N_SUMS + LONGEST[0] + len(VALUES) + len(TIMES))


@dataclass(eq=False)
class Events:
    """A merged batch: slots, kind names' codes, times, and the values of the topics it came from."""

    slot: Ints
    kind: Ints
    time: Ints
    known: Ints
    values: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.slot)


class Customers:
    """Rows of all customers of all partitions."""

    def __init__(self, kinds: tuple[str, ...], capacity: int = 1024) -> None:
        self.kinds = kinds
        self.code = {kind: i for i, kind in enumerate(kinds)}
        self.urgent = np.array([kind in URGENT for kind in kinds])
        self.slot_of: dict[str, int] = {}
        self.keys: list[str] = []
        self.partition = np.zeros(capacity, np.int64)
        self.dirty = np.zeros(capacity, np.bool_)
        self._windows: dict[int, tuple[npt.NDArray[np.float32], Floats, Ints]] = {}
        self._view(self._fresh(capacity))

    @staticmethod
    def _fresh(n: int) -> npt.NDArray[np.uint8]:
        rows = np.zeros((n, ROW_BYTES), np.uint8)
        wide = rows.view(np.float64)
        begin = N_COUNTS // 2 + N_SUMS
        wide[:, begin : begin + LONGEST[0]] = -np.inf
        wide[:, begin + LONGEST[0] : begin + LONGEST[0] + len(VALUES)] = np.nan
        times = rows.view(np.int64)[:, -len(TIMES) :]
        times[:] = NEVER
        for name in ("open", "episode", "since", "closed"):
            times[:, TIME_AT[name]] = 0
        times[:, TIME_AT["score"]] = -1
        return rows

    def _view(self, rows: npt.NDArray[np.uint8]) -> None:
        self.rows = rows
        self.f4, self.f8, self.i8 = (rows.view(kind).reshape(-1) for kind in (np.float32, np.float64, np.int64))
        self.counts = rows.view(np.float32)[:, :N_COUNTS]
        self.sums = rows.view(np.float64)[:, N_COUNTS // 2 : N_COUNTS // 2 + N_SUMS]
        self.wide = rows.view(np.float64)
        times = rows.view(np.int64)[:, -len(TIMES) :]
        self.times = {name: times[:, i] for i, name in enumerate(TIMES)}
        self.last = {name: self.wide[:, N_COUNTS // 2 + at] for name, at in VALUE_AT.items()}

    def slots(self, ids: list[str], partition: int) -> Ints:
        """Slots of customers; new ones get rows."""
        found = list(map(self.slot_of.get, ids))
        if None in found:
            for i, name in enumerate(ids):
                if found[i] is None:
                    found[i] = self.slot_of.setdefault(name, len(self.keys))
                    if found[i] == len(self.keys):
                        self.keys.append(name)
            self._grow()
        slots = np.array(found, np.int64)
        self.partition[slots] = partition
        return slots

    def _grow(self) -> None:
        while len(self.keys) > len(self.rows):
            n = len(self.rows)
            self._view(np.concatenate([self.rows, self._fresh(n)]))
            self.partition = np.concatenate([self.partition, np.zeros(n, np.int64)])
            self.dirty = np.concatenate([self.dirty, np.zeros(n, np.bool_)])

    # ---- update ----
    def update(self, e: Events) -> None:
        """Apply a batch to the tiles, times and last values."""
        day = e.time // DAY_MS
        newest = np.full(len(self.keys), NEVER)
        np.maximum.at(newest, e.slot, day)
        touched = np.flatnonzero(newest > NEVER)
        self.roll(touched, newest[touched])
        self.dirty[touched] = True
        head = self.times["day"][e.slot]
        for kind, rings in COUNTED.items():
            chosen = np.flatnonzero(e.kind == self.code[kind])
            for ring in rings:
                self._count(ring, e.slot[chosen], day[chosen], head[chosen])
        self._sessions(e, day, head)
        self._money(e, day, head)
        self._rest(e, day, head)

    def roll(self, slots: Ints, days: Ints) -> None:
        """Move the heads of rings forward, clearing the tiles that come into view."""
        old = self.times["day"][slots]
        late = np.flatnonzero(days > old)
        if not len(late):
            return
        slots, days, old = slots[late], days[late], old[late]
        for name, (length, tile_days) in COUNTS.items():
            self._clear(self.counts, COUNT_AT[name], slots, old // tile_days, days // tile_days, length, 0.0)
        for name, (length, tile_days) in SUMS.items():
            self._clear(self.sums, SUM_AT[name], slots, old // tile_days, days // tile_days, length, 0.0)
        at = N_COUNTS // 2 + N_SUMS
        self._clear(self.wide, at, slots, old // LONGEST[1], days // LONGEST[1], LONGEST[0], -np.inf)
        self.times["day"][slots] = days

    @staticmethod
    def _clear(
        table: npt.NDArray[np.floating], at: int, slots: Ints, old: Ints, new: Ints, length: int, empty: float
    ) -> None:
        gap = np.minimum(new - old, length)
        for back in range(int(gap.max())):
            chosen = gap > back
            table[slots[chosen], at + (new[chosen] - back) % length] = empty

    def _count(self, ring: str, slot: Ints, day: Ints, head: Ints) -> None:
        length, tile_days = COUNTS[ring]
        tile = day // tile_days
        place = slot * (ROW_BYTES // 4) + COUNT_AT[ring] + tile % length
        np.add.at(self.f4, place[tile > head // tile_days - length], np.float32(1))

    def _sum(self, ring: str, slot: Ints, day: Ints, head: Ints, values: Floats) -> None:
        length, tile_days = SUMS[ring]
        tile = day // tile_days
        kept = (tile > head // tile_days - length) & ~np.isnan(values)
        place = slot * (ROW_BYTES // 8) + N_COUNTS // 2 + SUM_AT[ring] + tile % length
        np.add.at(self.f8, place[kept], values[kept])

    def _newest(self, name: str, slot: Ints, time: Ints) -> None:
        np.maximum.at(self.i8, slot * (ROW_BYTES // 8) + ROW_BYTES // 8 - len(TIMES) + TIME_AT[name], time)

    def _keep_last(self, clock: str, names: tuple[str, ...], e: Events, chosen: Ints) -> None:
        order = chosen[np.argsort(e.time[chosen], kind="stable")]
        order = order[e.time[order] >= self.times[clock][e.slot[order]]]
        for name in names:
            self.last[name][e.slot[order]] = e.values[name][order]
        self.times[clock][e.slot[order]] = e.time[order]

    def _sessions(self, e: Events, day: Ints, head: Ints) -> None:
        chosen = np.flatnonzero(e.kind == self.code["session"])
        slot, when, top = e.slot[chosen], day[chosen], head[chosen]
        minutes = np.rint(e.values["minutes"][chosen] * 10)
        for ring in ("minutes1", "minutes3"):
            self._sum(ring, slot, when, top, minutes)
        timed = ~np.isnan(minutes)
        self._count("timed3", slot[timed], when[timed], top[timed])
        tile = when // LONGEST[1]
        place = slot * (ROW_BYTES // 8) + N_COUNTS // 2 + N_SUMS + tile % LONGEST[0]
        kept = timed & (tile > top // LONGEST[1] - LONGEST[0])
        np.maximum.at(self.f8, place[kept], minutes[kept])
        self._newest("session", slot, e.time[chosen])
        chosen = np.flatnonzero((e.kind == self.code["session"]) | (e.kind == self.code["login"]))
        length = COUNTS["active"][0]
        kept = chosen[day[chosen] > head[chosen] - length]
        self.f4[e.slot[kept] * (ROW_BYTES // 4) + COUNT_AT["active"] + day[kept] % length] = 1
        self._newest("login", e.slot[chosen], e.time[chosen])

    def _money(self, e: Events, day: Ints, head: Ints) -> None:
        chosen = np.flatnonzero(e.kind == self.code["payment"])
        self._sum("paid6", e.slot[chosen], day[chosen], head[chosen], np.rint(e.values["amount"][chosen] * 100))
        self._newest("payment", e.slot[chosen], e.time[chosen])
        chosen = np.flatnonzero(e.kind == self.code["invoice"])
        self._newest("invoice", e.slot[chosen], e.time[chosen])
        starts = np.flatnonzero(e.kind == self.code["subscribe"])
        changes = np.flatnonzero(e.kind == self.code["plan_change"])
        self._newest("start", e.slot[starts], e.time[starts])
        self._newest("change", e.slot[changes], e.time[changes])
        first, slot = self.times["first"], e.slot[starts]
        first[slot] = np.where(first[slot] == NEVER, e.time[starts], np.minimum(first[slot], e.time[starts]))
        self._keep_last("price", ("price", "plan"), e, np.concatenate([starts, changes]))
        chosen = np.flatnonzero(e.kind == self.code["cancel"])
        self._newest("end", e.slot[chosen], e.time[chosen])

    def _rest(self, e: Events, day: Ints, head: Ints) -> None:
        opened = np.flatnonzero(e.kind == self.code["ticket_opened"])
        mood = np.rint(e.values["sentiment"][opened] * 1000)
        self._sum("moods6", e.slot[opened], day[opened], head[opened], mood)
        told = opened[~np.isnan(mood)]
        self._count("mood6", e.slot[told], day[told], head[told])
        self._newest("ticket", e.slot[opened], e.time[opened])
        np.add.at(self.times["open"], e.slot[opened], 1)
        np.add.at(self.times["open"], e.slot[e.kind == self.code["ticket_resolved"]], -1)
        self._keep_last("survey", ("csat",), e, np.flatnonzero(e.kind == self.code["survey_answered"]))
        profiles = np.flatnonzero(e.kind == self.code["profile_changed"])
        self._keep_last("profile", ("seats", "country", "channel"), e, profiles)

    # ---- score points ----
    def due(self, e: Events, end_before: Ints) -> Ints:
        """Positions of the events at which a score is taken, ``end_before`` being the ends before this batch."""
        order = np.argsort(e.slot, kind="stable")
        slot, step = e.slot[order], e.time[order] // MINUTE_MS
        begins = np.flatnonzero(np.r_[True, slot[1:] != slot[:-1]])
        group = np.repeat(np.arange(len(begins)), np.diff(np.r_[begins, len(slot)]))
        base = step.min()
        highest = np.maximum.accumulate((group << 32) + (step - base)) - (group << 32) + base
        before = np.r_[NEVER, highest[:-1]]
        before[begins] = NEVER
        is_new = np.empty(len(e), np.bool_)
        is_new[order] = step > np.maximum(before, self.times["step"][slot])
        self._newest("step", slot, step)
        cancels = np.flatnonzero(e.kind == self.code["cancel"])
        cancelled_at = np.full(len(self.keys), len(e))
        cancelled_at[e.slot[cancels[::-1]]] = cancels[::-1]
        start, first = self.times["start"][e.slot], self.times["first"][e.slot]
        live = (start != NEVER) & (end_before[e.slot] < start) & (np.arange(len(e)) < cancelled_at[e.slot])
        as_of = np.maximum(e.time, e.known) + 1
        return np.flatnonzero((is_new | self.urgent[e.kind]) & live & (as_of - first >= MIN_TENURE_MS))

    def tick_slots(self, as_of: int) -> Ints:
        """Customers who are scored at a daily tick."""
        n = len(self.keys)
        start, first, end = (self.times[name][:n] for name in ("start", "first", "end"))
        return np.flatnonzero((start != NEVER) & (first < as_of) & (end < start) & (as_of - first >= MIN_TENURE_MS))

    # ---- features ----
    def _select(self, day: int) -> tuple[npt.NDArray[np.float32], Floats, Ints]:
        """Matrices that sum tiles to windows ending on a day, and the tiles of the longest session."""
        if day not in self._windows:
            count = np.zeros((N_COUNTS, len(COUNT_WINDOWS)), np.float32)
            total = np.zeros((N_SUMS, len(SUM_WINDOWS)))
            for rings, starts, windows, table in (
                (COUNTS, COUNT_AT, COUNT_WINDOWS, count),
                (SUMS, SUM_AT, SUM_WINDOWS, total),
            ):
                for column, (ring, window) in enumerate(windows):
                    length, tile_days = rings[ring]
                    tiles = np.arange((day - window + 1) // tile_days, day // tile_days + 1)
                    table[starts[ring] + tiles % length, column] = 1
            tiles = np.arange((day - 13) // LONGEST[1], day // LONGEST[1] + 1) % LONGEST[0]
            self._windows = {day: (count, total, N_COUNTS // 2 + N_SUMS + tiles)}
        return self._windows[day]

    def features(self, slots: Ints, as_of: Ints) -> npt.NDArray[np.float32]:
        """Feature rows (n, 41) as of moments, from the state as it is now."""
        out = np.empty((len(slots), 41), np.float32)
        days = (as_of - 1) // DAY_MS
        for day in np.unique(days).tolist():
            chosen = np.flatnonzero(days == day)
            self.roll(np.unique(slots[chosen]), np.full(len(np.unique(slots[chosen])), day))
            out[chosen] = self._features(slots[chosen], as_of[chosen], day)
        return out

    def _features(self, slots: Ints, as_of: Ints, day: int) -> npt.NDArray[np.float32]:
        count, total, longest = self._select(day)
        c = dict(zip(COUNT_WINDOWS, (self.counts[slots] @ count).astype(np.float64).T, strict=True))
        s = dict(zip(SUM_WINDOWS, (self.sums[slots] @ total).T, strict=True))
        most = self.wide[slots[:, None], longest].max(axis=1)
        x = {name: column[slots] for name, column in self.times.items()}
        v = {name: column[slots] for name, column in self.last.items()}
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(c["session3", 30] == 0, np.nan, c["session1", 7] * 30 / (c["session3", 30] * 7.0))
            mean = np.where(c["timed3", 30] == 0, np.nan, s["minutes3", 30] / 10 / c["timed3", 30])
            mood = np.where(c["mood6", 60] == 0, np.nan, s["moods6", 60] / 1000 / c["mood6", 60])
        paid = np.where(x["payment"] >= x["invoice"], x["payment"], as_of)
        local = as_of // DAY_MS
        month_day = (local.astype("M8[D]") - local.astype("M8[D]").astype("M8[M]")).astype(np.int64) + 1
        columns = (
            c["login1", 7],
            c["login3", 30],
            c["session1", 1],
            c["session1", 7],
            c["session3", 14],
            c["session3", 30],
            c["session6", 60],
            c["error1", 7],
            c["error3", 30],
            c["export1", 7],
            c["export3", 30],
            s["minutes1", 7] / 10,
            s["minutes3", 30] / 10,
            mean,
            np.where(most == -np.inf, np.nan, most / 10),
            c["active", 7],
            c["active", 30],
            c["active", 90],
            ratio,
            s["minutes1", 7] / 10 / 7 - s["minutes3", 30] / 10 / 30,
            _since(as_of, x["session"]),
            _since(as_of, x["login"]),
            np.maximum(as_of - x["first"], 0) / DAY_MS,
            c["failed3", 30],
            c["failed6", 90],
            s["paid6", 60] / 100,
            np.where(x["invoice"] == NEVER, np.nan, np.maximum(paid - x["invoice"], 0) / DAY_MS),
            v["price"],
            v["plan"],
            _since(as_of, x["change"]),
            c["ticket3", 14],
            c["ticket3", 30],
            x["open"],
            mood,
            _since(as_of, x["ticket"]),
            v["csat"],
            v["seats"],
            v["country"],
            v["channel"],
            (local + 3) % 7,
            month_day,
        )
        return np.stack([np.asarray(column, np.float64).astype(np.float32) for column in columns], axis=1)


def _since(as_of: Ints, time: Ints) -> Floats:
    return np.where(time == NEVER, np.nan, np.maximum(as_of - time, 0) / DAY_MS)
