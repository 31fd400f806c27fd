"""``driftline lake compact | show``: the lake's files, made fewer or listed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from offline.cli import _examples, _print_json, json_option
from offline.passing import tell
from schemas.settings import Settings


@click.group()
def lake() -> None:
    """The lake: events of topics or files as Parquet, by event day."""


@lake.command(epilog=_examples("driftline lake compact", "driftline lake compact --max-events 5000000 --at-least 8"))
@click.option(
    "--max-events", type=click.IntRange(1), default=1_000_000, show_default=True, help="Events of a merged slice."
)
@click.option(
    "--at-least",
    type=click.IntRange(2),
    default=2,
    show_default=True,
    help="Merge no fewer slices than this at a time.",
)
@json_option
def compact(max_events: int, at_least: int, as_json: bool) -> None:
    """Merge small slices into larger ones: the same events at the same offsets in fewer files.

    Many small ingests leave many small files, and reading slows down. A crash at any moment loses nothing. A job that
    reads the lake meanwhile may find a file gone and must be started again.
    """
    from offline.compaction import compact as compact_lake
    from schemas.lake import Lake

    found = Lake(Settings.from_env().lake_dir)
    done = compact_lake(
        found,
        found.topics(),
        max_events=max_events,
        at_least=at_least,
        report=lambda one: tell(f"{one.topic}: slice {one.name}, {one.n_rows:,} events in {len(one.files):,} files"),
    )
    if as_json:
        _print_json(asdict(done))
        return
    slices, files = (f"{before:,} -> {after:,}" for before, after in (done.n_slices, done.n_files))
    click.echo(f"slices {slices}, files {files}")


@lake.command(epilog=_examples("driftline lake show"))
@json_option
def show(as_json: bool) -> None:
    """Say what the lake holds: events, partitions, days and files of every topic, and where they came from."""
    from schemas.lake import Lake

    found = Lake(Settings.from_env().lake_dir)
    topics = [_topic(found, name) for name in found.topics()]
    origin = found.origin()
    source = "topics" if origin is None else f"files ({', '.join(origin.sources)})"
    if as_json:
        _print_json({"root": str(found.root), "from": "topics" if origin is None else "files", "topics": topics})
        return
    click.echo(f"{found.root}, from {source}")
    for one in topics:
        days = f"{one['first_day']} to {one['last_day']}" if one["first_day"] else "no event"
        counts = f"{one['n_events']:,} events in {one['n_partitions']} partitions, {one['n_files']:,} files"
        click.echo(f"{one['topic']}: {counts}, {days}")


def _topic(found: Any, name: str) -> dict[str, Any]:
    from schemas.lake import day_text

    slices, days = found.slices(name), found.days([name])
    return {
        "topic": name,
        "n_events": sum(one.n_rows for one in slices),
        "n_partitions": len({one.partition for one in slices}),
        "n_slices": len(slices),
        "n_files": sum(len(one.files) for one in slices),
        "first_day": None if days is None else day_text(days[0]),
        "last_day": None if days is None else day_text(days[1]),
    }
