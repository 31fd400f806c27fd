"""Exclusive times of nested stages, by wrapping functions for the length of a measurement."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """Seconds by stage; time inside an inner stage does not count for the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stack: list[str] = []
        self._since = 0.0
        self._undo: list[tuple[Any, str, Any]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside as ``name``."""
        self._enter(name)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, name: str) -> None:
        self._book()
        self._stack.append(name)

    def _leave(self) -> None:
        self._book()
        self._stack.pop()

    def _book(self) -> None:
        now = time.perf_counter()
        if self._stack:
            name = self._stack[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    def wrap(self, owner: Any, attribute: str, name: str) -> None:
        """Count every call of ``owner.attribute`` as ``name`` until `unwrap`."""
        original = getattr(owner, attribute)
        self._undo.append((owner, attribute, original))
        setattr(owner, attribute, self._timed(original, name))

    def _timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._enter(name)
            try:
                return function(*args, **kwargs)
            finally:
                self._leave()

        return timed

    def unwrap(self) -> None:
        """Put the originals back."""
        for owner, attribute, original in reversed(self._undo):
            setattr(owner, attribute, original)
        self._undo.clear()
