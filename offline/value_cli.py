"""``driftline value``: predict what customers will be worth within the label's horizon, and say how well."""

from __future__ import annotations

from typing import Any

import click

from offline.cli import _examples, _print_json, _start, json_option, threads_option, workload_option
from offline.data_options import days_of
from offline.passing import tell


@click.command(epilog=_examples("driftline value", "driftline value --of payment --field amount --json"))
@workload_option
@click.option("--of", "kinds", metavar="KIND", multiple=True, help="Kind of events that count; may be repeated.")
@click.option("--field", metavar="FIELD", help="What is summed; default is the workload's first sum feature.")
@click.option("--cutoffs", metavar="DAYS", help="Own train cut-offs: dates separated by commas.")
@click.option("--test-cutoffs", metavar="DAYS", help="Own test cut-offs, a label horizon after the last train cut-off.")
@click.option("--until", metavar="DAY", help="Use only what was known before this day.")
@click.option(
    "--warm-up", type=click.IntRange(0, 1000), default=28, show_default=True, help="Days before the first cut-off."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every random choice.")
@threads_option
@json_option
def value(
    name: str | None,
    kinds: tuple[str, ...],
    field: str | None,
    cutoffs: str | None,
    test_cutoffs: str | None,
    until: str | None,
    warm_up: int,
    seed: int,
    threads: int,
    as_json: bool,
) -> None:
    """Predict the value of customers within the label's horizon: MAE, RMSE and R2 beside simple guesses.

    Cut-offs and rows are those of `train`. Nothing is released: the stream scores the label alone.
    """
    from offline.cutoffs import day_of
    from offline.regression.target import target_of
    from offline.regression.value_run import judge_value
    from offline.training_options import TrainingOptions

    settings, workload = _start(name)
    target = target_of(workload, kinds, field)
    options = TrainingOptions(
        train_days=days_of(cutoffs),
        test_days=days_of(test_cutoffs),
        until_day=None if until is None else day_of(until),
        warm_up_days=warm_up,
        n_threads=threads,
        seed=seed,
    )
    found = judge_value(settings, workload, target, options, tell)
    if as_json:
        _print_json(found)
    else:
        click.echo("\n".join(value_lines(found)))


def value_lines(found: dict[str, Any]) -> list[str]:
    """What a terminal shows of a judgement."""
    target, test, split = found["target"], found["test"], found["split"]
    unit = "" if target["unit"] == "1" else f", in {target['unit']}"
    asked = f"{target['says']} within {target['horizon_days']} days{unit}"
    judged = f"{test['n']} rows of {test['n_customers']} customers, cut-offs {split['test'][0]} to {split['test'][-1]}"
    return [
        f"{asked}; {judged}",
        f"mean {test['mean']:.4g}, {test['share_of_zeros']:.0%} zeros; trained with {found['training']['loss']}",
        "",
        "| | MAE | RMSE | R2 |",
        "|---|---|---|---|",
        *(
            f"| {name} | {_span(row['mae'])} | {_span(row['rmse'])} | {_span(row['r2'])} |"
            for name, row in sorted(found["errors"].items(), key=lambda item: item[0] != "model")
        ),
        "",
        *(
            f"Gain over {name}: {_span(gain['mae'])} in MAE, {_span(gain['rmse'])} in RMSE."
            for name, gain in found["gain"].items()
        ),
        ("Skill: " if found["skill"]["claimed"] else "No skill claimed: ") + found["skill"]["text"] + ".",
    ]


def _span(found: dict[str, float | None]) -> str:
    return f"{_n(found['value'])} ({_n(found['low'])} to {_n(found['high'])})"


def _n(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
