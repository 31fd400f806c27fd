"""What a long job says while it runs: lines that stay, and lines that the next one replaces."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Final, TypeVar

import click

Say = Callable[[str], None]
STEPS: Final = 40
_Part = TypeVar("_Part", bound=Sized)


class Passing(str):
    """A line that is worth reading only until the next one comes."""

    __slots__ = ()


def silent(line: str) -> None:
    """Say nothing."""


def tell(line: str) -> None:
    """Say a line on stderr; a passing one on a terminal alone, in the place of the last."""
    is_terminal = sys.stderr.isatty()
    if isinstance(line, Passing):
        if is_terminal:
            click.echo(f"\r\x1b[K{line}", nl=False, err=True)
        return
    click.echo(f"\r\x1b[K{line}" if is_terminal else line, err=True)


def watched(parts: Iterable[_Part], what: str, n_events: int, say: Say) -> Iterator[_Part]:
    """The same parts, with a bar that says how far their events are.

    Parameters
    ----------
    what
        Is being done.
    n_events
        Of all parts together.

    Examples
    --------
    >>> said = []
    >>> [len(part) for part in watched(["a", "bcd"], "reading", 4, said.append)]
    [1, 3]
    >>> said[0]
    'reading ##########.............................. 1 of 4 events'
    """
    with event_bar(what, n_events, say) as report:
        for part in parts:
            yield part
            report(len(part))


@contextmanager
def event_bar(what: str, n_events: int, say: Say = tell) -> Iterator[Callable[[int], None]]:
    """A function that takes how many more of ``n_events`` are done, and shows a bar of all of them."""
    done, step = 0, -1

    def report(n: int) -> None:
        nonlocal done, step
        done += n
        now = min(STEPS, STEPS * done // max(1, n_events))
        if now != step:
            step = now
            say(Passing(f"{what} {'#' * step}{'.' * (STEPS - step)} {done:,} of {n_events:,} events"))

    try:
        yield report
    finally:
        say(Passing(""))
