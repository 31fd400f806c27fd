"""The truth about who will cancel: exact probabilities, not estimates.

What it knows: the whole latent state at 00:00 (mood, open ticket and its tone, state of the invoice), segment, age of
the contract, billing day, the calendar ahead, and the law of cancellation on every day ahead, planted concept drifts
included. It integrates over the future by backward recursion on the 72 states. What it does not know: the dice, and the
rare changes of plan or seats within the horizon (about 2 % of customers in 30 days; it takes today's).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from producers.simulate.calendar import Day
from producers.simulate.law import N_STATES, hazard_factor, hazards, state_code, transition
from producers.simulate.population import Population

HORIZON_DAYS: Final = 30
_CHUNK: Final = 4096
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OracleDay:
    """True probabilities as of a day's 00:00, for customers live then.

    Attributes
    ----------
    day
        Days since 1970-01-01.
    customer_id
        Shape (n,).
    p_churn
        Probability that the customer cancels on this day or the 29 after it, float64 (n,).
    """

    day: int
    customer_id: NDArray[Any]
    p_churn: Floats


def churn_probability(
    people: Population, who: NDArray[np.int64], today: Day, concept_on: Callable[[int], bool]
) -> Floats:
    """Probability of a cancellation within the horizon, shape of `who`.

    Parameters
    ----------
    concept_on
        Whether the exchanged drivers hold on a day after the first.
    """
    chunks = [who[first : first + _CHUNK] for first in range(0, len(who), _CHUNK)]
    return np.concatenate([_chunk(people, chunk, today, concept_on) for chunk in chunks] or [np.zeros(0)])


def _chunk(people: Population, who: NDArray[np.int64], today: Day, concept_on: Callable[[int], bool]) -> Floats:
    state = state_code(people.mood[who], people.ticket[who], people.pay[who])
    return 1.0 - staying(people, who, today, concept_on)[np.arange(len(who)), state]


def staying(people: Population, who: NDArray[np.int64], today: Day, concept_on: Callable[[int], bool]) -> Floats:
    """Probability of no cancellation within the horizon by the state of today, shape (n, 72)."""
    segment, billing_day = people.segment(who), people.billing_day[who]
    stays = np.ones((len(who), N_STATES))
    for ahead in range(HORIZON_DAYS - 1, -1, -1):
        day = today.after(ahead)
        stays = _a_day_before(stays, billing_day == day.day_of_month, day.money_is_tight)
        age = hazard_factor(day.offset - people.live_from[who])
        stays *= np.exp(-hazards(concept_on(day.offset))[segment] * age[:, None])
    return stays


def _a_day_before(stays: Floats, bills: NDArray[np.bool_], money_is_tight: bool) -> Floats:
    """Expectation over the next day's state, by today's."""
    expected = stays @ transition(False, money_is_tight).T
    expected[bills] = stays[bills] @ transition(True, money_is_tight).T
    return expected
