"""What customers say on a day: tickets and answers to surveys."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from producers.simulate.calendar import Day
from producers.simulate.draft import Draft
from producers.simulate.law import IS_ANGRY, LOW, OPENS_TICKET, RESOLVED
from producers.simulate.population import Population
from producers.simulate.usage import time_of_day_ms

Ints = NDArray[np.int64]

ANSWERS: Final = 4.6 - 3.2 * LOW
"""Mean answer to a survey, by mood."""
ANSWER_SPREAD: Final = 0.5
_SURVEY_RATE: Final = 1 / 20
_HOUR_MS: Final = 3_600_000


def ticket_events(rng: np.random.Generator, people: Population, who: Ints, today: Day) -> list[Draft]:
    """Tickets opened and resolved; moves `Population.ticket` as `law.transition` says."""
    before, u = people.ticket[who], rng.random(len(who))
    opens = (before == 0) & (u < OPENS_TICKET[people.mood[who]])
    resolves = (before > 0) & (u < np.array([0.0, *RESOLVED])[before])
    opened, resolved = who[opens], who[resolves]
    people.ticket[opened] = 1 + (rng.random(len(opened)) < IS_ANGRY[people.mood[opened]])
    people.ticket[resolved] = 0
    resolved_ms = today.start_ms + rng.integers(8 * _HOUR_MS, 19 * _HOUR_MS, len(resolved))
    return [_opened(rng, people, opened, today), Draft.of("support", "ticket_resolved", resolved, resolved_ms)]


def _opened(rng: np.random.Generator, people: Population, who: Ints, today: Day) -> Draft:
    angry = people.ticket[who] == 2
    tone = np.where(angry, -0.55, 0.15) + 0.18 * rng.standard_normal(len(who))
    severity = np.clip(np.rint(np.where(angry, 2.9, 2.1) + 0.8 * rng.standard_normal(len(who))), 1, 4)
    at_ms = today.start_ms + time_of_day_ms(rng, len(who))
    sentiment = np.round(np.clip(tone, -1.0, 1.0), 3)
    return Draft.of("support", "ticket_opened", who, at_ms, sentiment=sentiment, severity=severity)


def survey_events(rng: np.random.Generator, people: Population, who: Ints, today: Day) -> list[Draft]:
    """Answers to surveys: satisfaction with noise, 1 to 5."""
    answers = who[rng.random(len(who)) < _SURVEY_RATE]
    csat = ANSWERS[people.mood[answers]] + ANSWER_SPREAD * rng.standard_normal(len(answers))
    at_ms = today.start_ms + time_of_day_ms(rng, len(answers))
    return [Draft.of("survey", "survey_answered", answers, at_ms, csat=np.clip(np.rint(csat), 1, 5))]
