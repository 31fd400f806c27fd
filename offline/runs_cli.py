"""``driftline runs``: what was run here, with which result."""

from __future__ import annotations

from typing import Any

import click

from offline.cli import _examples, _print_json, json_option
from schemas.settings import Settings


@click.command(epilog=_examples("driftline runs", "driftline runs --of train --last 5 --json"))
@click.option("--of", "command", metavar="COMMAND", help="Only runs of this command.")
@click.option("--last", metavar="N", type=click.IntRange(1), default=20, show_default=True, help="The newest N.")
@json_option
def runs(command: str | None, last: int, as_json: bool) -> None:
    """List the jobs that ran on this installation, oldest first: when, what, how long, how it ended.

    Each left one file in DRIFTLINE_HOME/runs with its inputs, options, seed, library versions, git revision and the
    hashes of what it wrote; --json prints them whole.
    """
    from offline.runs import load_runs

    found = [run for run in load_runs(Settings.from_env().runs_dir) if command in (None, run["command"])][-last:]
    if as_json:
        _print_json({"runs": found})
        return
    if not found:
        click.echo("no runs yet")
    for run in found:
        click.echo(_line(run))


def _line(run: dict[str, Any]) -> str:
    said = run["options"].items()
    options = " ".join(f"{name}={value}" for name, value in said if value not in (None, "", [], False))
    results = " ".join(f"{name}={str(value)[:20]}" for name, value in run["results"].items())
    end = results or f"{len(run['outputs'])} files"
    if run["exit"]["code"]:
        end = f"exit {run['exit']['code']}: {run['exit']['error']}"
    return f"{run['started'][:19]}Z  {run['command']:<12} {run['duration_s']:>8.1f} s  {end}  {options}".rstrip()
