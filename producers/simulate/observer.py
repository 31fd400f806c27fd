"""What the log can tell at best: a reader that knows the simulator's law and every event, but not the hidden mood.

It keeps a belief about each customer's mood, habits and pauses, and updates it every day by Bayes' rule: usage, its
kinds and lengths, answers, tickets, how long an invoice stays open, and that nobody has left yet. Who learns from the
same log cannot be expected to know more; the oracle, who sees the mood, does. Approximate: habits lie on a grid, pauses
end at random, weekends of single users are average, and newcomers of a campaign are taken for usual ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import erf
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from producers.simulate import law, population, usage, voice
from producers.simulate.calendar import Day
from producers.simulate.draft import Draft
from producers.simulate.law import LOW
from producers.simulate.oracle import staying
from producers.simulate.population import N_MOODS, Population

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_ACTIVITY: Final = np.linspace(-2.4, 2.4, 13)
_PACE: Final = np.linspace(-2.0, 2.0, 7)
_RETURNS: Final = 1.0 / float(np.mean(range(*usage.AWAY_DAYS)))
_CHUNK: Final = 2048
_MINUTES_VARIANCE: Final = usage.MINUTES_SPREAD**2
_KINDS_SHARE: Final = np.stack([np.ones(N_MOODS), np.full(N_MOODS, usage.LOGINS), usage.EXPORTS, usage.ERRORS])
"""Events of each kind for a session, by mood; in the order of `usage.usage_events`."""


@dataclass(frozen=True, eq=False)
class Before:
    """What is open at a day's 00:00, by row of the population."""

    ticket: NDArray[Any]
    pay: NDArray[Any]


class Observer:
    """Beliefs about all customers.

    Parameters
    ----------
    mean_activity
        Mean of `Population.activity` for the usual mix.
    """

    def __init__(self, mean_activity: float) -> None:
        self._mean_activity = mean_activity
        self._belief = np.zeros((0, 2, N_MOODS, len(_ACTIVITY), len(_PACE)), np.float32)

    def begin(self, n: int, who: Ints, is_first_day: bool) -> None:
        """Contracts begin: the belief is what anyone knows of a newcomer; n customers are known by now."""
        grown = np.zeros((n - len(self._belief), *self._belief.shape[1:]), np.float32)
        self._belief = np.concatenate([self._belief, grown])
        shares = population.SETTLED_MOODS if is_first_day else population.FRESH_MOODS
        self._belief[who, 1] = 0.0
        self._belief[who, 0] = np.einsum("m,a,p->map", shares, _bell(_ACTIVITY), _bell(_PACE))

    def forecast(self, people: Population, who: Ints, today: Day, concept_on: Callable[[int], bool]) -> Floats:
        """Probability of a cancellation within the horizon as far as the log tells, shape of `who`."""
        found = [np.zeros(0)]
        for some in _chunks(who):
            mood = self._belief[some].sum(axis=(1, 3, 4), dtype=np.float64)
            stays = staying(people, some, today, concept_on)
            states = law.state_code(np.arange(N_MOODS), people.ticket[some, None], people.pay[some, None])
            leaves = 1.0 - np.take_along_axis(stays, states, axis=1)
            found.append((mood * leaves).sum(axis=1) / mood.sum(axis=1))
        return np.concatenate(found)

    def update(
        self, people: Population, who: Ints, today: Day, before: Before, drafts: Sequence[Draft], is_concept: bool,
        factor: float,
    ) -> None:  # fmt: skip
        """Learn from a day of customers that were live at its 00:00 and have not cancelled.

        Parameters
        ----------
        drafts
            All events of the day.
        factor
            Seasonal factor of all usage.
        """
        n = len(people)
        counts, minutes = _usage_of(n, drafts)
        answers = [draft for draft in drafts if draft.topic == "survey"]
        for some in _chunks(who):
            mood = _survival(people, some, today, before, is_concept) * _tickets(people, some, before)
            mood *= _payments(people, some, today, before) * _answers(n, some, answers)
            used, idle = self._use(people, some, today, counts[:, some], minutes[some], factor)
            belief = self._belief[some].astype(np.float64)
            belief[:, 0] *= used * mood[:, :, None, None]
            belief[:, 1] *= idle[:, None, None, None] * mood[:, :, None, None]
            belief = np.einsum("nvmap,mk,vw->nwkap", belief, law.moods(), _PAUSES, optimize=True)
            self._belief[some] = belief / belief.sum(axis=(1, 2, 3, 4), keepdims=True)

    def _use(
        self, people: Population, who: Ints, today: Day, counts: Floats, minutes: Floats, factor: float
    ) -> tuple[Floats, Floats]:
        """Likelihood of the usage of those who are there (n, mood, activity, pace) and of those who pause (n,)."""
        spread = population.ACTIVITY_SPREAD
        usual = self._mean_activity * np.exp(spread * _ACTIVITY - spread**2 / 2)
        at_work = _weekend(people, who, today) * factor * population.PLAN_ACTIVITY[people.plan[who]]
        rate = at_work[:, None, None] * usage.USE[:, None] * usual
        n_events = counts.sum(axis=0)
        log = n_events[:, None, None] * np.log(rate) - rate * _KINDS_SHARE.sum(axis=0)[:, None]
        log += np.einsum("kn,km->nm", counts, np.log(_KINDS_SHARE))[:, :, None]
        pace = np.log(population.PACE_MINUTES) + population.PACE_SPREAD * _PACE - LOW[:, None]
        n_sessions = counts[0][:, None, None]
        variance = _MINUTES_VARIANCE * np.maximum(n_sessions, 1)
        lengths = -((minutes[:, None, None] - n_sessions * pace) ** 2) / (2 * variance)
        log = log[:, :, :, None] + np.where(n_sessions > 0, lengths, 0.0)[:, :, None, :]
        top = np.maximum(log.max(axis=(1, 2, 3)), np.where(n_events == 0, 0.0, -np.inf))
        return np.exp(log - top[:, None, None, None]), np.where(n_events == 0, np.exp(-top), 0.0)


_PAUSES: Final = np.array([[1.0 - usage.AWAY_RATE, usage.AWAY_RATE], [_RETURNS, 1.0 - _RETURNS]])


def _bell(z: Floats) -> Floats:
    weight = np.exp(-(z**2) / 2)
    return np.asarray(weight / weight.sum())


def _chunks(who: Ints) -> list[Ints]:
    return [who[first : first + _CHUNK] for first in range(0, len(who), _CHUNK)]


def _usage_of(n: int, drafts: Sequence[Draft]) -> tuple[Floats, Floats]:
    """Counts of the four usage kinds (4, n), and the sum of the logarithms of session lengths (n,)."""
    counts, minutes = np.zeros((4, n)), np.zeros(n)
    for draft in drafts:
        if draft.topic == "usage" and len(draft):
            kind = _KIND_ROW[int(draft.kind[0])]
            counts[kind] += np.bincount(draft.who, minlength=n)
            if kind == 0:
                minutes += np.bincount(draft.who, np.log(draft.values["minutes"]), minlength=n)
    return counts, minutes


_KIND_ROW: Final = {1: 0, 0: 1, 2: 2, 3: 3}  # kinds of the topic are login, session, export, error


def _weekend(people: Population, who: Ints, today: Day) -> Floats:
    if today.weekday < 5:
        return np.ones(len(who))
    singles = float(np.mean(population.WEEKENDS_OF_SINGLES))
    return np.where(people.seats[who] > 1, population.WEEKENDS_OF_TEAMS, singles)


def _survival(people: Population, who: Ints, today: Day, before: Before, is_concept: bool) -> Floats:
    """Likelihood of not having left, by mood (n, 8)."""
    state = law.state_code(np.arange(N_MOODS), before.ticket[who, None], before.pay[who, None])
    rate = law.hazards(is_concept)[people.segment(who)[:, None], state]
    return np.exp(-rate * law.hazard_factor(today.offset - people.live_from[who])[:, None])


def _tickets(people: Population, who: Ints, before: Before) -> Floats:
    """Likelihood of the ticket that was opened, or of none; nothing is learnt while one is open."""
    calm, angry = law.OPENS_TICKET * (1 - law.IS_ANGRY), law.OPENS_TICKET * law.IS_ANGRY
    opened = np.stack([1 - law.OPENS_TICKET, calm, angry])[people.ticket[who]]
    return np.where((before.ticket[who] == 0)[:, None], opened, 1.0)


def _payments(people: Population, who: Ints, today: Day, before: Before) -> Floats:
    """Likelihood of a due invoice being charged, or not."""
    billed = (before.pay[who] == 0) & (people.billing_day[who] == today.day_of_month)
    due, charged = billed | (before.pay[who] == 1), people.pay[who] != 1
    return np.where(due[:, None], np.where(charged[:, None], law.CHARGED, 1 - law.CHARGED), 1.0)


def _answers(n: int, who: Ints, answers: Sequence[Draft]) -> Floats:
    """Likelihood of the day's answers to surveys."""
    likelihood = np.ones((n, N_MOODS))
    for draft in answers:
        np.multiply.at(likelihood, draft.who, _ANSWER[draft.values["csat"].astype(np.int64) - 1])
    return np.asarray(likelihood[who])


def _answer_table() -> Floats:
    """Probability of each answer 1..5 by mood, shape (5, 8)."""
    edges = (np.arange(1.5, 5.0)[:, None] - voice.ANSWERS) / voice.ANSWER_SPREAD
    below = np.array([[0.5 * (1 + erf(z / 2**0.5)) for z in row] for row in edges])
    return np.diff(np.concatenate([np.zeros((1, N_MOODS)), below, np.ones((1, N_MOODS))]), axis=0)


_ANSWER: Final = _answer_table()
