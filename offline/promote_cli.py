"""``driftline promote``: release a version that passes every gate."""

from __future__ import annotations

import time

import click

from offline.cli import _examples, _print_json, _start, json_option, workload_option
from offline.passing import tell


@click.command(epilog=_examples("driftline promote challenger --dry-run", "driftline promote v0002 --budget-us 5"))
@click.argument("version", default="challenger")
@workload_option
@click.option("--activate", metavar="DAY", help="From this event day on; default is the next tick.")
@click.option(
    "--budget-us",
    type=click.FloatRange(0.01),
    default=10.0,
    show_default=True,
    help="Microseconds that scoring a row may take.",
)
@click.option("--dry-run", is_flag=True, help="Only say what each gate says; nothing is released.")
@click.option("--force", is_flag=True, help="Release in spite of closed gates, whose names go into the history.")
@json_option
def promote(
    version: str,
    name: str | None,
    activate: str | None,
    budget_us: float,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Take a version to every promotion gate and release it when all are open.

    Better than the champion (or the rule) on matured labels out of time, calibrated, no slice much worse, features
    equal when other code computes them, fast enough, the same as ONNX if the extra onnx is installed. Exit code 1 when
    a gate keeps it out.
    """
    from dataclasses import asdict

    from offline.cutoffs import date_text, day_of
    from offline.promote import judge_version
    from offline.release import release
    from offline.runs import recorded

    settings, workload = _start(name)
    day = None if activate is None else day_of(activate)
    options = {"version": version, "budget_us": budget_us, "dry_run": dry_run, "force": force}
    with recorded(settings, "promote", options) as run:
        found = judge_version(settings, workload, version, time.perf_counter, budget_us=budget_us, say=tell)
        run.inputs |= {"version": found.version, "bundle_id": found.bundle_id, "champion": found.champion}
        run.results["failed"] = found.failed
        is_let_through = force or not found.failed
        done = None
        if is_let_through and not dry_run:
            done = release(settings, workload, found.version, day, force=force, forced=found.failed)
    if as_json:
        _print_json(found.as_json() | {"released": None if done is None else asdict(done)})
    else:
        click.echo("\n".join(found.lines()))
        if found.failed:
            click.echo(f"kept out by {', '.join(found.failed)}" + (" (forced)" if done else ""))
        if done is not None:
            begin = "the first day" if done.clock_day < 0 and done.activate_day == 0 else date_text(done.activate_day)
            click.echo(f"released {done.version}: scores from {begin} on")
    click.get_current_context().exit(0 if is_let_through else 1)
