"""Commands of the stream: ``driftline worker`` and ``driftline watch``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from schemas.settings import Settings
from schemas.workload import load_workload
from stream_app.memory import keep
from stream_app.watch_cli import watch

__all__ = ["watch", "worker"]


@click.command("worker", epilog="\b\nExamples:\n  driftline worker\n  driftline worker --status status.json")
@click.option("--checkpoint", "checkpoint_s", type=click.FloatRange(0.05, 60.0), default=1.0, show_default=True,
              help="Least seconds between two checkpoints of a partition; alerts wait for theirs.")  # fmt: skip
@click.option("--live-from", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), default=None,
              help="Publish no alert as of an earlier moment (UTC).")  # fmt: skip
@click.option("--accept-gap", is_flag=True, help="Go on when the log lost records before they were read.")
@click.option("--live-clock", is_flag=True, help="Let the leader write the clock at each UTC midnight.")
@click.option("--status", "status_file", type=click.Path(path_type=Path), default=None,
              help="Write counters to this JSON file four times a second.")  # fmt: skip
@click.option("--instance", default=None,
              help="Name of this worker, the same after a restart: its partitions wait for it.")  # fmt: skip
@click.option(
    "--loglevel", type=click.Choice(["debug", "info", "warning", "error"]), default="warning", show_default=True
)
def worker(
    checkpoint_s: float,
    live_from: datetime | None,
    accept_gap: bool,
    live_clock: bool,
    status_file: Path | None,
    loglevel: str,
    instance: str | None,
) -> None:
    """Keep features, score customers and publish alerts until stopped.

    Example: driftline worker --checkpoint 0.5 --status worker.json
    """
    keep()  # before the Kafka client and Numba have threads
    from schemas.topic_admin import create_topics  # late: it loads the Kafka client
    from stream_app.app import run_worker
    from stream_app.worker import WorkerOptions

    settings = Settings.from_env()
    workload = load_workload(settings.workload)
    create_topics(settings, workload)
    live_from_ms = int(live_from.replace(tzinfo=UTC).timestamp() * 1000) if live_from else 0
    click.echo("driftline worker: starting (kernels compile once per version, about 20 s)", err=True)
    options = WorkerOptions(checkpoint_s, live_from_ms, accept_gap)
    run_worker(
        settings,
        workload,
        options,
        status_file=status_file,
        live_clock=live_clock,
        loglevel=loglevel,
        instance=instance,
    )
