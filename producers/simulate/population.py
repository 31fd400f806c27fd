"""Who the customers are: fixed traits, and the state that moves from day to day.

How the state moves is in `law`; what it makes customers do is in the modules named after the topics.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from producers.simulate.layout import CHANNELS, COUNTRIES, PLANS

N_MOODS: Final = 8
"""Levels of the latent satisfaction; 0 is the worst, 7 the best."""

LIST_PRICE: Final = np.array([12.0, 29.0, 79.0])
_DISCOUNTS: Final = np.array([0.0, 0.1, 0.2])
_SEATS: Final = np.array([1, 2, 3, 4, 5, 8, 12, 20])
_SEAT_SHARES: Final = np.array([0.44, 0.16, 0.10, 0.08, 0.08, 0.07, 0.05, 0.02])
PLAN_ACTIVITY: Final = np.array([0.8, 1.1, 1.5])
ACTIVITY_SPREAD: Final = 0.7
PACE_MINUTES, PACE_SPREAD = 22.0, 0.25
WEEKENDS_OF_TEAMS, WEEKENDS_OF_SINGLES = 0.35, (0.8, 1.5)
SETTLED_MOODS: Final = np.array([0.0, 0.01, 0.03, 0.07, 0.12, 0.18, 0.25, 0.34])
FRESH_MOODS: Final = np.array([0.0, 0.0, 0.02, 0.06, 0.12, 0.20, 0.28, 0.32])

Ints = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mix:
    """Whom a channel of acquisition brings in: shares of plans and channels, and activity against the usual."""

    plans: tuple[float, float, float] = (0.45, 0.35, 0.20)
    channels: tuple[float, float, float] = (0.55, 0.25, 0.20)
    countries: tuple[float, float, float, float, float] = (0.30, 0.20, 0.20, 0.15, 0.15)
    activity: float = 1.0
    pace: float = 1.0


USUAL_MIX: Final = Mix()
CAMPAIGN_MIX: Final = Mix((0.80, 0.15, 0.05), (0.05, 0.92, 0.03), (0.05, 0.05, 0.10, 0.60, 0.20), 0.45, 0.6)
"""A campaign: ads, cheap plans, another country, and customers who use the product little."""


@dataclass
class Population:
    """All customers so far, one row each; columns have shape (n,).

    Attributes
    ----------
    plan, country, channel
        Codes into `layout.PLANS`, `COUNTRIES`, `CHANNELS`.
    seats, discount, billing_day
        Seats of the contract, share off the list price, day of the month of invoices (1..28).
    activity
        Sessions on a usual day of a content customer: differs much between customers.
    pace
        Minutes of a usual session.
    works_weekends
        Factor of activity on Saturdays and Sundays.
    mood, ticket, pay
        The latent state: satisfaction, open ticket (0 none, 1 calm, 2 angry), money (0 settled, 1 due, 2 declined).
    away_until, live_from, returns_on
        Offsets of days: usage pauses before; the contract began; the customer comes back (-1 never).
    live
        Whether the contract runs.
    """

    plan: Ints
    country: Ints
    channel: Ints
    seats: Ints
    discount: Floats
    billing_day: Ints
    activity: Floats
    pace: Floats
    works_weekends: Floats
    mood: Ints
    ticket: Ints
    pay: Ints
    away_until: Ints
    live_from: Ints
    returns_on: Ints
    live: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.plan)

    def add(self, newcomers: Population) -> NDArray[np.int64]:
        """Append customers; their row numbers."""
        first = len(self)
        for column in fields(self):
            joined = np.concatenate([getattr(self, column.name), getattr(newcomers, column.name)])
            setattr(self, column.name, joined)
        return np.arange(first, len(self))

    def price(self, who: NDArray[np.int64]) -> Floats:
        """List price of the plan less the discount, EUR a month for a seat."""
        return np.round(LIST_PRICE[self.plan[who]] * (1.0 - self.discount[who]), 2)

    def segment(self, who: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.int64]:
        """Code of (plan, size of contract, channel), 0..26: what hazards differ by."""
        size = np.searchsorted((1.5, 4.5), self.seats[who])
        return (self.plan[who].astype(np.int64) * 3 + size) * len(CHANNELS) + self.channel[who]

    def begin_contract(self, rng: np.random.Generator, who: NDArray[np.int64], offset: int) -> None:
        """Customers start afresh: on their first day, or when they come back."""
        n = len(who)
        shares = SETTLED_MOODS if offset == 0 else FRESH_MOODS
        self.mood[who] = rng.choice(N_MOODS, n, p=shares)
        self.ticket[who], self.pay[who] = 0, 0
        self.away_until[who], self.returns_on[who] = 0, -1
        self.live_from[who], self.live[who] = offset, True


def draw_population(rng: np.random.Generator, n: int, mean_activity: float, mix: Mix = USUAL_MIX) -> Population:
    """Customers whose contracts have not begun yet.

    Parameters
    ----------
    mean_activity
        Mean of `Population.activity` for the usual mix, sessions a day.
    """
    plan = rng.choice(len(PLANS), n, p=mix.plans).astype(np.int8)
    seats = np.where(plan == 0, 1, 0) + rng.choice(_SEATS, n, p=_SEAT_SHARES) * (plan > 0)
    spread = np.exp(ACTIVITY_SPREAD * rng.standard_normal(n) - ACTIVITY_SPREAD**2 / 2)
    days_of_month = np.where(rng.random(n) < 0.4, rng.choice([1, 15], n), rng.integers(1, 29, n))
    return Population(
        plan=plan,
        country=rng.choice(len(COUNTRIES), n, p=mix.countries).astype(np.int8),
        channel=rng.choice(len(CHANNELS), n, p=mix.channels).astype(np.int8),
        seats=seats.astype(np.int16),
        discount=rng.choice(_DISCOUNTS, n, p=(0.7, 0.2, 0.1)),
        billing_day=days_of_month.astype(np.int8),
        activity=mean_activity * mix.activity * PLAN_ACTIVITY[plan] * spread,
        pace=PACE_MINUTES * mix.pace * np.exp(PACE_SPREAD * rng.standard_normal(n)),
        works_weekends=np.where(seats > 1, WEEKENDS_OF_TEAMS, rng.uniform(*WEEKENDS_OF_SINGLES, n)),
        **{name: np.zeros(n, np.int8) for name in ("mood", "ticket", "pay")},
        **{name: np.zeros(n, np.int32) for name in ("away_until", "live_from")},
        returns_on=np.full(n, -1, np.int32),
        live=np.zeros(n, np.bool_),
    )
