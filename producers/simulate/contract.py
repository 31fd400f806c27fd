"""Contracts and money on a day: subscriptions, invoices, charges, changes of plan or seats, cancellations."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from producers.simulate.calendar import Day
from producers.simulate.draft import Draft
from producers.simulate.law import CHARGED, DECLINED, LOW, RETRIED, RETRY_DECLINED
from producers.simulate.population import Population
from producers.simulate.usage import time_of_day_ms

Ints = NDArray[np.int64]

_HOUR_MS: Final = 3_600_000
_PLAN_CHANGE_RATE: Final = 0.0005
_SEAT_CHANGE_RATE: Final = 0.0003


def begin_contracts(rng: np.random.Generator, people: Population, who: Ints, today: Day) -> list[Draft]:
    """Customers subscribe and their profile is set; the first invoice comes on their billing day."""
    people.begin_contract(rng, who, today.offset)
    at_ms = today.start_ms + time_of_day_ms(rng, len(who))
    subscribe = Draft.of("billing", "subscribe", who, at_ms, price=people.price(who), plan=people.plan[who])
    last_ms = today.start_ms + 24 * _HOUR_MS - 1
    return [subscribe, _profile(people, who, np.minimum(at_ms + rng.integers(500, 60_000, len(who)), last_ms))]


def _profile(people: Population, who: Ints, at_ms: Ints) -> Draft:
    return Draft.of(
        "profile",
        "profile_changed",
        who,
        at_ms,
        seats=people.seats[who],
        country=people.country[who],
        channel=people.channel[who],
    )


def money_events(rng: np.random.Generator, people: Population, who: Ints, today: Day) -> list[Draft]:
    """Invoices of the day at night, charges by day; moves `Population.pay` as `law.transition` says."""
    billed = who[people.billing_day[who] == today.day_of_month]
    invoice_ms = today.start_ms + rng.integers(1 * _HOUR_MS, 5 * _HOUR_MS, len(billed))
    due = np.concatenate([who[people.pay[who] == 1], billed[people.pay[billed] == 0]])
    declined_before = who[people.pay[who] == 2]
    people.pay[due] = 1
    charged = due[rng.random(len(due)) < CHARGED[people.mood[due]]]
    retried = declined_before[rng.random(len(declined_before)) < RETRIED]
    declined = np.concatenate(
        [
            charged[rng.random(len(charged)) < DECLINED[today.money_is_tight]],
            retried[rng.random(len(retried)) < RETRY_DECLINED],
        ]
    )
    attempts = np.concatenate([charged, retried])
    people.pay[attempts] = 0
    people.pay[declined] = 2
    paid = attempts[people.pay[attempts] == 0]
    drafts = [Draft.of("billing", "invoice", billed, invoice_ms, amount=_amount(people, billed))]
    for kind, payers in (("payment", paid), ("payment_failed", declined)):
        at_ms = today.start_ms + rng.integers(8 * _HOUR_MS, 20 * _HOUR_MS, len(payers))
        drafts.append(Draft.of("billing", kind, payers, at_ms, amount=_amount(people, payers)))
    return drafts


def _amount(people: Population, who: Ints) -> NDArray[np.float64]:
    return np.round(people.price(who) * people.seats[who], 2)


def change_events(rng: np.random.Generator, people: Population, who: Ints, today: Day) -> list[Draft]:
    """The unhappy take a smaller plan, the content a bigger one; a few contracts gain a seat."""
    movers = who[rng.random(len(who)) < _PLAN_CHANGE_RATE]
    down = rng.random(len(movers)) < LOW[people.mood[movers]]
    new_plan = np.clip(people.plan[movers] + np.where(down, -1, 1), 0, 2)
    movers, new_plan = movers[new_plan != people.plan[movers]], new_plan[new_plan != people.plan[movers]]
    people.plan[movers] = new_plan
    at_ms = today.start_ms + time_of_day_ms(rng, len(movers))
    growing = who[(rng.random(len(who)) < _SEAT_CHANGE_RATE) & (people.plan[who] > 0)]
    people.seats[growing] += 1
    return [
        Draft.of("billing", "plan_change", movers, at_ms, price=people.price(movers), plan=new_plan),
        _profile(people, growing, today.start_ms + time_of_day_ms(rng, len(growing))),
    ]


def cancel_events(who: Ints, at_ms: Ints) -> Draft:
    """Cancellations at given times."""
    return Draft.of("billing", "cancel", who, at_ms)
