"""How far a job is that goes through many events: a bar on a terminal, nothing elsewhere; on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def event_bar(label: str, n_events: int | None) -> Iterator[Callable[[int], None]]:
    """A function that takes how many more events are done.

    Parameters
    ----------
    label
        What is being done.
    n_events
        Events there are; None when unknown.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=n_events)
        yield lambda n: progress.advance(task, n)
