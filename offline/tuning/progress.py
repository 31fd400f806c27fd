"""What a long search says while it runs: a bar on a terminal, else a line now and then; on stderr.

The only module of this folder that touches rich.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from offline.tuning.criterion import Criterion
from offline.tuning.search import Seconds
from offline.tuning.trial import Trial, best_of, complete

LINE_EVERY_S: Final = 10.0


@contextmanager
def reporting(
    criterion: Criterion, n_trials: int | None, limit_s: float | None, seconds: Seconds
) -> Iterator[Callable[[list[Trial]], None]]:
    """A function that takes all trials and shows how far the search is.

    Parameters
    ----------
    n_trials, limit_s
        Where the search ends, by number and by seconds from now; None when it does not.
    """
    began = seconds()

    def said(trials: list[Trial]) -> str:
        if not complete(trials):
            return ""
        best = best_of(trials, criterion)
        left = left_s(len(trials), n_trials, limit_s, trials, seconds() - began)
        return f"best {criterion.words} {best.value:.4f} (defaults {trials[0].value:.4f}){_left(left)}"

    if sys.stderr.isatty():
        with _bar(n_trials, said) as show:
            yield show
    else:
        yield _lines(n_trials, said, seconds)


def left_s(
    n_done: int, n_trials: int | None, limit_s: float | None, trials: list[Trial], spent_s: float
) -> float | None:
    """Seconds until the search ends, by the mean of its trials; None when nothing says so."""
    ends = []
    if n_trials is not None and trials:
        ends.append((n_trials - n_done) * sum(trial.seconds for trial in trials) / len(trials))
    if limit_s is not None:
        ends.append(limit_s - spent_s)
    return max(0.0, min(ends)) if ends else None


@contextmanager
def _bar(n_trials: int | None, said: Callable[[list[Trial]], str]) -> Iterator[Callable[[list[Trial]], None]]:
    columns = (
        TextColumn("trial {task.completed}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("tune", total=n_trials, said="")
        yield lambda trials: progress.update(task, completed=len(trials), said=said(trials))


def _lines(n_trials: int | None, said: Callable[[list[Trial]], str], seconds: Seconds) -> Callable[[list[Trial]], None]:
    last = seconds()

    def show(trials: list[Trial]) -> None:
        nonlocal last
        if seconds() - last >= LINE_EVERY_S or len(trials) == n_trials:
            last = seconds()
            of = "" if n_trials is None else f" of {n_trials}"
            click.echo(f"trial {len(trials)}{of}: {said(trials)}", err=True)

    return show


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f", {int(seconds) // 60}:{int(seconds) % 60:02d} left"
