"""``driftline history``: the versions of a workload and what became of them."""

from __future__ import annotations

import click

from offline.cli import _examples, _print_json, _start, json_option, workload_option
from offline.passing import tell


@click.command(epilog=_examples("driftline history", "driftline history --json --no-broker"))
@workload_option
@click.option("--broker/--no-broker", default=True, show_default=True, help="Ask the topic of releases, too.")
@json_option
def history(name: str | None, broker: bool, as_json: bool) -> None:
    """List the versions: aliases, trained on which days, AUC on held-out days, releases and whom they replaced.

    Works without a broker, from what this installation has released itself.
    """
    from offline.version_history import tell_history

    settings, workload = _start(name)
    stories, is_from_topic = tell_history(settings, workload, with_broker=broker)
    if as_json:
        versions = [story.as_json() for story in stories]
        _print_json({"workload": workload.name, "versions": versions, "releases_from_topic": is_from_topic})
        return
    if broker and not is_from_topic:
        tell("no broker, or no topic of releases: only what this installation has released itself")
    for story in stories:
        click.echo("\n".join(story.lines()))
    if not stories:
        click.echo("no versions yet; run `driftline train` first")
