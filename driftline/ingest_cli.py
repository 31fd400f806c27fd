"""``driftline ingest``: topics into the lake, or with ``--from-files`` the sources of a workload, without a broker."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from offline.cli import _examples, _print_json, _say, _start, json_option, workload_option
from schemas.settings import Settings
from schemas.workload import Workload

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(
    epilog=_examples("driftline ingest", "driftline ingest --from-files --workload examples/cdnow.toml --data DIR")
)
@workload_option
@click.option("--from-files", is_flag=True, help="From the workload's [[source]] entries instead; needs no broker.")
@click.option("--data", "data_dir", type=_FOLDER, help="Folder of the sources' files; default: that of the workload.")
@click.option("--replace", is_flag=True, help="Write a lake of files anew when the files say something else now.")
@json_option
def ingest(name: str | None, from_files: bool, data_dir: Path | None, replace: bool, as_json: bool) -> None:
    """Bring the event topics, or files, into the lake, every record exactly once.

    A lake holds the events of topics or of files, never of both.
    """
    settings, workload = _start(name)
    if from_files:
        _from_files(settings, workload, data_dir, replace, as_json)
    elif data_dir is not None or replace:
        raise click.UsageError("--data and --replace need --from-files")
    else:
        _from_topics(settings, workload, as_json)


def _from_topics(settings: Settings, workload: Workload, as_json: bool) -> None:
    from offline import ingest as ingesting  # late: it loads the Kafka client

    done = ingesting.ingest(settings, workload, _say)
    refused = {reason: n for reason, n in sorted(done.refused.items()) if n}
    if as_json:
        _print_json({"n_events": done.n_events, "n_slices": done.n_slices, "refused": refused})
        return
    click.echo(f"{done.n_events} events in {done.n_slices} slices to {settings.lake_dir}")
    if refused:
        click.echo("left out: " + ", ".join(f"{n} {reason}" for reason, n in refused.items()))


def _from_files(settings: Settings, workload: Workload, data_dir: Path | None, replace: bool, as_json: bool) -> None:
    from producers.lake_sink import write_lake  # late: they load pandas
    from producers.sources import read_batches
    from schemas.lake import Lake

    began = time.monotonic()
    found = read_batches(workload, data_dir)
    for source in found.sources:
        _say(str(source))
    done = write_lake(workload, found.batches, Lake(settings.lake_dir), settings.partitions, replace_files=replace)
    wall_s = max(time.monotonic() - began, 1e-3)
    if as_json:
        _print_json(_content(done, wall_s))
    elif done.is_new:
        rate = f"{done.n_events / wall_s:,.0f}/s"
        click.echo(f"{done.n_events:,} events to {settings.lake_dir} ({wall_s:.1f} s, {rate})")
    else:
        click.echo(f"{settings.lake_dir} holds these {done.n_events:,} events already; nothing changed")


def _content(done: Any, wall_s: float) -> dict[str, Any]:
    return {"n_events": done.n_events, "n_slices": done.n_slices, "is_new": done.is_new, "wall_s": wall_s}
