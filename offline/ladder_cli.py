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
from typing import TYPE_CHECKING, Any

import click

from offline.data_options import data_options, said_rows
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
@data_options
@click.option(
    "--curve/--no-curve", "with_curve", default=True, show_default=True, help="Learning curve of the chosen step."
)
@click.option("--html", "html", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write a page.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ladder(
    name: str | None,
    models: str | None,
    with_curve: bool,
    html: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Climb from a rule to boosted trees on the same rows, and say whether each step is worth it.

    Nothing is released. Hyperparameters are chosen on folds in time, the newest matured days judge every step once.
    """
    from offline.ladder.ladder_page import ladder_page
    from offline.ladder.lines import ladder_lines
    from offline.ladder.run import run_ladder
    from offline.runs import recorded

    settings = Settings.from_env()
    workload = load_workload(name or settings.workload)
    options = said_rows(flags)
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


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal, elsewhere a line now and then; on standard error."""
    from offline.ladder.progress_bar import ProgressBar, ProgressLines

    if sys.stderr.isatty():
        with ProgressBar() as bar:
            yield bar
    else:
        yield ProgressLines(time.monotonic, lambda line: click.echo(line, err=True))
