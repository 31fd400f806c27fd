"""What a long job says while it runs: lines that stay, and lines that the next one replaces."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
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
    done, step = 0, -1
    for part in parts:
        yield part
        done += len(part)
        now = min(STEPS, STEPS * done // max(1, n_events))
        if now != step:
            step = now
            say(Passing(f"{what} {'#' * step}{'.' * (STEPS - step)} {done:,} of {n_events:,} events"))
    say(Passing(""))
