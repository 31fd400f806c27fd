"""``driftline ingest``: topics into the lake, or with ``--from-files`` the sources of a workload, without a broker."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offline.cli import _examples, _print_json, _start, json_option, workload_option
from offline.passing import event_bar, tell
from schemas.settings import Settings
from schemas.workload import Workload

if TYPE_CHECKING:
    from producers.recording import SourceCount

_FILE = click.Path(dir_okay=False, path_type=Path)
data_option = click.option(
    "--data", "data", metavar="DIR|URL", help="Where the sources' paths begin; default: the folder of the workload."
)
quarantine_option = click.option(
    "--quarantine", type=_FILE, help="Refused rows go here (.jsonl or .parquet); default below DRIFTLINE_HOME."
)


@click.command(
    epilog=_examples("driftline ingest", "driftline ingest --from-files --workload examples/cdnow.toml --data DIR")
)
@workload_option
@click.option("--from-files", is_flag=True, help="From the workload's [[source]] entries instead; needs no broker.")
@data_option
@quarantine_option
@click.option("--replace", is_flag=True, help="Write a lake of files anew when the files say something else now.")
@json_option
def ingest(
    name: str | None, from_files: bool, data: str | None, quarantine: Path | None, replace: bool, as_json: bool
) -> None:
    """Bring the event topics, or files and databases, into the lake, every record exactly once.

    A lake holds the events of topics or of files, never of both. Doing it again changes nothing.
    """
    settings, workload = _start(name)
    if from_files:
        _from_files(settings, workload, data, quarantine, replace, as_json)
    elif data is not None or replace or quarantine is not None:
        raise click.UsageError("--data, --quarantine and --replace need --from-files")
    else:
        _from_topics(settings, workload, as_json)


def _from_topics(settings: Settings, workload: Workload, as_json: bool) -> None:
    from offline import ingest as ingesting  # late: it loads the Kafka client

    done = ingesting.ingest(settings, workload, tell)
    refused = {reason: n for reason, n in sorted(done.refused.items()) if n}
    if as_json:
        _print_json({"n_events": done.n_events, "n_slices": done.n_slices, "refused": refused})
        return
    click.echo(f"{done.n_events} events in {done.n_slices} slices to {settings.lake_dir}")
    if refused:
        click.echo("left out: " + ", ".join(f"{n} {reason}" for reason, n in refused.items()))


def _from_files(
    settings: Settings, workload: Workload, data: str | None, quarantine: Path | None, replace: bool, as_json: bool
) -> None:
    from producers.lake_sink import write_lake  # late: they load pandas
    from producers.quarantine import Quarantine
    from producers.sources import read_batches
    from schemas.lake import Lake

    began = time.monotonic()
    refused = Quarantine(quarantine or settings.home / "quarantine" / f"{settings.topic_prefix}{workload.name}.jsonl")
    try:
        found = read_batches(workload, data, os.environ, refused)
    finally:
        refused.save()
        if len(refused):
            tell(f"refused rows: {refused.path}")
    for source in found.sources:
        tell(str(source))
    lake, n_events = Lake(settings.lake_dir), sum(map(len, found.batches.values()))
    with event_bar("writing the lake", n_events) as report:
        done = write_lake(workload, found.batches, lake, settings.partitions, replace_files=replace, report=report)
    wall_s = max(time.monotonic() - began, 1e-3)
    if as_json:
        _print_json(_content(found.sources, done, refused, wall_s))
    elif done.is_new:
        rate = f"{done.n_events / wall_s:,.0f}/s"
        click.echo(f"{done.n_events:,} events to {settings.lake_dir} ({wall_s:.1f} s, {rate})")
    else:
        click.echo(f"{settings.lake_dir} holds these {done.n_events:,} events already; nothing changed")


def _content(sources: tuple[SourceCount, ...], done: Any, refused: Any, wall_s: float) -> dict[str, Any]:
    return {
        "n_events": done.n_events,
        "n_slices": done.n_slices,
        "is_new": done.is_new,
        "wall_s": wall_s,
        "sources": [source.as_json() for source in sources],
        "quarantine": str(refused.path) if len(refused) else None,
    }
