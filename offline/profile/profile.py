"""A profile: everything that page and terminal say about a history, as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from offline.cutoffs import date_text
from offline.profile.census import Census
from offline.profile.correlation import Correlations, correlations_of
from offline.profile.event_suspects import event_suspects
from offline.profile.log_order import n_behind
from offline.profile.portraits import Portrait, portraits_of
from offline.profile.rates import Rate, rates_of
from offline.profile.snapshots import Snapshots, take_snapshots
from offline.profile.suspect import Suspect
from offline.profile.suspects import feature_suspects
from offline.retraining import horizon_days
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.workload import Workload

ANALYSED_ROWS = 40_000
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
TENURE_EDGES = (0, 14, 30, 60, 90, 180, 365, 730)


@dataclass(frozen=True, eq=False)
class Profile:
    """What is there, what is to be predicted, and what the features say.

    Parameters
    ----------
    rows, analysed
        All rows, and those of the customers that portraits and correlations were taken of.
    by_cutoff, by_weekday, by_tenure
        Churn rates of all rows; tenure in days.
    halves
        Churn rates of the earlier and the later half of the cut-offs.
    """

    workload: Workload
    census: Census
    rows: Snapshots
    analysed: Snapshots
    portraits: tuple[Portrait, ...]
    correlations: Correlations
    by_cutoff: tuple[Rate, ...]
    by_weekday: tuple[Rate, ...]
    by_tenure: tuple[Rate, ...]
    halves: tuple[Rate, ...]
    overall: Rate
    suspects: tuple[Suspect, ...]

    @property
    def horizon_days(self) -> int:
        """Label horizon."""
        return horizon_days(self.workload)

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        span = self.rows.span
        return {
            "workload": self.workload.name,
            "known_from": date_text(span.first_day),
            "known_until": date_text(span.known_until_day),
            "n_events": self.census.n_events,
            "n_customers": self.census.n_customers,
            "kinds": [
                {
                    "topic": kind.topic,
                    "kind": kind.name,
                    "n": kind.n,
                    "first": None if not kind.n else date_text(kind.first_ms // DAY_MS),
                    "last": None if not kind.n else date_text(kind.last_ms // DAY_MS),
                    "n_late": kind.n_late,
                    "n_after_end": kind.n_after_end,
                }
                for kind in self.census.kinds
            ],
            "fields": [
                {"topic": f.topic, "field": f.declared.name, "n": f.n, "n_known": f.n_known}
                for fields in self.census.fields
                for f in fields
            ],
            "label": {
                "type": self.workload.label.type,
                "horizon_days": self.horizon_days,
                "n_rows": len(self.rows),
                "n_left": int(self.rows.y.sum()),
                "n_unlabelled": self.rows.n_unlabelled,
                "overall": self.overall.as_json(),
                "by_cutoff": [rate.as_json() for rate in self.by_cutoff],
                "by_weekday": [rate.as_json() for rate in self.by_weekday],
                "by_tenure": [rate.as_json() for rate in self.by_tenure],
            },
            "customer_share": self.rows.share,
            "n_rows_analysed": len(self.analysed),
            "features": [portrait.as_json() for portrait in self.portraits],
            "same": [{"one": a, "other": b, "spearman": rho} for a, b, rho in self.correlations.pairs()],
            "suspects": [suspect.as_json() for suspect in self.suspects],
        }


def profile_history(
    workload: Workload,
    history: Callable[[], Iterable[EventBatch]],
    *,
    lake: Lake | None = None,
    known_until_ms: int | None = None,
    days: tuple[int, ...] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Profile:
    """The profile of a history.

    Parameters
    ----------
    history, known_until_ms, days
        As `offline.profile.snapshots.take_snapshots` takes them.
    lake
        Where the history lies; None leaves out what the order of the log says.
    say
        Told what is going on.

    Raises
    ------
    OfflineError
        When there are no events, no matured cut-off, or no labelled row.
    """
    census = Census(workload)
    say("reading the history, then taking rows at cut-offs")
    rows = take_snapshots(
        workload, history, known_until_ms=known_until_ms, days=days, look=census.look, count=census.count
    )
    analysed = rows.some(ANALYSED_ROWS)
    say(f"{len(rows):,} rows at {len(rows.cutoff_days)} cut-offs; looking at {len(rows.columns)} features")
    portraits = portraits_of(rows, analysed)
    say("looking for what knows the end")
    behind = Counter[str]() if lake is None else n_behind(lake, workload)
    suspects = [*feature_suspects(portraits, analysed), *event_suspects(workload, census, behind)]
    return Profile(
        workload=workload,
        census=census,
        rows=rows,
        analysed=analysed,
        portraits=portraits,
        correlations=correlations_of(analysed),
        by_cutoff=_by_cutoff(rows),
        by_weekday=_by_weekday(rows),
        by_tenure=_by_tenure(rows),
        halves=_halves(rows),
        overall=rates_of(np.zeros(len(rows), np.int64), ["all"], rows.y, rows.customer)[0],
        suspects=tuple(suspects),
    )


def _by_cutoff(rows: Snapshots) -> tuple[Rate, ...]:
    days = np.array(rows.cutoff_days, np.int64)
    return rates_of(np.searchsorted(days, rows.day), [date_text(d) for d in days.tolist()], rows.y, rows.customer)


def _halves(rows: Snapshots) -> tuple[Rate, ...]:
    middle = rows.cutoff_days[len(rows.cutoff_days) // 2]
    return rates_of((rows.day >= middle).astype(np.int64), ["earlier", "later"], rows.y, rows.customer)


def _by_weekday(rows: Snapshots) -> tuple[Rate, ...]:
    """By the weekday of the cut-off; weekdays without one are left out."""
    weekday = (rows.day + 3) % 7  # 1970-01-01 was a Thursday
    there = np.unique(weekday)
    return rates_of(np.searchsorted(there, weekday), [WEEKDAYS[i] for i in there.tolist()], rows.y, rows.customer)


def _by_tenure(rows: Snapshots) -> tuple[Rate, ...]:
    band = np.searchsorted(np.array(TENURE_EDGES[1:]), np.nan_to_num(rows.tenure_days), side="right")
    there = np.unique(band)
    names = [f"{low}-{high}" for low, high in pairwise(TENURE_EDGES)] + [f"{TENURE_EDGES[-1]}+"]
    return rates_of(np.searchsorted(there, band), [names[i] for i in there.tolist()], rows.y, rows.customer)
