"""Reading one table of a workload file: typed values, unknown keys refused, every refusal with its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Final, NoReturn

from schemas.durations import DAY_MS, format_duration, parse_duration
from schemas.errors import WorkloadError
from schemas.toml_lines import Path, TomlLines

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
MISSING: Final = object()


class Entry:
    """One table of the file and where it stands.

    Parameters
    ----------
    file
        For messages.
    lines
        Lines of the whole file.
    path
        Keys and indices that lead to this table.
    table
        Its content.
    """

    def __init__(self, file: str | FilePath, lines: TomlLines, path: Path, table: Mapping[str, Any]) -> None:
        self.file = file
        self.lines = lines
        self.path = path
        self.table = table

    @property
    def title(self) -> str:
        """How a message names this table, like ``feature "logins"``."""
        if not self.path:
            return ""
        section = [part for part in self.path if isinstance(part, str)]
        name = self.table.get("name")
        return f'{".".join(section)} "{name}"' if isinstance(name, str) else f"[{'.'.join(section)}]"

    def refuse(self, key: str | None, detail: str) -> NoReturn:
        """Raise a `WorkloadError` at `key` (None: at the table itself)."""
        path = self.path if key is None else (*self.path, key)
        place = ": ".join(part for part in (self.title, key) if part)
        raise WorkloadError(self.file, self.lines.line(path), f"{place} {detail}".strip())

    def only(self, *allowed: str, why: str = "") -> None:
        """Refuse every key that is not allowed here, with the nearest that is."""
        for key in self.table:
            if key not in allowed:
                self.refuse(key, f"is not known here{why}; {suggest(key, allowed)}")

    def has(self, key: str) -> bool:
        """Whether the key is given."""
        return key in self.table

    def _get(self, key: str, default: Any, wanted: type | tuple[type, ...], say: str) -> Any:
        value = self.table.get(key, default)
        if value is MISSING:
            self.refuse(None, f"needs {key}: {say}")
        if key in self.table and (not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool)):
            self.refuse(key, f"= {value!r} must be {say}")
        return value

    def text(self, key: str, default: Any = MISSING) -> str:
        """Text without line breaks."""
        value: str = self._get(key, default, str, "text")
        if isinstance(value, str) and key in self.table and "\n" in value.strip("\n") and key != "doc":
            self.refuse(key, "must be one line of text")
        return value

    def some_text(self, key: str, default: Any = MISSING) -> Any:
        """Text of at least one character."""
        value = self.text(key, default)
        if value == "" and key in self.table:
            self.refuse(key, "is empty")
        return value

    def name(self, key: str = "name") -> str:
        """A name: small letters, digits and _."""
        value = self.text(key)
        if not NAME.fullmatch(value):
            self.refuse(key, f"= {value!r} is not a name; allowed are a-z, 0-9 and _, a letter first, up to 63")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value: bool = self._get(key, default, bool, "true or false")
        return value

    def integer(self, key: str, default: Any, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        value: int = self._get(key, default, int, f"a whole number from {low} to {high}")
        if not low <= value <= high:
            self.refuse(key, f"= {value} is out of range; allowed is {low} to {high}")
        return value

    def number(self, key: str, default: Any, low: float, high: float) -> float:
        """A number in [low, high]."""
        value: float = self._get(key, default, (int, float), f"a number from {low:g} to {high:g}")
        if not low <= value <= high:
            self.refuse(key, f"= {value} is out of range; allowed is {low:g} to {high:g}")
        return float(value)

    def duration(self, key: str, default: Any, low: str, high: str) -> int:
        """A duration in [low, high], in milliseconds."""
        text = self._get(key, default, str, 'a duration like "10s", "5m", "2h" or "7d"')
        ms = self._parse_duration(key, text)
        if not parse_duration(low) <= ms <= parse_duration(high):
            self.refuse(key, f'= "{text}" is out of range; allowed is "{low}" to "{high}"')
        return ms

    def whole_days(self, key: str, low: str, high: str) -> int:
        """A duration of whole days, in milliseconds."""
        ms = self.duration(key, MISSING, low, high)
        if ms % DAY_MS:
            self.refuse(key, f'= "{format_duration(ms)}" must be whole days, like "30d"')
        return ms

    def _parse_duration(self, key: str, text: Any) -> int:
        try:
            return parse_duration(text)
        except (ValueError, TypeError):
            self.refuse(key, f'= {text!r} is not a duration; write one like "10s", "5m", "2h" or "7d"')

    def durations(self, key: str) -> tuple[int, ...]:
        """A list of durations, in milliseconds."""
        return tuple(self._parse_duration(key, text) for text in self.texts(key))

    def texts(self, key: str, default: Any = MISSING) -> tuple[str, ...]:
        """A list of different texts."""
        values: Sequence[Any] = self._get(key, default, list, "a list of text")
        for value in values:
            if not isinstance(value, str):
                self.refuse(key, f"holds {value!r}, which is not text")
        if len(set(values)) != len(values):
            self.refuse(key, f"= {list(values)!r} names something twice")
        return tuple(values)

    def choice(self, key: str, allowed: Iterable[str], default: Any = MISSING) -> Any:
        """One of the allowed texts."""
        allowed = tuple(allowed)
        value = self._get(key, default, str, "one of " + ", ".join(allowed))
        if key in self.table and value not in allowed:
            self.refuse(key, f"= {value!r} is not allowed; {suggest(value, allowed)}")
        return value

    def choices(self, key: str, allowed: Iterable[str], what: str, default: Any = MISSING) -> tuple[str, ...]:
        """A list of different texts, all allowed."""
        allowed = tuple(allowed)
        values = self.texts(key, default)
        for value in values:
            if value not in allowed:
                self.refuse(key, f"= {value!r} is not a {what}; {suggest(value, allowed)}")
        return values

    def some_choices(self, key: str, allowed: Iterable[str], what: str) -> tuple[str, ...]:
        """At least one of the allowed texts."""
        allowed = tuple(allowed)
        values = self.choices(key, allowed, what)
        if not values:
            self.refuse(key, f"is empty; name at least one {what} of {', '.join(allowed)}")
        return values

    def child(self, key: str, default: Any = MISSING) -> Entry:
        """The table under `key`."""
        value = self._get(key, default, dict, "a table")
        return Entry(self.file, self.lines, (*self.path, key), value)

    def items(self, key: str) -> tuple[Entry, ...]:
        """The tables of the list under `key`, none when it is not given."""
        values = self._get(key, [], list, f"a list of tables, each under [[{key}]]")
        for value in values:
            if not isinstance(value, dict):
                self.refuse(key, f"holds {value!r}; write each entry as a table under [[{key}]]")
        path = (*self.path, key)
        return tuple(Entry(self.file, self.lines, (*path, index), value) for index, value in enumerate(values))


def suggest(value: str, allowed: Iterable[str]) -> str:
    """What is allowed, and the nearest to `value` first.

    Examples
    --------
    >>> suggest("logn", ["login", "export"])
    'did you mean login? allowed are login, export'
    """
    allowed = tuple(allowed)
    close = difflib.get_close_matches(value, allowed, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}allowed are {', '.join(allowed)}" if allowed else "nothing is allowed here"
