"""How much of what can be known about simulated customers does the model know? ``python -m bench.oracle``

Simulates the default workload, trains as `driftline train` does, and judges model and oracle on the same held-out rows.
The oracle sees the hidden state of every customer, the log only shows it: a share of 1 is out of reach. With
``--observer`` the best that can be told from the log alone (`producers.simulate.observer`) stands beside both.
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
    """The events of a simulation, made anew for each reading; the first reading keeps oracle and observer."""

    def __init__(self, config: SimulationConfig) -> None:
        self._config = config
        self.oracle, self.observer = Oracle({}), Oracle({})

    def __call__(self) -> Iterator[EventBatch]:
        """All batches, days ascending."""
        is_first = not self.oracle.by_day
        plain = replace(self._config, oracle_every_days=0, has_observer=False)
        for day in simulate(self._config if is_first else plain):
            for kept, told in ((self.oracle, day.oracle), (self.observer, day.observer)):
                if told is not None:
                    pairs = zip(told.customer_id.tolist(), told.p_churn.tolist(), strict=True)
                    kept.by_day[told.day] = dict(pairs)
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
    found = _beside(training, trained, history)
    rows = training.fold("fit", "between", "later", row_kind=0)
    return found | {
        "n_events": training.span.n_events,
        "n_train_rows": int(rows.sum()),
        "n_train_positive": int(training.y[rows].sum()),
        "n_rounds": trained.n_rounds,
        "read_s": round(read_s, 1),
        "train_s": round(time.perf_counter() - began, 1),
    }


def _beside(training: TrainingSet, trained: Trained, history: SimulatedHistory) -> dict[str, Any]:
    rows = training.fold("test", row_kind=0)
    scores = scores_of(BoosterModel("v0001", core_files(training, trained), training.plan), training, rows)
    who, day = training.rows.customer_id[rows], training.rows.as_of_ms[rows] // DAY_MS
    truth, y, customer = history.oracle.probabilities(who, day), training.y[rows], training.customer[rows]
    found = beside_oracle(y, customer, scores, truth)
    if history.observer.by_day:
        told = history.observer.probabilities(who, day)
        found["observer"] = beside_oracle(y, customer, told, truth)
        found["of_observer"] = beside_oracle(y, customer, scores, told)
    return found


def _share(found: dict[str, Any]) -> str:
    share = found["lift_share"]
    return f"{share['value']:.3f} ({share['low']:.3f} to {share['high']:.3f})"


@click.command()
@click.option("--customers", type=click.IntRange(100), default=50_000, show_default=True)
@click.option("--days", type=click.IntRange(140), default=200, show_default=True)
@click.option("--events", type=float, default=20.0, show_default=True, help="Of a customer on a day, about.")
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--observer", is_flag=True, help="The best forecast from the log alone too; slow: for a few thousand.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures there too.")
def main(customers: int, days: int, events: float, seed: int, observer: bool, json_file: Path | None) -> None:
    """Simulate, train, and compare with the oracle; about five minutes with the defaults."""
    config = SimulationConfig(
        n_customers=customers, n_days=days, seed=seed, events_per_customer_day=events, has_observer=observer
    )
    found = measure(config)
    print(f"{customers} customers, {days} days, {found['n_events']:,} events, seed {seed}")
    for name in ("n_train_rows", "n_train_positive", "n_rounds", "read_s", "train_s"):
        print(f"{name:<18}{found[name]:,}")
    print(f"Model: {oracle_line(found)}")
    if observer:
        print(f"Observer: {oracle_line(found['observer'])}")
        print(f"Model beside the observer: {_share(found['of_observer'])} of the observer's lift.")
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
