"""What a long command says while it runs: a bar on a terminal, else a line now and then; on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from producers.recording import day_text
from producers.replay import Replayed

_LINE_EVERY_S: Final = 5.0


@contextmanager
def reporting(wanted: bool | None, n_days: int | None) -> Iterator[Callable[[Replayed], None]]:
    """A function that takes what a replay has done and shows it.

    Parameters
    ----------
    wanted
        False shows nothing; None and True show a bar on a terminal, plain lines elsewhere.
    n_days
        Days there are to do; None when unknown.
    """
    if wanted is False:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bar(n_days) as show:
            yield show
    else:
        yield _lines()


@contextmanager
def _bar(n_days: int | None) -> Iterator[Callable[[Replayed], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("replay", total=n_days, said="")
        yield lambda done: progress.update(task, completed=done.n_days, said=f"{_day(done)}  {done.n_events:,} events")


def _lines() -> Callable[[Replayed], None]:
    began = said = time.monotonic()

    def show(done: Replayed) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _LINE_EVERY_S:
            said = now
            click.echo(f"{_day(done)}: {done.n_events:,} events, {now - began:.0f} s", err=True)

    return show


def _day(done: Replayed) -> str:
    return "no day" if done.day is None else day_text(done.day)
