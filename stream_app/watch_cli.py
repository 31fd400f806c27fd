"""``driftline watch``: judge what the workers counted, until stopped."""

from __future__ import annotations

import signal
import threading

import click

from schemas.settings import Settings
from schemas.workload import load_workload
from stream_app.policy import POLICIES


@click.command("watch", epilog="\b\nExamples:\n  driftline watch\n  driftline watch --once")
@click.option("--once", is_flag=True, help="Stop at the end of what is there.")
@click.option(
    "--policy", type=click.Choice(list(POLICIES)), default=None, help="What may open a retrain signal; default: both."
)
def watch(once: bool, policy: str | None) -> None:
    """Compare the workers' counts with the model's reference; publish drift records and retrain signals."""
    from stream_app.watch import Watch  # late: it loads the Kafka client

    settings = Settings.from_env()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    chosen = POLICIES[policy] if policy else None
    n_published = Watch(settings, load_workload(settings.workload), chosen).run(stopped.is_set, once=once)
    click.echo(f"{n_published} records published")
