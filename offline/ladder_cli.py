"""``driftline ladder``: from a rule to boosted trees, and whether each step up is worth it.

The wall clock is read here alone. Results go to standard output, progress to standard error.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.settings import Settings
from schemas.workload import load_workload

if TYPE_CHECKING:
    from offline.ladder.progress import Progress


@click.command(
    epilog="\b\nExamples:\n  driftline ladder --html ladder.html\n"
    "  driftline ladder --models logistic,forest,xgboost --no-curve\n"
    "  driftline ladder --cutoffs 2024-01-01,2024-02-01,2024-03-01 --test-cutoffs 2024-05-01 --json"
)
@click.option("--workload", "name", metavar="NAME|PATH", help="Default DRIFTLINE_WORKLOAD.")
@click.option("--models", metavar="NAMES", help="Steps separated by commas; default all. Prior and rule always belong.")
@click.option("--cutoffs", metavar="DAYS", help="Own train cut-offs: dates separated by commas.")
@click.option("--test-cutoffs", metavar="DAYS", help="Own test cut-offs, a label horizon after the last train cut-off.")
@click.option("--until", metavar="DAY", help="Use only what was known before this day.")
@click.option(
    "--warm-up", type=click.IntRange(0, 1000), default=28, show_default=True, help="Days before the first cut-off."
)
@click.option("--event-rows", type=click.IntRange(0), default=30_000, show_default=True, help="Event rows to sample.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of every random choice.")
@click.option(
    "--curve/--no-curve", "with_curve", default=True, show_default=True, help="Learning curve of the chosen step."
)
@click.option("--html", "html", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write a page.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ladder(
    name: str | None,
    models: str | None,
    cutoffs: str | None,
    test_cutoffs: str | None,
    until: str | None,
    warm_up: int,
    event_rows: int,
    seed: int,
    with_curve: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    """Climb from a rule to boosted trees on the same rows, and say whether each step is worth it.

    Nothing is released. Hyperparameters are chosen on folds in time, the newest matured days judge every step once.
    """
    from offline.cutoffs import day_of
    from offline.ladder.ladder_page import ladder_page
    from offline.ladder.lines import ladder_lines
    from offline.ladder.run import run_ladder
    from offline.runs import recorded
    from offline.training_run import TrainingOptions

    settings = Settings.from_env()
    workload = load_workload(name or settings.workload)
    options = TrainingOptions(
        train_days=_days(cutoffs),
        test_days=_days(test_cutoffs),
        until_day=None if until is None else day_of(until),
        warm_up_days=warm_up,
        n_event_rows=event_rows,
        seed=seed,
    )
    with recorded(settings, "ladder", asdict(options) | {"models": models}) as record, _progress() as progress:
        found = run_ladder(
            settings,
            workload,
            options,
            _names(models),
            clock=time.perf_counter,
            progress=progress,
            with_curve=with_curve,
        )
        record.inputs |= {"workload": {"name": workload.name, "hash": workload.hash}, "split": found.found["split"]}
        record.results |= {"recommended": found.found["recommended"]["step"]}
    if as_json:
        click.echo(json.dumps(found.found, indent=1, sort_keys=True, allow_nan=False))
    else:
        click.echo("\n".join(ladder_lines(found.found)))
    if html is not None:
        ladder_page(found, f"Model ladder of {workload.name}", workload.doc).save(html)
        click.echo(str(html), err=as_json)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()


def _days(text: str | None) -> tuple[int, ...]:
    from offline.cutoffs import day_of

    return tuple(day_of(part) for part in text.split(",") if part.strip()) if text else ()


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal, elsewhere a line now and then; on standard error."""
    from offline.ladder.progress_bar import ProgressBar, ProgressLines

    if sys.stderr.isatty():
        with ProgressBar() as bar:
            yield bar
    else:
        yield ProgressLines(time.monotonic, lambda line: click.echo(line, err=True))
