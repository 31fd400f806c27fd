"""The simulation, day by day: who cancels, what the others do, who joins, and what of it becomes known.

Usage, money, tickets and surveys are in modules of their own; this one keeps the order of the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from producers.simulate import contract, law, usage, voice
from producers.simulate.calendar import Day
from producers.simulate.config import SimulationConfig
from producers.simulate.draft import Draft
from producers.simulate.drifts import PlantedDrifts
from producers.simulate.layout import TOPICS
from producers.simulate.observer import Before, Observer
from producers.simulate.oracle import OracleDay, churn_probability
from producers.simulate.population import CAMPAIGN_MIX, USUAL_MIX, Mix, draw_population
from schemas.durations import DAY_MS
from schemas.events import EventBatch

Ints = NDArray[np.int64]

_USE_OF_A_MEAN_DAY: Final = 0.66
_OTHER_EVENTS: Final = 0.16
_RETURNING_SHARE: Final = 0.05
_RETURN_DAYS: Final = (15, 90)
_NEVER_MS: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class SimulatedDay:
    """What became known on a day.

    Attributes
    ----------
    day
        Days since 1970-01-01.
    batches
        One for each topic with events, sorted by known time, all known on this day.
    oracle
        True probabilities as of the day's 00:00; None on days not asked for.
    observer
        The best forecast from the log alone, for the same customers; None unless asked for.
    """

    day: int
    batches: list[EventBatch]
    oracle: OracleDay | None
    observer: OracleDay | None = None

    @property
    def n_events(self) -> int:
        """Events of all batches."""
        return sum(map(len, self.batches))


def simulate(config: SimulationConfig) -> Iterator[SimulatedDay]:
    """The days of a simulation, in order.

    Raises
    ------
    SimulationError
        When a planted drift cannot be.

    Examples
    --------
    >>> days = list(simulate(SimulationConfig(n_customers=100, n_days=3)))
    >>> [batch.topic for batch in days[0].batches]
    ['billing', 'profile']
    """
    world = _World(config)
    return (world.live_through(Day(offset, config.first_day + offset)) for offset in range(config.n_days))


class _World:
    """Everything that is carried from day to day."""

    def __init__(self, config: SimulationConfig) -> None:
        self._config = config
        self._drifts = PlantedDrifts(config)
        self._rng = np.random.default_rng(config.seed)
        self._people = draw_population(self._rng, 0, 1.0)
        self._ids = _CustomerIds(config)
        self._pending: dict[str, list[Draft]] = {topic: [] for topic in TOPICS}
        self._n_written = dict.fromkeys(TOPICS, 0)
        self._observer = Observer(self._activity()) if config.has_observer else None

    def live_through(self, today: Day) -> SimulatedDay:
        people, rng = self._people, self._rng
        who = np.flatnonzero(people.live)
        oracle, observer = self._oracle(who, today), self._observed(who, today)
        before = Before(people.ticket.copy(), people.pay.copy())
        cancelled, cancel_ms = self._cancellations(who, today)
        usage.go_away(rng, people, who, today.offset)
        drafts = usage.usage_events(rng, people, who, today, self._drifts.usage_factor(today.offset))
        drafts += voice.survey_events(rng, people, who, today)
        drafts += contract.change_events(rng, people, who, today)
        mood = law.move_mood(people.mood[who], rng.random(len(who)))
        drafts += contract.money_events(rng, people, who, today)
        drafts += voice.ticket_events(rng, people, who, today)
        people.mood[who] = mood
        drafts = _before_the_end(drafts, len(people), cancelled, cancel_ms)
        drafts.append(contract.cancel_events(cancelled, cancel_ms))
        self._end_contracts(cancelled, today)
        self._observe(np.setdiff1d(who, cancelled), today, before, drafts)
        joining = self._joining(today)
        drafts += contract.begin_contracts(rng, people, joining, today)
        if self._observer is not None:
            self._observer.begin(len(people), joining, today.offset == 0)
        return SimulatedDay(today.day, self._publish(drafts, today), oracle, observer)

    def _is_asked(self, today: Day) -> bool:
        every = self._config.oracle_every_days
        return every > 0 and today.offset % every == 0 and today.offset >= self._config.oracle_after_days

    def _observed(self, who: Ints, today: Day) -> OracleDay | None:
        if self._observer is None or not self._is_asked(today):
            return None
        p_churn = self._observer.forecast(self._people, who, today, self._drifts.concept_on)
        return OracleDay(today.day, self._ids.of(len(self._people))[who], p_churn)

    def _observe(self, who: Ints, today: Day, before: Before, drafts: list[Draft]) -> None:
        if self._observer is not None:
            factor, is_concept = self._drifts.usage_factor(today.offset), self._drifts.concept_on(today.offset)
            self._observer.update(self._people, who, today, before, drafts, is_concept, factor)

    def _oracle(self, who: Ints, today: Day) -> OracleDay | None:
        if not self._is_asked(today):
            return None
        p_churn = churn_probability(self._people, who, today, self._drifts.concept_on)
        return OracleDay(today.day, self._ids.of(len(self._people))[who], p_churn)

    def _cancellations(self, who: Ints, today: Day) -> tuple[Ints, Ints]:
        """Who cancels today, and when; hazards are taken at 00:00."""
        people = self._people
        state = law.state_code(people.mood[who], people.ticket[who], people.pay[who])
        rate = law.hazards(self._drifts.concept_on(today.offset))[people.segment(who), state]
        rate = rate * law.hazard_factor(today.offset - people.live_from[who])
        cancelled = who[self._rng.random(len(who)) < -np.expm1(-rate)]
        return cancelled, today.start_ms + 1 + usage.time_of_day_ms(self._rng, len(cancelled))

    def _end_contracts(self, cancelled: Ints, today: Day) -> None:
        self._people.live[cancelled] = False
        returning = cancelled[self._rng.random(len(cancelled)) < _RETURNING_SHARE]
        self._people.returns_on[returning] = today.offset + self._rng.integers(*_RETURN_DAYS, len(returning))

    def _joining(self, today: Day) -> Ints:
        """Rows of the customers whose contract begins today: new ones, and some who come back."""
        config, people = self._config, self._people
        returning = np.flatnonzero(people.returns_on == today.offset)
        usual = self._rng.poisson(config.n_customers * config.growth / 30.0 * today.join_factor)
        new = self._newcomers(usual if today.offset else config.n_customers, USUAL_MIX)
        campaign = self._drifts.campaign_newcomers(today.offset)
        if campaign == 0.0:
            return np.concatenate([returning, new])
        return np.concatenate([returning, new, self._newcomers(self._rng.poisson(campaign), CAMPAIGN_MIX)])

    def _newcomers(self, n: int, mix: Mix) -> Ints:
        return self._people.add(draw_population(self._rng, n, self._activity(), mix))

    def _activity(self) -> float:
        """Mean of `Population.activity` for the usual mix."""
        sessions = (self._config.events_per_customer_day - _OTHER_EVENTS) / usage.EVENTS_PER_SESSION
        return max(sessions, 0.02) / _USE_OF_A_MEAN_DAY

    def _publish(self, drafts: list[Draft], today: Day) -> list[EventBatch]:
        """Draw delays, keep back what is not known yet, and write the rest."""
        for draft in drafts:
            draft.delay(self._rng, self._config.shuffled_share)
            self._drifts.spoil(draft.topic, today.offset, draft.values)
            self._pending[draft.topic].append(draft)
        batches = []
        for topic, waiting in self._pending.items():
            now, later = Draft.join(waiting).split(today.start_ms + DAY_MS)
            self._pending[topic] = [later]
            if len(now):
                batches.append(self._write(now))
        return batches

    def _write(self, draft: Draft) -> EventBatch:
        first = self._n_written[draft.topic]
        self._n_written[draft.topic] += len(draft)
        return draft.written(self._ids.of(len(self._people)), f"s{self._config.seed}", first)


def _before_the_end(drafts: list[Draft], n: int, cancelled: Ints, cancel_ms: Ints) -> list[Draft]:
    """The events without those that cancelled customers did not come to do."""
    end_ms = np.full(n, _NEVER_MS)
    end_ms[cancelled] = cancel_ms
    return [draft.take(np.flatnonzero(draft.event_ms < end_ms[draft.who])) for draft in drafts]


class _CustomerIds:
    """Ids such as ``C048213``: unique, and in no telling order."""

    def __init__(self, config: SimulationConfig) -> None:
        expected = config.n_customers * (2.0 + config.growth * config.n_days / 30.0)
        expected += sum(d.strength * config.n_customers for d in config.drifts if d.kind == "covariate")
        self._digits = max(6, len(str(int(2 * expected))))
        self._offset = 7919 * (config.seed + 1)
        self._ids: NDArray[Any] = np.zeros(0, dtype=object)

    def of(self, n: int) -> NDArray[Any]:
        """Ids of the first n customers."""
        if len(self._ids) < n:
            space = 10**self._digits
            rows = range(len(self._ids), n)
            new = [f"C{(self._offset + row * 61803399) % space:0{self._digits}d}" for row in rows]
            self._ids = np.concatenate([self._ids, np.array(new, dtype=object)])
        return self._ids
