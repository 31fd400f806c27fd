"""How much of what can be known about simulated customers does the model know? ``python -m bench.oracle``

Simulates the default workload, trains as `driftline train` does, and judges model and oracle on the same held-out rows.
The oracle sees the hidden state of every customer, the log only shows it: a share of 1 is out of reach.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from offline.cutoffs import Block, Cutoffs, choose_cutoffs
from offline.oracle import Oracle, beside_oracle, oracle_line
from offline.packaging import core_files, scores_of
from offline.train import Trained, train
from offline.training_set import TrainingSet, build_training_set
from producers.simulate import HORIZON_DAYS, SimulationConfig, simulate
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.workload import load_workload
from stream_app.model import BoosterModel

ORACLE_EVERY_DAYS = 7


class SimulatedHistory:
    """The events of a simulation, made anew for each reading; the first reading keeps the oracle."""

    def __init__(self, config: SimulationConfig) -> None:
        self._config = config
        self.by_day: dict[int, dict[str, float]] = {}

    def __call__(self) -> Iterator[EventBatch]:
        """All batches, days ascending."""
        wanted = self._config if not self.by_day else replace(self._config, oracle_every_days=0)
        for day in simulate(wanted):
            if day.oracle is not None:
                people, p_churn = day.oracle.customer_id.tolist(), day.oracle.p_churn.tolist()
                self.by_day[day.day] = dict(zip(people, p_churn, strict=True))
            yield from day.batches


def split_of(config: SimulationConfig) -> Cutoffs:
    """The cut-offs that `driftline train` takes; the test block at the days of the oracle."""
    chosen = choose_cutoffs(config.first_day, config.first_day + config.n_days, HORIZON_DAYS)
    days = range(chosen.test.first_day, chosen.test.last_day + 1)
    judged = tuple(day for day in days if (day - config.first_day) % ORACLE_EVERY_DAYS == 0)
    return replace(chosen, test=Block(chosen.test.first_day, chosen.test.last_day, judged))


def measure(config: SimulationConfig) -> dict[str, Any]:
    """Train on a simulation and compare with its oracle."""
    began, split = time.perf_counter(), split_of(config)
    late = replace(
        config, oracle_every_days=ORACLE_EVERY_DAYS, oracle_after_days=split.test.first_day - config.first_day
    )
    history = SimulatedHistory(late)
    until_ms = (config.first_day + config.n_days) * DAY_MS
    workload = load_workload("subscription_churn")
    training = build_training_set(workload, history, lambda _: split, known_until_ms=until_ms)
    read_s, began = time.perf_counter() - began, time.perf_counter()
    trained = train(training)
    found = _beside(training, trained, Oracle(history.by_day))
    rows = training.fold("fit", "between", "later", row_kind=0)
    return found | {
        "n_events": training.span.n_events,
        "n_train_rows": int(rows.sum()),
        "n_train_positive": int(training.y[rows].sum()),
        "n_rounds": trained.n_rounds,
        "read_s": round(read_s, 1),
        "train_s": round(time.perf_counter() - began, 1),
    }


def _beside(training: TrainingSet, trained: Trained, oracle: Oracle) -> dict[str, Any]:
    rows = training.fold("test", row_kind=0)
    model = BoosterModel("v0001", core_files(training, trained), training.plan)
    truth = oracle.probabilities(training.rows.customer_id[rows], training.rows.as_of_ms[rows] // DAY_MS)
    return beside_oracle(training.y[rows], training.customer[rows], scores_of(model, training, rows), truth)


@click.command()
@click.option("--customers", type=click.IntRange(100), default=50_000, show_default=True)
@click.option("--days", type=click.IntRange(140), default=200, show_default=True)
@click.option("--events", type=float, default=5.0, show_default=True, help="Of a customer on a day, about.")
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures there too.")
def main(customers: int, days: int, events: float, seed: int, json_file: Path | None) -> None:
    """Simulate, train, and compare with the oracle; about five minutes with the defaults."""
    config = SimulationConfig(n_customers=customers, n_days=days, seed=seed, events_per_customer_day=events)
    found = measure(config)
    print(f"{customers} customers, {days} days, {found['n_events']:,} events, seed {seed}")
    for name in ("n_train_rows", "n_train_positive", "n_rounds", "read_s", "train_s"):
        print(f"{name:<18}{found[name]:,}")
    print(oracle_line(found))
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
