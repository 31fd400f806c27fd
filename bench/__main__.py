"""``python -m bench``: what the heart does on this machine, stage by stage, and how fast customers are simulated.

The heart is fed from memory: no broker, no asyncio. The loops that it is to run beside (`numpy_loop`, `faust_loop`) are
not wired into this table yet.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import click

from bench import heart
from bench.dataset import KEYS, create_dataset
from bench.machine import describe
from bench.model_bundle import create_bundle
from producers.simulate import SimulationConfig, simulate


@click.command()
@click.option("--events", type=click.IntRange(10_000), default=300_000, show_default=True)
@click.option("--customers", type=click.IntRange(1000), default=30_000, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True)
def main(events: int, customers: int, runs: int) -> None:
    """Medians of some runs, one core."""
    for name, value in describe().items():
        print(f"{name:<24} {value}")
    with tempfile.TemporaryDirectory() as folder:
        for keys in KEYS:
            data = create_dataset(keys, events, customers)
            bundle = create_bundle(Path(folder) / keys, data)
            found = [heart.measure(data, bundle) for _ in range(runs)]
            rates = [data.n_events / run.seconds for run in found]
            rows = [run.n_rows / run.seconds for run in found]
            print(f"\n{keys} keys: {statistics.median(rates):,.0f} events/s ({min(rates):,.0f}-{max(rates):,.0f}), "
                  f"{statistics.median(rows):,.0f} rows scored/s")  # fmt: skip
            for stage, seconds in sorted(found[-1].stages.items(), key=lambda item: -item[1]):
                print(f"  {stage:<22} {1e6 * seconds / data.n_events:6.2f} us/event")
    began, n = time.perf_counter(), 0
    for day in simulate(SimulationConfig(n_customers=20_000, n_days=20)):
        n += day.n_events
    print(f"\nsimulate: {n / (time.perf_counter() - began):,.0f} events/s")


if __name__ == "__main__":
    main()
