"""``driftline features suggest | select``: which feature entries a workload should have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offline.passing import tell
from schemas.settings import Settings
from schemas.workload import Workload, load_workload

if TYPE_CHECKING:
    from offline.bootstrap import Interval
    from offline.features.select import Selection
    from offline.features.suggest import Suggestion

workload_option = click.option("--workload", "name", metavar="NAME|PATH", help="Default DRIFTLINE_WORKLOAD.")
until_option = click.option("--until", metavar="DAY", help="Use only what was known before this day.")
seed_option = click.option("--seed", type=int, default=0, show_default=True, help="Of every random choice.")
threads_option = click.option(
    "--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Threads of XGBoost."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def features() -> None:
    """Features of a workload: what it lacks, and what earns nothing."""


@features.command(
    epilog="\b\nExamples:\n  driftline features suggest\n  driftline features suggest --write shop-2.toml --threads 2"
)
@workload_option
@until_option
@click.option("--write", "target", type=click.Path(dir_okay=False, path_type=Path),
              help="Write a new workload file with the kept entries; it must not exist.")  # fmt: skip
@seed_option
@threads_option
@json_option
def suggest(name: str | None, until: str | None, target: Path | None, seed: int, threads: int, as_json: bool) -> None:
    """Try every feature that kinds and fields allow, and print the entries that earn their place.

    Nothing but a workload file changes: the entries are ordinary ones, made by the same code as all others.
    """
    from offline.entries import entry_text, text_with
    from offline.errors import OfflineError
    from offline.features.suggest import suggest as find
    from schemas.lake import write_atomic

    if target is not None and target.exists():
        raise OfflineError(f"{target} is there already; --write makes a new file")
    workload, options = _start(name, until)
    found = find(workload, **options, n_threads=threads, seed=seed, say=tell)
    entries = [entry_text(feature) for feature in found.kept]
    if target is not None and entries:
        write_atomic(target, text_with(workload.text, entries).encode())
    if as_json:
        written = str(target) if target is not None and entries else None
        _print_json(found.as_json() | {"toml": "\n\n".join(entries), "written": written})
        return
    click.echo("\n".join(suggestion_lines(found)))
    if target is not None and entries:
        click.echo(f"\n{target}")


@features.command(epilog="\b\nExample:\n  driftline features select --until 2024-06-01")
@workload_option
@until_option
@seed_option
@threads_option
@json_option
def select(name: str | None, until: str | None, seed: int, threads: int, as_json: bool) -> None:
    """Measure what each feature entry of the workload earns on later customers, and name those that earn nothing."""
    from offline.features.select import select as find

    workload, options = _start(name, until)
    found = find(workload, **options, n_threads=threads, seed=seed, say=tell)
    if as_json:
        _print_json(found.as_json())
    else:
        click.echo("\n".join(selection_lines(found)))


def suggestion_lines(found: Suggestion) -> list[str]:
    """The verdict, the shortlist, and the TOML to paste."""
    from offline.entries import entry_text

    size = f"{found.n_candidates} candidates, {found.n_columns} columns, {found.n_rows:,} rows"
    lines = [found.verdict, "", f"{size}; gains beside all kept before"]
    for tried in found.tried:
        mark = "kept" if tried.feature in found.kept else "-"
        columns = ", ".join(tried.feature.columns())
        lines.append(f"{mark:5} log loss {_span(tried.gain.log_loss, 5)}  AUC {_span(tried.gain.auc, 4)}  {columns}")
    for feature in found.kept:
        gain = next(tried.gain for tried in found.tried if tried.feature == feature)
        lines += ["", f"# lowers log loss by {_span(gain.log_loss, 5)}, raises AUC by {_span(gain.auc, 4)}"]
        lines.append(entry_text(feature))
    return lines


def selection_lines(found: Selection) -> list[str]:
    """A table of the entries and the verdict."""
    width = max(5, *(len(entry.name) for entry in found.earned))
    lines = [f"{'entry':{width}}  lower log loss (95 %)          folds  "]
    for entry in found.earned:
        idle = "  earns nothing" if entry.is_idle else ""
        span = _span(entry.log_loss, 5)
        lines.append(f"{entry.name:{width}}  {span:29}  {entry.n_folds_helped} of {entry.n_folds}{idle}")
    return [*lines, "", found.verdict]


def _span(found: Interval, digits: int) -> str:
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def _start(name: str | None, until: str | None) -> tuple[Workload, dict[str, Any]]:
    from offline.cutoffs import day_of
    from offline.history import BatchHistory
    from schemas.durations import DAY_MS
    from schemas.lake import Lake

    settings = Settings.from_env()
    workload = load_workload(name or settings.workload)
    until_ms = None if until is None else day_of(until) * DAY_MS
    history = BatchHistory(Lake(settings.lake_dir), workload, until_ms, say=tell)
    return workload, {"history": history, "known_until_ms": until_ms}


def _print_json(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content, indent=1, sort_keys=True, allow_nan=False))
