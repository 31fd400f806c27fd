"""How far a long run is: a bar on a terminal, else a line now and then. The only module of the ladder with rich."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINE_EVERY_S: Final = 10.0


class ProgressBar:
    """A bar that begins with the first units of work and goes away at the end."""

    def __init__(self) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("reading the history", total=None)
        self._n_begun = 0

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, n_units: int) -> None:
        """So many units will be done."""
        self._bar.update(self._task, total=n_units)

    def advance(self, what: str) -> None:
        """The unit before is done, this one begins."""
        self._bar.update(self._task, completed=self._n_begun, description=what)
        self._n_begun += 1


class ProgressLines:
    """At most one line every ten seconds.

    Parameters
    ----------
    clock
        Seconds from any start.
    say
        Takes a line.
    """

    def __init__(self, clock: Callable[[], float], say: Callable[[str], None]) -> None:
        self._clock, self._say = clock, say
        self._n_units = self._n_begun = 0
        self._said_s = clock()

    def begin(self, n_units: int) -> None:
        """So many units will be done."""
        self._n_units = n_units

    def advance(self, what: str) -> None:
        """The unit before is done, this one begins."""
        if self._clock() - self._said_s >= LINE_EVERY_S:
            self._said_s = self._clock()
            self._say(f"{self._n_begun} of {self._n_units}: {what}")
        self._n_begun += 1
