"""Feeds simulated customers into the topics in a thread, held back by whoever watches the loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np

from producers.kafka_sink import KafkaSink
from producers.progress import Progress
from producers.replay import Replayed, replay
from producers.simulate import OracleDay, SimulatedDay, SimulationConfig, simulate
from schemas.settings import Settings
from schemas.workload import Workload


class Feeder:
    """Simulates and publishes day after day, never past ``allowed_day``.

    Attributes
    ----------
    allowed_day
        The clock does not pass this day (days since the epoch).
    day
        Last day published whole; -1 before the first.
    n_events
        Events published.
    oracle
        True churn probabilities of the days that the simulation gave them for.
    cancelled
        Customer -> times (ms) of their cancellations.
    """

    def __init__(self, settings: Settings, workload: Workload, config: SimulationConfig) -> None:
        self.settings, self.workload, self.config = settings, workload, config
        self.allowed_day = config.first_day
        self.day, self.n_events = -1, 0
        self._current = -1
        self.oracle: list[OracleDay] = []
        self.cancelled: dict[str, list[int]] = {}
        self.error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def stop(self) -> None:
        """End after the day that is under way."""
        self._stopped.set()
        self._thread.join(30.0)

    @property
    def is_done(self) -> bool:
        """Whether every day has been published."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with KafkaSink(self.settings, self.workload) as sink:
                replay(
                    self._days(),
                    sink,
                    Progress((None,) * self.settings.partitions),
                    hold=self._must_wait,
                    report=self._report,
                )
        except BaseException as error:  # told by whoever waits for us
            self.error = error

    def _must_wait(self) -> bool:
        return not self._stopped.is_set() and self._current + 1 > self.allowed_day

    def _report(self, done: Replayed) -> None:
        self.n_events = done.n_events
        if done.day is not None:
            self.day = done.day

    def _days(self) -> Iterator[SimulatedDay]:
        for day in simulate(self.config):
            if self._stopped.is_set():
                return
            self._remember(day)
            self._current = day.day
            yield day

    def _remember(self, day: SimulatedDay) -> None:
        if day.oracle is not None:
            self.oracle.append(day.oracle)
        billing = self.workload.topic("billing")
        cancel = billing.kind_index["cancel"]
        for batch in day.batches:
            if batch.topic == "billing":
                for i in np.flatnonzero(batch.kind == cancel):
                    self.cancelled.setdefault(str(batch.customer_id[i]), []).append(int(batch.event_time_ms[i]))
