"""``driftline replay`` and ``driftline simulate``: files or simulated customers into topics, or into files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from producers.errors import ReplayError
from producers.pace import Pace, speed_of
from producers.recording import EventDay, day_of, day_text
from schemas.settings import Settings
from schemas.workload import Workload, load_workload

if TYPE_CHECKING:
    from producers.simulate import Drift, SimulatedDay, SimulationConfig

_FOLDER = click.Path(file_okay=False, path_type=Path)
_speed_option = click.option("--speed", default="max", show_default=True, help='"86400x" is one event-day in a second.')
_resume_option = click.option("--resume", is_flag=True, help="Go on after what the topics hold already.")
_progress_option = click.option("--progress/--no-progress", default=None, help="Show how far it is.")


@click.command(epilog="\b\nExample:\n  driftline replay examples/cdnow.toml --data ~/cdnow --speed 86400x")
@click.argument("workload")
@click.option("--data", "data_dir", type=_FOLDER, help="Folder of the sources' files; default: that of WORKLOAD.")
@click.option("--from", "first", metavar="DAY", help="First day (when events became known), like 2025-01-01.")
@click.option("--until", metavar="DAY", help="Day to stop before: events known before its 00:00 UTC are sent.")
@_speed_option
@_resume_option
@_progress_option
def replay(
    workload: str,
    data_dir: Path | None,
    first: str | None,
    until: str | None,
    speed: str,
    resume: bool,
    progress: bool | None,
) -> None:
    """Send the files of a workload's [[source]] entries to its topics, in the order the events became known."""
    from producers.sources import read_events  # late: it loads pandas

    pace, bounds = Pace(speed_of(speed)), (first and day_of(first), until and day_of(until))
    found = load_workload(workload)
    recording = read_events(found, data_dir, os.environ)
    for source in recording.sources:
        click.echo(str(source), err=True)
    recording = recording.between(bounds[0] or None, bounds[1] or None)
    if not recording.days:
        raise ReplayError("these days", "there are no events; look at --from and --until")
    _publish(found, recording.days, len(recording.days), pace, resume, progress)


@click.command(
    epilog="\b\nExamples:\n  driftline simulate --customers 2000 --days 90 --speed 86400x\n"
    "  driftline simulate --drift concept@2025-04-01 --to files --out sim/"
)
@click.option("--customers", type=click.IntRange(1), default=5_000, show_default=True, help="On the first day.")
@click.option("--days", type=click.IntRange(1), default=180, show_default=True, help="Days to simulate.")
@click.option("--start", default="2025-01-01", show_default=True, metavar="DAY", help="First day.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Same seed, same events.")
@click.option("--drift", "drifts", multiple=True, metavar="KIND@DAY", help="Plant one, like concept@2025-04-01.")
@click.option("--oracle-every", type=click.IntRange(0), default=7, show_default=True, help="Days; 0: no oracle.")
@click.option("--out", type=_FOLDER, help="Folder for truth.json and oracle.parquet, and for --to files.")
@click.option("--to", "target", type=click.Choice(["kafka", "files"]), default="kafka", show_default=True)
@_speed_option
@_resume_option
@_progress_option
def simulate(
    customers: int,
    days: int,
    start: str,
    seed: int,
    drifts: tuple[str, ...],
    oracle_every: int,
    out: Path | None,
    target: str,
    speed: str,
    resume: bool,
    progress: bool | None,
) -> None:
    """Simulate customers of the default workload, with planted drift."""
    from producers import simulate as simulation  # late: it loads NumPy

    pace, first_day = Pace(speed_of(speed)), day_of(start)
    config = simulation.SimulationConfig(
        n_customers=customers,
        n_days=days,
        start_day=date.fromisoformat(day_text(first_day)),
        seed=seed,
        drifts=tuple(_drift(text, first_day) for text in drifts),
        oracle_every_days=oracle_every if out is not None else 0,
    )
    if target == "files" and out is None:
        raise click.UsageError("--to files needs --out DIR")
    found = load_workload("subscription_churn")
    oracle: list[SimulatedDay] = []
    stream = _remembering(simulation.simulate(config), oracle)
    if target == "kafka":
        _publish(found, stream, days, pace, resume, progress)
    elif out is not None:
        _write(found, stream, out)
    if out is not None:
        _write_truth(out, config, oracle)


def _publish(
    workload: Workload, days: Iterable[EventDay], n_days: int, pace: Pace, resume: bool, progress: bool | None
) -> None:
    from producers.kafka_sink import KafkaSink  # late: they load the Kafka client
    from producers.progress import read_progress
    from producers.progress_lines import reporting
    from producers.replay import replay as replay_days
    from schemas.topic_admin import create_topics

    settings = Settings.from_env()
    create_topics(settings, workload)
    held = read_progress(settings, workload)
    if not (resume or held.is_fresh):
        last = "with events of an unfinished day" if held.day is None else f"complete up to {day_text(held.day - 1)}"
        raise ReplayError(f"topics of {workload.name}", f"are not empty ({last}); go on with --resume")
    began = time.monotonic()
    with KafkaSink(settings, workload, held.ends) as sink, reporting(progress, n_days) as report:
        done = replay_days(days, sink, held, pace=pace, report=report)
    wall_s = max(time.monotonic() - began, 1e-3)
    skipped = f", {done.n_skipped:,} were there already" if done.n_skipped else ""
    where = "nothing to do" if done.day is None else f"complete up to {day_text(done.day)}"
    rate = f"{done.n_events / wall_s:,.0f}/s"
    click.echo(f"{done.n_events:,} events in {done.n_days} days sent{skipped}; {where} ({wall_s:.1f} s, {rate})")


def _write(workload: Workload, days: Iterable[EventDay], out: Path) -> None:
    from producers.file_sink import write_files

    for topic, n_events in write_files(workload, days, out).items():
        click.echo(f"{out / topic}.parquet: {n_events:,} events")


def _remembering(days: Iterable[SimulatedDay], oracle: list[SimulatedDay]) -> Iterator[SimulatedDay]:
    """The days unchanged; those with an oracle are kept without their events."""
    for day in days:
        if day.oracle is not None:
            oracle.append(replace(day, batches=[]))
        yield day


def _write_truth(out: Path, config: SimulationConfig, oracle: list[SimulatedDay]) -> None:
    from producers.simulate import write_truth

    write_truth(out, config, [day.oracle for day in oracle])
    click.echo(f"{out / 'truth.json'}: {len(config.drifts)} planted drift(s), {len(oracle)} oracle days")


def _drift(text: str, first_day: int) -> Drift:
    """``concept@2025-04-01``, ``seasonal@2025-04-01..2025-05-01``, or in days after the first, ``concept@90``."""
    from producers.simulate import Drift

    kind, at, days = text.partition("@")
    if days[:4].isdigit() and days[4:5] == "-" and len(days) >= len("2025-04-01"):
        first, _, end = days.partition("..")
        days = "-".join(str(day_of(day) - first_day) for day in (first, end) if day)
        if day_of(first) < first_day:
            raise ReplayError(f"drift {text!r}", f"is before the first day, {day_text(first_day)}")
    return Drift.from_text(f"{kind}{at}{days}")
