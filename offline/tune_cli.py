"""``driftline tune``: search the parameters of the model on folds in time.

The clock that budgets need is read here. Results go to standard output, progress to standard error.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from offline.cli import _examples, _print_json, _start, json_option, threads_option, workload_option
from offline.data_options import data_options, said_rows
from offline.passing import tell

if TYPE_CHECKING:
    from offline.tuning.tuning_run import TuningOptions

EXIT_INTERRUPTED = 130


@click.command(
    epilog=_examples(
        "driftline tune",
        "driftline tune --method random --trials 200 --minutes 10 --html",
        "driftline tune --method grid --over learning_rate,max_depth",
        "driftline train --params latest",
    )
)
@workload_option
@click.option("--method", type=click.Choice(["bayes", "random", "grid"]), default="bayes", show_default=True)
@click.option("--trials", type=click.IntRange(1), help="Stop at so many, the defaults included; default 50.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Stop after so long; alone, without --trials.")
@click.option("--folds", type=click.IntRange(1, 20), default=3, show_default=True, help="Folds in time, at most.")
@click.option(
    "--metric",
    type=click.Choice(["log_loss", "roc_auc", "pr_auc"]),
    default="log_loss",
    show_default=True,
    help="What is made best.",
)
@click.option("--over", metavar="NAMES", help="Search these parameters alone, separated by commas; default all.")
@click.option("--prune/--no-prune", default=True, show_default=True, help="Give up on a trial worse than the median.")
@click.option("--resume/--fresh", default=True, show_default=True, help="Go on with the same study, or begin again.")
@data_options
@threads_option
@click.option("--html", "as_html", is_flag=True, help="Write a page beside the result.")
@json_option
def tune(
    name: str | None,
    method: str,
    trials: int | None,
    minutes: float | None,
    folds: int,
    metric: str,
    over: str | None,
    prune: bool,
    resume: bool,
    threads: int,
    as_html: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Search the parameters of the model on folds in time; `driftline train --params latest` uses them.

    The cut-offs that training holds out for its test take no part. Give the options of data as you give them to
    `train`. A study with the same inputs goes on where it stopped, after Ctrl-C or with more trials, and finds what it
    would have found in one go. Exit code 130 after Ctrl-C; what was done is kept and told.
    """
    from offline.tuning.tuning_run import TuningOptions

    data = said_rows(flags, n_threads=threads)
    names = tuple(part.strip() for part in (over or "").split(",") if part.strip())
    options = TuningOptions(data, method, trials, minutes, folds, metric, names, prune, not resume)
    if _run(name, options, as_html, as_json):
        click.get_current_context().exit(EXIT_INTERRUPTED)


def _run(name: str | None, options: TuningOptions, as_html: bool, as_json: bool) -> bool:
    """Whether the user interrupted it."""
    from offline.runs import recorded
    from offline.tuning.progress import reporting
    from offline.tuning.tuning_page import tuning_page
    from offline.tuning.tuning_run import prepare

    settings, workload = _start(name)
    with recorded(settings, "tune", asdict(options) | {"seed": options.data.seed}) as record:
        study = prepare(settings, workload, options, tell)
        record.inputs |= study.inputs
        with reporting(study.criterion, study.n_trials, options.budget.seconds, time.monotonic) as watch:
            done = study.run(time.monotonic, watch, tell)
        record.results |= {"n_trials": len(done.result.trials), "is_worth_it": done.result.gain.is_worth_it}
        record.add_output(done.study.result_path)
    if done.was_interrupted:
        tell(f"interrupted after {len(done.result.trials)} trials; the same command goes on")
    if as_html:
        tuning_page(done.result, workload.name).save(done.study.page_path)
    if as_json:
        _print_json(done.result.content() | {"path": str(done.study.result_path)})
        return done.was_interrupted
    for line in done.result.lines():
        click.echo(line)
    click.echo(f"\n{done.study.result_path}")
    if as_html:
        click.echo(str(done.study.page_path))
    return done.was_interrupted
