"""One partition's story told again: every record in the order in which it was read, one after the other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from offline.verifier.customer import Customer, Definitions
from offline.verifier.decisions import ENDED, EVENT, TICK, URGENT, Decisions, Episodes
from offline.verifier.duplicates import RecentIds
from offline.verifier.events import Event, EventReader, Record, Refused
from offline.verifier.features import feature_row
from offline.verifier.liveness import is_forgotten, is_live, is_scored
from offline.verifier.models import Model, ModelsByDay
from offline.verifier.outputs import ExpectedAlert, ExpectedOutputs
from schemas.codec import Codec
from schemas.durations import DAY_MS
from schemas.errors import CodecError
from schemas.partition import partition_of
from schemas.settings import Settings
from schemas.workload import Alert, Workload

WAITING_ROWS = 2_000  # scored together: a single row costs XGBoost as much as a hundred


@dataclass(eq=False)
class DueRow:
    """A feature row that waits to be scored."""

    customer: Customer
    as_of_ms: int
    kind: int
    row: list[float]
    stamps: tuple[int, ...]


@dataclass
class Accounting:
    """What became of every record."""

    n_in: int = 0
    applied: int = 0
    duplicate: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class PartitionReplay:
    """Recomputes state, scores, alerts and dead letters of one partition.

    Parameters
    ----------
    settings, workload, codec
        Of the installation.
    partition
        Which one.
    models
        Which model scores which day.
    live_from_ms
        Alerts that opened as of an earlier moment are not published.
    """

    def __init__(
        self,
        settings: Settings,
        workload: Workload,
        codec: Codec,
        partition: int,
        models: ModelsByDay,
        live_from_ms: int = 0,
    ) -> None:
        self.workload, self.codec, self.partition, self.models = workload, codec, partition, models
        self.live_from_ms, self.n_partitions = live_from_ms, settings.partitions
        self.definitions = Definitions(workload)
        self.readers = [EventReader(workload, source, codec) for source in range(len(workload.topics))]
        self.recent = [RecentIds() if topic.deduplicate else None for topic in workload.topics]
        self.customers: dict[bytes, Customer] = {}
        self.clock_day = -1
        self.n_behind_clock = 0  # applied after a clock record that says that they had been written
        self.accounting = Accounting()
        self.outputs = ExpectedOutputs(settings.topic_prefix, workload, partition)
        self._waiting: list[DueRow] = []

    def take(self, source: int, record: Record) -> None:
        """Read the next record of a source; the clock is the source after the last."""
        if source == len(self.readers):
            self._take_clock(record)
            return
        self.accounting.n_in += 1
        try:
            self._take_event(source, record)
        except Refused as why:
            self.accounting.refused[why.reason] += 1
            self.outputs.add_dead_letter(self.workload.topics[source].name, record, why.reason)

    def finish(self) -> None:
        """Take the decisions that still wait."""
        self._settle()

    # ---- events ----
    def _take_event(self, source: int, record: Record) -> None:
        event = self.readers[source].read(record)
        recent = self.recent[source]
        if recent is not None and recent.is_duplicate(event.event_id, record.offset):
            self.accounting.duplicate += 1
            return
        customer = self._customer_of(event)
        customer.apply(self.definitions, event)
        customer.stamps[source] = record.offset
        self.accounting.applied += 1
        self.n_behind_clock += event.known_time_ms // DAY_MS < self.clock_day
        self._score_if_due(customer, event)
        if len(self._waiting) >= WAITING_ROWS:
            self._settle()

    def _customer_of(self, event: Event) -> Customer:
        """The event's customer, who has had the day's tick; new when there is none."""
        known_day = event.known_time_ms // DAY_MS
        today = max(self.clock_day, known_day)
        customer = self.customers.get(event.customer)
        if customer is None and partition_of(event.customer, self.n_partitions) != self.partition:
            raise Refused("misrouted")
        if customer is not None and customer.tick_day < today:
            if customer.n_waiting:
                self._settle()
            for day in (self.clock_day, known_day):
                if customer.tick_day < day:
                    self._tick(customer, day)
            if is_forgotten(self.definitions, customer, today):
                customer = None
        if customer is None:
            customer = self.customers[event.customer] = self._new_customer(event.customer, today)
        return customer

    def _new_customer(self, key: bytes, today: int) -> Customer:
        decisions = Decisions([Episodes() for _ in self.workload.alerts])
        return Customer(key, today, [-1] * len(self.readers), decisions)

    def _score_if_due(self, customer: Customer, event: Event) -> None:
        """An event is scored when it is urgent, or the first of a new step of event time."""
        step, is_urgent = event.event_time_ms // self.workload.score_every_ms, event.kind in self.definitions.urgent
        is_new_step = customer.step is None or step > customer.step
        if is_new_step:
            customer.step = step
        as_of_ms = max(event.event_time_ms, event.known_time_ms) + 1
        if (is_new_step or is_urgent) and is_scored(self.definitions, customer, as_of_ms):
            self._put(customer, as_of_ms, URGENT if is_urgent else EVENT)
        elif self._has_ended(customer, event, as_of_ms):
            self._put(customer, as_of_ms, ENDED)

    def _has_ended(self, customer: Customer, event: Event, as_of_ms: int) -> bool:
        is_newest_end = customer.newest_of(self.workload.live.end) == event.event_time_ms
        return is_newest_end and not is_live(self.definitions, customer, as_of_ms)

    # ---- days ----
    def _take_clock(self, record: Record) -> None:
        try:
            day = int(self.codec.decode(record.value, "clock")["day"])
        except CodecError as why:
            self.outputs.add_dead_letter("clock", record, why.reason)
            return
        if day > self.clock_day:
            self.clock_day = day
            self._settle()
            self._sweep(day)
            self._settle()

    def _sweep(self, day: int) -> None:
        """Tick everybody who has not had this day's tick."""
        for customer in list(self.customers.values()):
            if customer.tick_day < day:
                self._tick(customer, day)
                if is_forgotten(self.definitions, customer, day):
                    del self.customers[customer.key]
                if len(self._waiting) >= WAITING_ROWS:
                    self._settle()

    def _tick(self, customer: Customer, day: int) -> None:
        """Forget the tick scores whose label is known by now, then look at the customer as of 00:00."""
        horizon_days = -(-self.workload.label.horizon_ms // DAY_MS)
        for scored_day in [d for d in customer.decisions.remembered if d <= day - horizon_days]:
            del customer.decisions.remembered[scored_day]
        customer.tick_day = day
        if is_scored(self.definitions, customer, day * DAY_MS):
            self._put(customer, day * DAY_MS, TICK)
        elif customer.decisions.has_open_alert() and not is_live(self.definitions, customer, day * DAY_MS):
            self._put(customer, day * DAY_MS, ENDED)

    # ---- scores ----
    def _put(self, customer: Customer, as_of_ms: int, kind: int) -> None:
        row = feature_row(self.workload, customer, as_of_ms)
        customer.n_waiting += 1
        self._waiting.append(DueRow(customer, as_of_ms, kind, row, tuple(customer.stamps)))

    def _settle(self) -> None:
        """Score what waits, and decide row by row."""
        waiting, self._waiting = self._waiting, []
        for model, group in groupby(waiting, lambda due: self.models.at(due.as_of_ms // DAY_MS)):
            rows = list(group)
            x = np.array([due.row for due in rows], np.float64).astype(np.float32)
            scores = model.score(x, [TICK if due.kind == ENDED else due.kind for due in rows])
            for due, values, score in zip(rows, x, scores.tolist(), strict=True):
                due.customer.n_waiting -= 1
                self._decide(due, model, values, score)

    def _decide(self, due: DueRow, model: Model, x: npt.NDArray[np.float32], score: float) -> None:
        decisions = due.customer.decisions
        if due.kind != ENDED:
            threshold = model.thresholds[due.kind]
            why = decisions.publish(due.kind, score, threshold)
            if due.kind == TICK:
                decisions.remember(due.as_of_ms // DAY_MS, score)
            if why is not None:
                band = "high" if decisions.is_high else "low"
                content = {"score": score, "band": band, "model_version": model.version, "reason": why}
                self.outputs.add_score(due.customer.key, due.as_of_ms, due.kind, due.stamps, x, content)
        for rule, episodes in zip(self.workload.alerts, decisions.episodes, strict=True):
            self._decide_alert(due, model, x, score, rule, episodes)

    def _decide_alert(
        self,
        due: DueRow,
        model: Model,
        x: npt.NDArray[np.float32],
        score: float,
        rule: Alert,
        episodes: Episodes,
    ) -> None:
        kind = TICK if due.kind == ENDED else due.kind
        above = model.thresholds[kind] if rule.open_above is None else rule.open_above
        opened_at = episodes.open_since
        if due.kind == ENDED:
            status = episodes.move(-1.0, due.as_of_ms, 2.0, 0.0, 0)
        else:
            status = episodes.move(score, due.as_of_ms, above, above * rule.close_below, rule.cool_down_ms)
        if status is None or (opened_at or due.as_of_ms) < self.live_from_ms:
            return
        content: dict[str, Any] = {"as_of_ms": due.as_of_ms, "score": score, "model_version": model.version}
        contributions = model.contributions(x[None])[0] if status == "opened" else None
        self.outputs.add_alert(
            ExpectedAlert(due.customer.key, rule, episodes.number, status, kind, above, content, x, contributions)
        )
