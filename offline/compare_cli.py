"""``driftline compare``: two versions side by side."""

from __future__ import annotations

import click

from offline.cli import _examples, _print_json, _start, json_option, workload_option
from offline.passing import tell


@click.command(epilog=_examples("driftline compare v0002 v0001", "driftline compare challenger champion --json"))
@click.argument("first")
@click.argument("second")
@workload_option
@json_option
def compare(first: str, second: str, name: str | None, as_json: bool) -> None:
    """Compare two versions on the matured rows that neither was trained on.

    FIRST and SECOND are versions, champion, challenger or latest; SECOND may be rule: days of silence. Gains are
    those of FIRST, with 95 % intervals, paired by customer.
    """
    from offline.comparison import compare_versions
    from offline.errors import OfflineError
    from offline.held_out import Contestant, held_out
    from offline.runs import recorded

    settings, workload = _start(name)
    with recorded(settings, "compare", {"first": first, "second": second}) as run:
        one, other = Contestant.of(settings, workload, first), Contestant.of(settings, workload, second)
        if one.bundle is None:
            raise OfflineError("FIRST must be a version; write the rule as SECOND")
        found = compare_versions(held_out(settings, one, other, tell), one.version, other.version)
        run.inputs |= {"first": one.version, "second": other.version, "test": found.days}
        run.results["is_better"] = found.verdict.is_better
    if as_json:
        _print_json(found.as_json())
    else:
        click.echo("\n".join(found.lines()))
