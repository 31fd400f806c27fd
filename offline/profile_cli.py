"""``driftline profile``: what the data are, before any model."""

from __future__ import annotations

import json
from pathlib import Path

import click

from offline.passing import tell
from schemas.settings import Settings
from schemas.workload import load_workload


@click.command(
    epilog="\b\nExamples:\n  driftline profile\n  driftline profile --until 2024-06-01 --html shop.html\n"
    "  driftline profile --json > profile.json"
)
@click.option("--workload", "name", metavar="NAME|PATH", help="Default DRIFTLINE_WORKLOAD.")
@click.option("--until", metavar="DAY", help="Use only what was known before this day.")
@click.option("--cutoffs", metavar="DAYS", help="Own cut-offs: dates separated by commas; default: spread over all.")
@click.option("--html", "path", type=click.Path(dir_okay=False, path_type=Path),
              help="Where the page goes; default: the reports folder.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def profile(name: str | None, until: str | None, cutoffs: str | None, path: Path | None, as_json: bool) -> None:
    """Describe events, churn and features of the lake, and look for leaks.

    Writes one page of HTML that needs nothing else. Features are point in time: what was known at each cut-off.
    """
    from offline.cutoffs import day_of
    from offline.history import BatchHistory
    from offline.profile.lines import profile_lines
    from offline.profile.profile import profile_history
    from offline.profile.profile_page import page_of
    from schemas.durations import DAY_MS
    from schemas.lake import Lake

    settings = Settings.from_env()
    workload = load_workload(name or settings.workload)
    until_ms = None if until is None else day_of(until) * DAY_MS
    days = tuple(day_of(part) for part in cutoffs.split(",") if part.strip()) if cutoffs else ()
    lake = Lake(settings.lake_dir)
    made = profile_history(
        workload,
        BatchHistory(lake, workload, until_ms, say=tell),
        lake=lake,
        known_until_ms=until_ms,
        days=days,
        say=tell,
    )
    tell("drawing")
    written = page_of(made).save(path or settings.reports_dir / f"profile-{workload.name}.html")
    if as_json:
        click.echo(json.dumps(made.as_json() | {"html": str(written)}, indent=1, sort_keys=True, allow_nan=False))
        return
    click.echo("\n".join([*profile_lines(made), "", str(written)]))
