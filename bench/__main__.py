"""``python -m bench``: the worker beside a hand-written NumPy loop and stock Faust, on the embedded broker.

Every engine runs as a process of its own on one core, broker and benchmark on the other; runs are interleaved.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench import compare, heart, report
from bench.dataset import KEYS, Dataset, create_dataset
from bench.faust_run import FaustStage, run_faust
from bench.machine import ROOT, cores, describe, environment, on_core
from bench.model_bundle import create_bundle
from bench.numpy_run import run_numpy
from bench.ours import run_ours
from bench.run import Run
from bench.stage import Stage, set_stage
from driftline.broker import EmbeddedBroker
from producers.simulate import SimulationConfig, simulate

ENGINES = ("ours", "numpy", "faust")


@click.command()
@click.option(
    "--events", type=click.IntRange(10_000), default=1_000_000, show_default=True, help="Of the measured day."
)
@click.option("--customers", type=click.IntRange(1000), help="A tenth of the events unless given.")
@click.option("--faust-events", type=click.IntRange(500), default=10_000, show_default=True, help="Prefix for Faust.")
@click.option("--runs", type=click.IntRange(1, 20), default=3, show_default=True)
@click.option("--only", default=",".join(ENGINES), show_default=True, help="Engines, separated by commas.")
@click.option("--keys", default=",".join(KEYS), show_default=True, help="Key distributions of usage.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures there too.")
@click.option("--profile", is_flag=True, help="Only the heart, stage by stage, without a broker.")
def main(
    events: int,
    customers: int | None,
    faust_events: int,
    runs: int,
    only: str,
    keys: str,
    json_file: Path | None,
    profile: bool,
) -> None:
    """Measure throughput on this machine; about nine minutes with the defaults."""
    engines, distributions = _chosen(only, ENGINES), _chosen(keys, KEYS)
    machine = describe()
    for name, value in machine.items():
        print(f"{name:<18}{value}")
    n_customers = customers or max(1000, events // 10)
    data = [(name, create_dataset(name, events, n_customers)) for name in distributions]
    if profile:
        _profile(data)
        return
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as home:
        found = _measure(data, engines, runs, faust_events, Path(home))
        found["extras"] = _extras(Path(home))
    print(
        f"\nimporting the worker {found['extras']['import_s']:.2f} s; "
        f"simulating {found['extras']['simulated_events_per_s']:,.0f} events/s"
    )
    if json_file is not None:
        json_file.write_text(
            json.dumps({"machine": machine, "events": events, "customers": n_customers} | found, indent=1)
        )


def _chosen(text: str, allowed: tuple[str, ...]) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in allowed:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(allowed)}")
    return names


def _measure(
    data: list[tuple[str, Dataset]], engines: list[str], runs: int, faust_events: int, home: Path
) -> dict[str, Any]:
    found: dict[str, Any] = {"keys": {}}
    measured, other = cores()
    with on_core(other), EmbeddedBroker() as broker:
        for name, dataset in data:
            stage = set_stage(dataset, name, broker, home)
            ways = _ways(stage, engines, faust_events, measured)
            done: dict[str, list[Run]] = {engine: [] for engine in ways}
            scores: dict[str, Any] = {}
            for _ in range(runs):
                for engine, run in ways.items():
                    done[engine].append(run())
                    print(f"  {name} {engine}: {done[engine][-1].events_per_s:,.0f} events/s", file=sys.stderr)
                    if engine == "ours" and not scores:
                        scores = compare.published_scores(stage)
            found["keys"][name] = _told(name, done, scores)
    return found


def _ways(stage: Stage, engines: list[str], faust_events: int, core: int | None) -> dict[str, Callable[[], Run]]:
    ways: dict[str, Callable[[], Run]] = {}
    if "ours" in engines:
        ways["ours"] = lambda: run_ours(stage, core)
    if "numpy" in engines:
        ways["numpy"] = lambda: run_numpy(stage, core)
    if "faust" in engines:
        faust_stage = FaustStage(stage, faust_events)
        ways["faust"] = lambda: run_faust(faust_stage, core)
    return ways


def _told(name: str, done: dict[str, list[Run]], scores: dict[str, Any]) -> dict[str, Any]:
    agreements = {}
    if "ours" in done and "numpy" in done:
        agreements["numpy"] = compare.compare_numpy(scores, done["ours"][0], done["numpy"][0])
    if "ours" in done and "faust" in done:
        agreements["faust"] = compare.compare_faust(scores, done["faust"][0])
    found = report.figures(done)
    report.print_figures(name, found, agreements)
    found["agree"] = {engine: agreement.is_full for engine, agreement in agreements.items()}
    return found


def _profile(data: list[tuple[str, Dataset]]) -> None:
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as home, on_core(cores()[0]):
        for name, dataset in data:
            bundle = create_bundle(Path(home) / name, dataset)
            heart.measure(dataset, bundle)  # loads the kernels
            report.print_profile(name, heart.measure(dataset, bundle))


def _extras(home: Path) -> dict[str, float]:
    """Import time of the worker with compiled Python at hand, and the pace of the simulator."""
    for _ in range(2):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import stream_app.app"], check=True, cwd=ROOT, env=environment(home))
        import_s = time.perf_counter() - began
    began, n = time.perf_counter(), 0
    for day in simulate(SimulationConfig(n_customers=20_000, n_days=20)):
        n += day.n_events
    return {"import_s": import_s, "simulated_events_per_s": n / (time.perf_counter() - began)}


if __name__ == "__main__":
    main()
