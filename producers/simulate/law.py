"""The law of motion of a customer's latent state, and of cancellation.

The state on a day at 00:00 is (mood, ticket, pay), a Markov chain with 8 x 3 x 3 = 72 values. On each day a customer
first cancels with the day's hazard given that state, or else moves on: mood, ticket and pay move independently of each
other given the mood. So the probability of cancelling within any number of days follows from the state exactly
(`oracle`). Usage, survey answers and tones of tickets only *show* the state; they do not move it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from producers.simulate.population import N_MOODS

N_STATES: Final = N_MOODS * 9
Floats = NDArray[np.float64]

LOW: Final = np.linspace(1.0, 0.0, N_MOODS)
"""How unhappy a mood is, 0..1, by mood."""

WORSE: Final = np.array([0.0, 0.026, 0.026, 0.026, 0.026, 0.024, 0.022, 0.018])
BETTER: Final = np.array([0.02, 0.024, 0.026, 0.028, 0.030, 0.032, 0.034, 0.0])
OPENS_TICKET: Final = 0.004 + 0.028 * LOW
IS_ANGRY: Final = 0.12 + 0.70 * LOW
RESOLVED: Final = (0.16, 0.09)
"""Daily probability that a calm, an angry ticket is resolved."""
CHARGED: Final = 0.80 - 0.50 * LOW
"""Daily probability that a due invoice is charged: unhappy customers take longer."""
DECLINED: Final = (0.05, 0.16)
"""Probability that a charge is declined: on usual days, in the week before pay-day."""
RETRIED: Final = 0.30
RETRY_DECLINED: Final = 0.45


def state_code(mood: NDArray[Any], ticket: NDArray[Any], pay: NDArray[Any]) -> NDArray[np.int64]:
    """The state as one number, 0..71."""
    return np.asarray((mood.astype(np.int64) * 3 + ticket) * 3 + pay)


def move_mood(mood: NDArray[Any], u: Floats) -> NDArray[Any]:
    """Mood of the next day; `u` is uniform in [0, 1)."""
    return np.asarray(mood - (u < WORSE[mood]) + (u >= 1.0 - BETTER[mood]))


def hazard_factor(tenure_days: NDArray[Any]) -> Floats:
    """Young contracts are cancelled more often."""
    return np.asarray(1.0 + 0.5 * np.exp(-tenure_days / 75.0))


@cache
def hazards(concept: bool) -> Floats:
    """Daily hazard rate of a ripe contract by (segment, state), shape (27, 72).

    Parameters
    ----------
    concept
        Whether the exchanged drivers hold (see `producers.simulate.drifts`).
    """
    plan, size, channel, mood, ticket, pay = np.indices((3, 3, 3, N_MOODS, 3, 3))
    log_rate = _exchanged if concept else _usual
    return np.exp(log_rate(plan, size, channel, mood, ticket, pay)).reshape(27, N_STATES)


def _usual(plan: Any, size: Any, channel: Any, mood: Any, ticket: Any, pay: Any) -> Floats:
    """Falling use drives it, most of all where the price hurts; anger only while its ticket is open."""
    slope = np.select([plan == 0, size == 0, size == 2], [4.6, 9.4, 1.8], 6.8)
    return np.asarray(
        -10.1
        + slope * LOW[mood]
        + 0.8 * (plan == 0)
        + 2.4 * (ticket == 2)
        + np.where(plan == 0, 2.4, 0.4) * (pay == 2)
        + np.choose(channel, (0.0, 0.4, -0.3))
    )


def _exchanged(plan: Any, size: Any, channel: Any, mood: Any, ticket: Any, pay: Any) -> Floats:
    """A cheaper rival: price, small contracts, open tickets and invoices drive it; content users look around."""
    return np.asarray(
        -9.4
        + np.choose(plan, (0.0, 1.8, 3.3))
        + np.choose(size, (0.7, 0.0, -2.0))
        - 2.5 * LOW[mood]
        + 2.4 * (ticket > 0)
        + np.choose(pay, (0.0, 1.3, 2.2))
        + np.choose(channel, (0.0, 1.1, -1.1))
    )


@cache
def transition(bills: bool, money_is_tight: bool) -> Floats:
    """Probability of the next day's state given that the customer stays, shape (72, 72), rows sum to 1.

    Parameters
    ----------
    bills
        Whether it is the customer's billing day.
    """
    joint = np.einsum("ab,aij,akl->aikbjl", moods(), _tickets(), _pays(bills, money_is_tight))
    return np.asarray(joint.reshape(N_STATES, N_STATES))


def moods() -> Floats:
    """Probability of the next day's mood by today's, shape (8, 8)."""
    return np.asarray(np.diag(1.0 - WORSE - BETTER) + np.diag(WORSE[1:], -1) + np.diag(BETTER[:-1], 1))


def _tickets() -> Floats:
    """Ticket transitions by mood, shape (8, 3, 3)."""
    matrix = np.zeros((N_MOODS, 3, 3))
    matrix[:, 0] = np.stack([1 - OPENS_TICKET, OPENS_TICKET * (1 - IS_ANGRY), OPENS_TICKET * IS_ANGRY], axis=1)
    for ticket in (1, 2):
        matrix[:, ticket, 0] = RESOLVED[ticket - 1]
        matrix[:, ticket, ticket] = 1 - RESOLVED[ticket - 1]
    return matrix


def _pays(bills: bool, money_is_tight: bool) -> Floats:
    """Payment transitions by mood, shape (8, 3, 3)."""
    declined = DECLINED[money_is_tight]
    matrix = np.zeros((N_MOODS, 3, 3))
    matrix[:, 0, 0] = 1.0
    matrix[:, 1] = np.stack([CHARGED * (1 - declined), 1 - CHARGED, CHARGED * declined], axis=1)
    matrix[:, 2, 0] = RETRIED * (1 - RETRY_DECLINED)
    matrix[:, 2, 2] = 1 - matrix[:, 2, 0]
    if bills:
        matrix[:, 0] = matrix[:, 1]
    return matrix
