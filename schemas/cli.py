"""``driftline workload ...`` and ``driftline topics ...``: plain tables, no colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import click

from schemas.durations import format_duration
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topics import FOREVER_MS, Topic, topics_for
from schemas.workload import Feature, Label, Workload, load_workload


@click.group()
def workload() -> None:
    """Look at a workload file."""


@workload.command("check", epilog="\b\nExamples:\n  driftline workload check\n  driftline workload check shop.toml")
@click.argument("path", required=False)
def check_command(path: str | None) -> None:
    """Check a workload file, or a built-in one by name."""
    found = load_workload(path or Settings.from_env().workload)
    FileRegistry.for_workload(found)
    n_kinds = len(found.kind_index)
    click.echo(
        f"{found.name}: ok, {len(found.topics)} topics, {n_kinds} kinds, {len(found.features)} features in "
        f"{len(found.columns())} columns, hash {found.hash[:16]}"
    )


@workload.command("show", epilog="\b\nExample:\n  driftline workload show examples/cdnow.toml")
@click.argument("path", required=False)
def show_command(path: str | None) -> None:
    """Show what follows from a workload file."""
    settings = Settings.from_env()
    for line in describe(load_workload(path or settings.workload), settings):
        click.echo(line)


@click.group()
def topics() -> None:
    """Create the topics on the broker, or look at them."""


@topics.command("create", epilog="\b\nExample:\n  driftline topics create --workload shop.toml")
@click.option("--workload", "name", help="Built-in name or path; default DRIFTLINE_WORKLOAD.")
def create_command(name: str | None) -> None:
    """Create the topics that are missing."""
    from schemas.topic_admin import create_topics  # late: it loads the Kafka client

    settings = Settings.from_env()
    created = create_topics(settings, load_workload(name or settings.workload))
    for topic in created:
        click.echo(f"created {topic.name} ({topic.partitions} partitions, {_kept(topic)})")
    click.echo(f"{len(created)} topics created")


@topics.command("describe", epilog="\b\nExample:\n  driftline topics describe")
@click.option("--workload", "name", help="Built-in name or path; default DRIFTLINE_WORKLOAD.")
def describe_command(name: str | None) -> None:
    """Show every declared topic beside what the broker has."""
    from schemas.topic_admin import describe_topics  # late: it loads the Kafka client

    settings = Settings.from_env()
    states = describe_topics(settings, load_workload(name or settings.workload))
    rows = [(s.topic.name, str(s.topic.partitions), _kept(s.topic), s.topic.schema or "-", s.verdict) for s in states]
    for line in table(("topic", "partitions", "kept", "record", "broker"), rows):
        click.echo(line)


def describe(found: Workload, settings: Settings) -> Iterator[str]:
    """The lines of ``workload show``."""
    yield f"workload   {found.name}"
    yield f"hash       {found.hash}"
    yield f"label      {_label(found.label)}"
    yield f"scored     at most every {format_duration(found.score_every_ms)}, on urgent kinds, and daily"
    yield f"live       from {_kinds(found.live.start) or 'the first event'} to {_kinds(found.live.end) or 'silence'}"
    yield ""
    rows = [(t.name, str(t.partitions), _kept(t), t.schema or "-", t.doc) for t in topics_for(found, settings)]
    yield from table(("topic", "partitions", "kept", "record", "doc"), rows)
    yield ""
    kinds = [(k.name, t.name, "urgent" if k.urgent else "", k.doc) for t in found.topics for k in t.kinds]
    yield from table(("kind", "topic", "", "doc"), kinds)
    yield ""
    fields = [(f.name, t.name, f.type, f.unit, str(f.scale), f.doc) for t in found.topics for f in t.fields]
    yield from table(("field", "topic", "type", "unit", "scale", "doc"), fields)
    yield ""
    columns = [(str(i), name, f.type, _from(f)) for i, (f, name) in enumerate(_columns(found))]
    yield from table(("", "feature column", "type", "from"), columns)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a left-aligned plain table.

    Examples
    --------
    >>> list(table(("a", "b"), [("long", "x")]))
    ['a     b', 'long  x']
    """
    lines = [tuple(titles), *(tuple(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _columns(found: Workload) -> list[tuple[Feature, str]]:
    return [(feature, column) for feature in found.features for column in feature.columns()]


def _from(feature: Feature) -> str:
    parts = [feature.field or "", "of " + _kinds(feature.of) if feature.of else ""]
    parts += [f"from {_kinds(feature.from_)} to {_kinds(feature.to)}" if feature.from_ else ""]
    parts += [f"closed by {_kinds(feature.closed_by)}" if feature.closed_by else ""]
    return " ".join(part for part in parts if part)


def _kinds(kinds: Sequence[str]) -> str:
    return ", ".join(kinds)


def _label(label: Label) -> str:
    within = f"within {format_duration(label.horizon_ms)}"
    if label.type == "cancel":
        return f"cancel: {_kinds(label.of)} {within}"
    if label.type == "inactivity":
        return f"inactivity: no {_kinds(label.of)} {within}"
    return f"lapse: {label.field} of {_kinds(label.of)} not renewed {format_duration(label.grace_ms)} later, {within}"


def _kept(topic: Topic) -> str:
    if topic.cleanup == "compact":
        return "newest per key"
    return "for ever" if topic.retention_ms == FOREVER_MS else format_duration(topic.retention_ms)
