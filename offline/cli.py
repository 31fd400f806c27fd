"""``driftline train | evaluate | release | rollback | retrain-worker | report | audit | state build``.

The wall clock is read here alone. Results go to standard output, progress to standard error. Long because the options
and the help of every command stand here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offline.data_options import data_options, said_rows
from offline.evaluation_options import cost_options, evaluation_options, names_of, said_costs
from offline.passing import tell
from schemas.settings import Settings
from schemas.workload import Workload, load_workload

if TYPE_CHECKING:
    from offline.dask_engine import Cluster
    from offline.training_set import TrainingSet
    from schemas.bundle import Bundle

workload_option = click.option("--workload", "name", metavar="NAME|PATH", help="Default DRIFTLINE_WORKLOAD.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
threads_option = click.option(
    "--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Threads of XGBoost."
)


oracle_option = click.option(
    "--oracle",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Of a simulated log: say how much of its oracle's lift the model has.",
)


def _examples(*lines: str) -> str:
    """The end of a help text; the leading character keeps click from joining the lines."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def _start(name: str | None) -> tuple[Settings, Workload]:
    settings = Settings.from_env()
    return settings, load_workload(name or settings.workload)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _print_json(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content, indent=1, sort_keys=True, allow_nan=False))


@click.command(
    epilog=_examples(
        "driftline train",
        "driftline train --cutoffs 2024-01-01,2024-02-01,2024-03-01 --test-cutoffs 2024-05-01",
        "driftline train --like v0001",
        "driftline train --params latest",
        "driftline train --threshold recall:0.8",
        "driftline train --threshold profit --costs campaign.toml",
    )
)
@workload_option
@data_options
@click.option("--params", metavar="FILE|latest", help="Parameters of a file, or those `driftline tune` found last.")
@click.option("--like", metavar="VERSION", help="Make a version again: its data, cut-offs and options.")
@threads_option
@click.option(
    "--threshold", metavar="GOAL", default="f1", show_default=True, help="Chosen for f1, profit, or recall:SHARE."
)
@cost_options
@click.option("--no-html", is_flag=True, help="Write no page of the held-out evaluation.")
@click.option("--engine", type=click.Choice(["local", "dask"]), default="local", show_default=True)
@click.option("--scheduler", metavar="ADDRESS", help="With --engine dask: of a cluster; default is this machine.")
@json_option
def train(
    name: str | None,
    params: str | None,
    like: str | None,
    threads: int,
    threshold: str,
    no_html: bool,
    engine: str,
    scheduler: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train a model on the lake and write the next version.

    Cut-offs are chosen from the history: the last matured days are held out, a label horizon apart from training.
    With --like the lake is read up to the offsets that the version was trained on, whatever has come since: the bundle
    id is the same, or the exit code is 1.
    """
    from offline.evaluation.run import Asked, evaluate_held_out, page_path
    from offline.threshold import parse_rule
    from offline.training_jobs import train_like, train_recorded
    from offline.tuning.params_file import load_params

    settings, workload = _start(name)
    if like is not None:
        _check_like_alone()
        found = train_like(settings, workload, like, _wall_ms(), tell)
        _print_evaluation(found, as_json)
        _print_likeness(found["like"], as_json)
    said = said_costs(flags)
    options = said_rows(
        flags,
        n_threads=threads,
        params=None if params is None else load_params(settings, workload, params),
        rule=parse_rule(threshold, said),
    )
    pages: dict[str, Any] = {}

    def draw(bundle: Bundle, training: TrainingSet) -> None:
        page = page_path(settings, workload, bundle.manifest.version, "held-out")
        full = evaluate_held_out(settings, bundle, training, Asked(costs=said, html=page), tell)
        pages.update({place: full[place] for place in ("html", "json")})

    seen = _unseen if no_html else draw
    with _engine(engine, scheduler) as cluster:
        found = train_recorded(settings, workload, options, _wall_ms(), tell, seen=seen, cluster=cluster)
    _print_evaluation(found | pages, as_json)


@contextmanager
def _engine(engine: str, scheduler: str | None) -> Iterator[Cluster | None]:
    if engine == "local":
        if scheduler is not None:
            raise click.UsageError("--scheduler needs --engine dask")
        yield None
        return
    from offline.dask_engine import create_cluster

    with create_cluster(scheduler) as cluster:
        yield cluster


def _unseen(bundle: Bundle, training: TrainingSet) -> None:
    """No page is wanted."""


def _check_like_alone() -> None:
    """With --like, every option is the version's own."""
    from click.core import ParameterSource

    context = click.get_current_context()
    given = {name for name in context.params if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    if extra := given - {"like", "name", "as_json"}:
        raise click.UsageError(f"--like takes the version's own options; leave out {', '.join(sorted(extra))}")


def _print_likeness(like: dict[str, Any], as_json: bool) -> None:
    differ = like["differences"]
    if not as_json:
        click.echo(f"like {like['version']}: {'differs in ' + ', '.join(differ) if differ else 'the same bundle id'}")
    click.get_current_context().exit(1 if differ else 0)


@click.command(
    epilog=_examples(
        "driftline evaluate champion --json",
        "driftline evaluate --costs campaign.toml --protected country,plan",
        "driftline evaluate v0001 --contact-cost 2 --offer-cost 15 --accept-rate 0.3 --customer-value 240",
        "driftline evaluate v0001 --oracle sim/oracle.parquet",
    )
)
@click.argument("version", default="latest")
@workload_option
@cost_options
@evaluation_options
@oracle_option
@json_option
def evaluate(
    version: str,
    name: str | None,
    protected: str | None,
    sliced_by: str | None,
    show_ids: bool,
    html: Path | None,
    no_html: bool,
    oracle: Path | None,
    as_json: bool,
    **costs: Any,
) -> None:
    """Evaluate a version on all matured weeks after its training, and draw a page of it.

    VERSION is a version, champion, challenger or latest (the default). The page goes to the reports folder.
    """
    from offline.evaluation.run import Asked, page_path
    from offline.registry import Registry
    from offline.training_jobs import evaluate_recorded

    if html is not None and no_html:
        raise click.UsageError("give --html or --no-html, not both")
    settings, workload = _start(name)
    said = said_costs(costs)
    version = Registry.of(settings, workload.name).resolve(version)
    page = None if no_html else html or page_path(settings, workload, version)
    asked = Asked(said, names_of(protected), names_of(sliced_by), show_ids, oracle, page)
    found = evaluate_recorded(settings, workload, version, asked, tell)
    _print_evaluation(found, as_json)


def _print_evaluation(found: dict[str, Any], as_json: bool) -> None:
    from offline.card import evaluation_lines

    if as_json:
        found.pop("yardstick", None)
        _print_json(found)
        return
    click.echo(f"{found['version']} (bundle {found['bundle_id'][:16]})")
    click.echo()
    for line in evaluation_lines(found):
        click.echo(line)
    if "metrics" in found:
        from offline.evaluation.terminal import evaluation_summary

        click.echo("\n" + "\n".join(evaluation_summary(found)))
    if "oracle" in found:
        from offline.oracle import oracle_line

        click.echo(oracle_line(found["oracle"]))
    for place in ("path", "html", "json"):
        if place in found:
            click.echo(f"\n{found[place]}")


@click.command(epilog=_examples("driftline release v0001", "driftline release v0002 --activate 2024-06-01"))
@click.argument("version")
@workload_option
@click.option("--now", is_flag=True, help="From the next tick on (the default).")
@click.option("--activate", metavar="DAY", help="From this event day on; must lie after every partition's clock.")
@click.option("--force", is_flag=True, help="Release in spite of a closed gate.")
@json_option
def release(version: str, name: str | None, now: bool, activate: str | None, force: bool, as_json: bool) -> None:
    """Release a version to the stream workers and make it the champion."""
    from offline import release as releasing
    from offline.cutoffs import day_of

    if now and activate:
        raise click.UsageError("give --now or --activate, not both")
    settings, workload = _start(name)
    day = None if activate is None else day_of(activate)
    _print_release(releasing.release(settings, workload, version, day, force=force), as_json)


@click.command(epilog=_examples("driftline rollback"))
@workload_option
@json_option
def rollback(name: str | None, as_json: bool) -> None:
    """Release the version before the champion again, from the next tick on."""
    from offline import release as releasing

    settings, workload = _start(name)
    _print_release(releasing.rollback(settings, workload), as_json)


def _print_release(done: Any, as_json: bool) -> None:
    from dataclasses import asdict

    from offline.cutoffs import date_text

    if as_json:
        _print_json(asdict(done))
        return
    begin = "the first day" if done.clock_day < 0 and done.activate_day == 0 else date_text(done.activate_day)
    click.echo(f"{done.status} {done.version} (bundle {done.bundle_id[:16]}): scores from {begin} on")


@click.command("retrain-worker", epilog=_examples("driftline retrain-worker", "driftline retrain-worker --once"))
@workload_option
@click.option("--once", is_flag=True, help="Move every signal as far as it goes now, then stop.")
@click.option("--poll", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Seconds between two looks.")
@click.option(
    "--matured-days", type=click.IntRange(1), help="Days of matured cut-offs to wait for after a drift began."
)
@click.option(
    "--report/--no-report", "with_report", default=True, show_default=True, help="Render a report for each answer."
)
@threads_option
def retrain_worker(
    name: str | None, once: bool, poll: float, matured_days: int | None, with_report: bool, threads: int
) -> None:
    """Answer retrain signals: wait for labels, train, compare with the champion, release or refuse."""
    from offline.retrain_worker import RetrainWorker
    from schemas.errors import BrokerError

    settings, workload = _start(name)
    worker = RetrainWorker(settings, workload, matured_days, threads, with_report, _wall_ms, click.echo)
    while True:
        try:
            worker.step()
        except BrokerError as error:
            if once:
                raise
            tell(f"{error}; trying again")
        if once:
            return
        time.sleep(poll)


@click.command(epilog=_examples("driftline report v0001", "driftline report --until 2026-02-01 --json"))
@click.argument("version", default="champion")
@workload_option
@click.option("--until", metavar="DAY", help="Compare the week before this day; default is the end of the lake.")
@json_option
def report(version: str, name: str | None, until: str | None, as_json: bool) -> None:
    """Render how the newest ticks in the lake differ from a version's reference days."""
    from offline.cutoffs import day_of
    from offline.report import write_report
    from schemas.durations import DAY_MS

    settings, workload = _start(name)
    until_ms = None if until is None else day_of(until) * DAY_MS
    path = str(write_report(settings, workload, version, until_ms, say=tell))
    if as_json:
        _print_json({"version": version, "html": path})
    else:
        click.echo(path)


@click.command(
    epilog=_examples(
        "driftline audit --customer C000123 --at 2026-02-05T09:30",
        "driftline audit C000123@1770249600000/0 --as-happened",
        "driftline audit --random 1000",
    )
)
@click.argument("score_id", required=False)
@workload_option
@click.option("--customer", metavar="ID", help="List the scores of a customer, to find an id.")
@click.option("--at", metavar="TIME", help="With --customer: those nearest to this time (UTC); default the newest.")
@click.option("--as-happened", is_flag=True, help="Compute it also from all that is known now of before its moment.")
@click.option("--random", "n", metavar="N", type=click.IntRange(1), help="Audit N retained scores at random.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the choice of --random.")
@json_option
def audit(
    score_id: str | None,
    name: str | None,
    customer: str | None,
    at: str | None,
    as_happened: bool,
    n: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Compute past scores again from the log, with the events and the model of then.

    Exit code 0 when every score is equal bit for bit, 1 when one differs, 2 when one cannot be computed: its events are
    not retained or were erased, or its model's bundle is missing.
    """
    from offline import audit_run

    if sum(choice is not None for choice in (score_id, customer, n)) != 1:
        raise click.UsageError("give one of SCORE_ID, --customer and --random")
    settings, workload = _start(name)
    if customer is not None:
        found = audit_run.list_scores(settings, workload, customer, at)
    elif n is not None:
        found = audit_run.audit_random(settings, workload, n, seed)
    else:
        found = audit_run.audit_named(settings, workload, str(score_id), as_happened)
    if as_json:
        _print_json(found.content)
    else:
        click.echo("\n".join(found.lines))
    click.get_current_context().exit(found.exit_code)


@click.group()
def state() -> None:
    """The state that workers go on from."""


@state.command(epilog=_examples("driftline state build", "driftline state build --from-lake --lake old/lake"))
@workload_option
@click.option("--from-lake", is_flag=True, help="The lake's events came before the topics': take them alone.")
@click.option("--lake", "folder", metavar="FOLDER", help="With --from-lake: another lake than this installation's.")
@click.option("--upto", metavar="DAY", help="Only what was known before this day.")
@click.option("--force", is_flag=True, help="Replace a state that has read further.")
@json_option
def build(name: str | None, from_lake: bool, folder: str | None, upto: str | None, force: bool, as_json: bool) -> None:
    """Run the heart over lake and topics and write the state of this workload and number of partitions.

    A worker started afterwards goes on where the build has stopped reading. No worker of the same workload file may run
    meanwhile; one of an earlier version of it may, until the new one takes over.
    """
    from offline.cutoffs import day_of
    from offline.state_build import build_from_lake, build_state

    if folder is not None and not from_lake:
        raise click.UsageError("--lake needs --from-lake")
    settings, workload = _start(name)
    day = None if upto is None else day_of(upto)
    if from_lake:
        lake_dir = settings.lake_dir if folder is None else Path(folder)
        built = build_from_lake(settings, workload, lake_dir, day, force=force, say=tell)
    else:
        built = build_state(settings, workload, day, force=force, say=tell)
    if as_json:
        _print_json(built.as_json())
    else:
        click.echo("\n".join(built.lines()))
