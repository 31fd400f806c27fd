"""``driftline validate``: are the events in the lake, or in files, fit to train on?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from driftline.ingest_cli import data_option
from offline.cli import _examples, _print_json, _start, json_option, workload_option
from offline.passing import event_bar, tell
from schemas.settings import Settings
from schemas.workload import EventTopic, Workload

if TYPE_CHECKING:
    from offline.validation import Limits, Validation
    from schemas.events import EventBatch

_SHARE = click.FloatRange(0.0, 1.0)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    epilog=_examples(
        "driftline validate",
        "driftline validate --from-files --workload examples/cdnow.toml --data DIR",
        "driftline validate --max-missing 0.5 --json",
    )
)
@workload_option
@click.option("--from-files", is_flag=True, help="The sources of the workload instead of the lake.")
@data_option
@click.option("--max-refused", type=_SHARE, default=0.01, show_default=True, help="Share of events or rows refused.")
@click.option("--max-duplicates", type=_SHARE, default=0.01, show_default=True, help="Share of repeated ids.")
@click.option("--max-missing", type=_SHARE, default=0.3, show_default=True, help="Share of a field's cells.")
@click.option("--max-unseen", type=_SHARE, default=0.05, show_default=True, help="Share of undeclared categories.")
@click.option("--max-invalid", type=_SHARE, default=0.01, show_default=True, help="Share of any other breach.")
@click.option("--max-gap-days", type=_SHARE, default=0.05, show_default=True, help="Share of days with few events.")
@click.option(
    "--near-seconds", type=click.FloatRange(0.0), default=5.0, show_default=True, help="How close near-duplicates are."
)
@click.option("--html", type=_FILE, help="Where the page goes; default below DRIFTLINE_HOME/reports.")
@json_option
def validate(
    name: str | None,
    from_files: bool,
    data: str | None,
    html: Path | None,
    as_json: bool,
    **limits: float,
) -> None:
    """Hold the events against the workload: types, ranges, categories, times, ids, volume; every event accounted for.

    Exit code 0 when nothing is beyond its limit, 1 when something is, 2 when it cannot be told.
    """
    from offline.validation import Limits
    from offline.validation_page import validation_lines, validation_page

    if data is not None and not from_files:
        raise click.UsageError("--data needs --from-files")
    settings, workload = _start(name)
    named = {field.name: limits[_option_of(field.name)] for field in fields(Limits)}
    found, place = _found(settings, workload, Limits(**named), from_files=from_files, data=data)
    page = validation_page(workload, found, place)
    path = page.save(html or settings.reports_dir / f"validation-{settings.topic_prefix}{workload.name}.html")
    if as_json:
        _print_json(found.as_json() | {"path": str(path)})
    else:
        click.echo("\n".join([*validation_lines(found), str(path)]))
    click.get_current_context().exit(1 if found.wrong else 0)


def _option_of(limit: str) -> str:
    return limit if limit == "near_seconds" else f"max_{limit}"


def _found(
    settings: Settings, workload: Workload, limits: Limits, *, from_files: bool, data: str | None
) -> tuple[Validation, str]:
    """The validation, and where the events came from."""
    from offline.history import n_events_in
    from offline.validation import lake_findings, lake_tables, source_findings
    from offline.validation import validate as validate_events
    from schemas.lake import Lake

    if not from_files:
        lake = Lake(settings.lake_dir)
        with event_bar("validating", n_events_in(lake, workload)) as report:
            found = validate_events(workload, _told(lake_tables(lake, workload), report), limits)
        return found.with_findings(lake_findings(lake, found)), f"lake {lake.root}"
    from producers.sources import read_batches  # late: it loads pandas

    read = read_batches(workload, data, os.environ)
    for source in read.sources:
        tell(str(source))
    sources = [source.as_json() for source in read.sources]
    with event_bar("validating", sum(map(len, read.batches.values()))) as report:
        found = validate_events(workload, _told(_tables(workload, read.batches), report), limits)
    return found.with_findings(source_findings(sources, limits), sources), "files"


def _told(tables: Iterator[tuple[EventTopic, Any]], report: Callable[[int], None]) -> Iterator[tuple[EventTopic, Any]]:
    for topic, table in tables:
        yield topic, table
        report(table.num_rows)


def _tables(workload: Workload, batches: dict[str, EventBatch]) -> Iterator[tuple[EventTopic, Any]]:
    """Batches as tables of the lake, in the order of event time."""
    import numpy as np

    from offline.validation import ROWS_AT_ONCE
    from schemas.lake_table import table_of

    for topic in workload.topics:
        if topic.name not in batches:
            continue
        batch = batches[topic.name]
        order = np.argsort(batch.event_time_ms, kind="stable")
        for at in range(0, len(order), ROWS_AT_ONCE):
            rows = order[at : at + ROWS_AT_ONCE]
            yield topic, table_of(topic, batch.take(rows), 0, rows)
