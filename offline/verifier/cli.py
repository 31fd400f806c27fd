"""``driftline verify``: is what the workers did what follows from the logs?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from schemas.settings import Settings
from schemas.workload import load_workload

if TYPE_CHECKING:
    from offline.verifier.verify import Verdict

EXIT_DIFFERENT = 1
_SHOWN = 12  # hex digits of a digest on a line


@click.command(epilog="\b\nExamples:\n  driftline verify\n  driftline verify --partition 0 --json")
@click.option("--workload", "name", metavar="NAME|PATH", help="Default DRIFTLINE_WORKLOAD.")
@click.option("--partition", "partitions", type=click.IntRange(0), multiple=True, help="Only these; default all.")
@click.option("--allow-duplicates", is_flag=True,
              help="Accept outputs that stand there again with identical bytes (at least once).")  # fmt: skip
@click.option("--live-from", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
              help="What the workers were started with.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def verify(
    ctx: click.Context,
    name: str | None,
    partitions: tuple[int, ...],
    allow_duplicates: bool,
    live_from: datetime | None,
    as_json: bool,
) -> None:
    """Recompute state, scores and alerts from the logs, slowly and independently, and compare.

    The workers must be stopped, or at rest. Exit code 1 when anything differs.
    """
    from offline.verifier.models import load_models
    from offline.verifier.verify import VerifyOptions, verify_partition

    settings = Settings.from_env()
    workload = load_workload(name or settings.workload)
    if beyond := [partition for partition in partitions if partition >= settings.partitions]:
        raise click.UsageError(f"there is no partition {beyond[0]}; there are 0 to {settings.partitions - 1}")
    live_from_ms = int(live_from.replace(tzinfo=UTC).timestamp() * 1000) if live_from else 0
    models, options = load_models(settings, workload), VerifyOptions(allow_duplicates, live_from_ms)
    verdicts = []
    for partition in sorted(set(partitions)) or range(settings.partitions):
        verdicts.append(verify_partition(settings, workload, partition, models, options))
        if not as_json:
            click.echo(verdict_line(verdicts[-1]))
    if as_json:
        click.echo(json.dumps({"partitions": [verdict.to_json() for verdict in verdicts]}, indent=1, sort_keys=True))
    if any(verdict.difference for verdict in verdicts):
        ctx.exit(EXIT_DIFFERENT)


def verdict_line(verdict: Verdict) -> str:
    """What is said about a partition."""
    n_refused = sum(verdict.refused.values())
    counts = f"{verdict.n_in} in = {verdict.applied} applied + {verdict.duplicate} duplicate + {n_refused} refused"
    shown = [
        f"{c.n_found} {c.what} {c.digest_found[:_SHOWN]}" + (f" ({c.n_repeated} repeated)" if c.n_repeated else "")
        for c in verdict.comparisons
        if c.what in ("customers", "scores", "alerts", "dead letters")
    ]
    open_ends = [f"{verdict.n_unread} not read yet"] * bool(verdict.n_unread)
    open_ends += [f"{verdict.n_behind_clock} applied behind the clock"] * bool(verdict.n_behind_clock)
    open_ends += [f"{verdict.n_pending} not published yet"] * bool(verdict.n_pending)
    result = "equal" if verdict.difference is None else f"DIFFER: first difference: {verdict.difference}"
    return f"partition {verdict.partition}: {', '.join([counts, *shown, *open_ends])}: {result}"
