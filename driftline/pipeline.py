"""``driftline pipeline run``: from the files of a workload to a model and its reports, in one command.

The environment and the clocks are read here. What the stages do is in `driftline.pipeline_stages`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.settings import Settings
from schemas.workload import Workload, load_workload

if TYPE_CHECKING:
    from driftline.pipeline_run import Ran

_FOLDER = click.Path(file_okay=False, path_type=Path)
EXIT_REFUSED = 1


@click.group()
def pipeline() -> None:
    """From raw files to a released model."""


@pipeline.command(
    epilog="\b\nExamples:\n  driftline pipeline run examples/cdnow.toml --data ~/cdnow --home .driftline/cdnow\n"
    "  driftline pipeline run shop.toml --until 2025-09-01 --release\n"
    "  driftline pipeline run shop.toml --tune 30 --ladder"
)
@click.argument("workload")
@click.option("--data", "data_dir", type=_FOLDER, help="Folder of the sources' files; default: that of WORKLOAD.")
@click.option("--home", type=_FOLDER, help="Folder of lake, models and reports; default DRIFTLINE_HOME.")
@click.option("--until", metavar="DAY", help="Take only what became known before this day.")
@click.option("--cutoffs", metavar="DAYS", help="Own train cut-offs: dates separated by commas.")
@click.option("--test-cutoffs", metavar="DAYS", help="Own test cut-offs, a label horizon after the last train cut-off.")
@click.option(
    "--release", "publishes", is_flag=True, help="Tell the workers over the broker; else no broker is needed."
)
@click.option("--force", "forces", is_flag=True, help="Release a version without skill, too.")
@click.option(
    "--tune",
    "n_trials",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Trials of a search for better parameters; 0 trains with the defaults.",
)
@click.option("--ladder", "with_ladder", is_flag=True, help="Compare simpler models on the same rows.")
@click.option("--fresh", "is_fresh", is_flag=True, help="Run every stage again, and replace a lake of other files.")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Threads of XGBoost.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of every random choice.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def run(
    ctx: click.Context,
    workload: str,
    data_dir: Path | None,
    home: Path | None,
    until: str | None,
    cutoffs: str | None,
    test_cutoffs: str | None,
    publishes: bool,
    forces: bool,
    n_trials: int,
    with_ladder: bool,
    is_fresh: bool,
    threads: int,
    seed: int,
    as_json: bool,
) -> None:
    """Ingest the files of WORKLOAD, validate, profile, train, evaluate, report and release.

    Each stage does what the command of its name does. Stages that are done with the same inputs are not run again.
    Without --release the model becomes the champion of the home folder and no broker is needed; workers take it once it
    is released. Exit code 1 when it is refused because it shows no skill, without --force.
    """
    from driftline.pipeline_record import Record
    from driftline.pipeline_run import run_pipeline
    from driftline.pipeline_stages import Job
    from offline.cutoffs import day_of
    from offline.data_options import days_of
    from offline.training_options import TrainingOptions

    found, settings = load_workload(workload), Settings.from_env()
    settings = settings if home is None else replace(settings, home=home)
    until_day = None if until is None else day_of(until)
    options = TrainingOptions(days_of(cutoffs), days_of(test_cutoffs), until_day, n_threads=threads, seed=seed)
    created_ms = time.time_ns() // 1_000_000
    job = Job(
        settings, found, data_dir, until_day, options, n_trials, with_ladder, publishes, forces, is_fresh, created_ms
    )
    record = Record(settings.home / "pipeline" / f"{found.name}.json")
    with _telling() as say:
        ran = run_pipeline(job, record, time.monotonic, say, is_fresh=is_fresh)
    if as_json:
        content = {"workload": found.name, "home": str(settings.home), "stages": [one.content() for one in ran]}
        click.echo(json.dumps(content, indent=1, sort_keys=True, allow_nan=False))
    else:
        _print(found, ran)
    ctx.exit(EXIT_REFUSED if any(one.status == "refused" for one in ran) else 0)


@contextmanager
def _telling() -> Iterator[Callable[[str, str], None]]:
    """Shows what a stage does: in place on a terminal, else a line each; on stderr."""
    from offline.passing import Passing

    if not sys.stderr.isatty():
        yield lambda stage, line: None if isinstance(line, Passing) else click.echo(f"{stage}: {line}", err=True)
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield lambda stage, line: status.update(f"{stage}: {line}")


def _print(workload: Workload, ran: list[Ran]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=workload.name, title_justify="left")
    for name in ("stage", "", "seconds", "what"):
        table.add_column(name, justify="right" if name == "seconds" else "left", overflow="fold")
    for one in ran:
        table.add_row(one.name, one.status, f"{one.wall_s:.1f}" if one.wall_s else "", one.result.summary)
    console = Console()
    console.print(table)
    for page in (page for one in ran for page in one.result.html):
        click.echo(page)
