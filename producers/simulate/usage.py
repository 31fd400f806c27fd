"""What customers do in the product on a day, given how content they are."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from producers.simulate.calendar import Day
from producers.simulate.draft import Draft
from producers.simulate.law import LOW
from producers.simulate.population import Population

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

USE: Final = np.exp(-2.6 * LOW)
"""Usage against that of a content customer, by mood."""
LOGINS, EXPORTS, ERRORS = 0.8, 0.10 * (1 + 5.0 * LOW**2), 0.10 * (1 + 6.0 * LOW)
EVENTS_PER_SESSION: Final = 2.1
"""Usage events a session stands for: itself, logins, exports, errors."""
PACE: Final = np.exp(-1.0 * LOW)
MINUTES_SPREAD: Final = 0.6
AWAY_RATE: Final = 1 / 140
AWAY_DAYS: Final = (4, 15)
_HOURS: Final = np.array([1, 1, 1, 1, 1, 2, 4, 8, 12, 14, 14, 13, 11, 12, 13, 13, 12, 11, 10, 10, 9, 7, 4, 2], float)
_STEPS: Final = 4096


def _quantiles_ms() -> Ints:
    """Times of the day at evenly spaced probabilities, shape (4097,)."""
    share = np.concatenate([[0.0], np.cumsum(_HOURS) / _HOURS.sum()])
    return np.asarray(np.interp(np.linspace(0, 1, _STEPS + 1), share, np.arange(25) * 3_600_000.0).astype(np.int64))


_TIME_OF_DAY_MS: Final = _quantiles_ms()
_GAP_MS: Final = np.diff(_TIME_OF_DAY_MS)


def time_of_day_ms(rng: np.random.Generator, n: int) -> Ints:
    """Times since midnight at which people are awake and at work, (n,)."""
    step = rng.integers(0, _STEPS, n, dtype=np.int32)
    within = (rng.random(n, dtype=np.float32) * _GAP_MS[step]).astype(np.int64)
    return _TIME_OF_DAY_MS[step] + within


def go_away(rng: np.random.Generator, people: Population, who: Ints, offset: int) -> None:
    """Some customers stop using the product for 4 to 14 days and mean nothing by it."""
    leave = who[(rng.random(len(who)) < AWAY_RATE) & (people.away_until[who] <= offset)]
    people.away_until[leave] = offset + rng.integers(*AWAY_DAYS, len(leave))


def session_rate(people: Population, who: Ints, today: Day) -> Floats:
    """Expected sessions of customers on a day, before any seasonal wave."""
    weekend = people.works_weekends[who] if today.weekday >= 5 else 1.0
    present = people.away_until[who] <= today.offset
    return np.asarray(people.activity[who] * USE[people.mood[who]] * weekend * present)


def usage_events(rng: np.random.Generator, people: Population, who: Ints, today: Day, factor: float) -> list[Draft]:
    """Usage of a day.

    Parameters
    ----------
    who
        Live customers.
    factor
        Seasonal factor of all usage.
    """
    rate, mood = session_rate(people, who, today) * factor, people.mood[who]
    shares = {"login": np.full(len(who), LOGINS), "export": EXPORTS[mood], "error": ERRORS[mood]}
    drafts = [_sessions(rng, people, who, rate, today)]
    for kind, share in shares.items():
        doers = np.repeat(who, rng.poisson(rate * share))
        drafts.append(Draft.of("usage", kind, doers, today.start_ms + time_of_day_ms(rng, len(doers))))
    return drafts


def _sessions(rng: np.random.Generator, people: Population, who: Ints, rate: Floats, today: Day) -> Draft:
    doers = np.repeat(who, rng.poisson(rate))
    n = len(doers)
    usual = (people.pace[doers] * PACE[people.mood[doers]]).astype(np.float32)
    noise = MINUTES_SPREAD * rng.standard_normal(n, dtype=np.float32)
    minutes = np.maximum(usual * np.exp(noise), 0.1).astype(np.float64)
    actions = np.rint(minutes * (0.5 + rng.random(n, dtype=np.float32)))
    return Draft.of(
        "usage",
        "session",
        doers,
        today.start_ms + time_of_day_ms(rng, n),
        minutes=np.rint(minutes * 10.0) / 10.0,
        actions=actions,
    )
