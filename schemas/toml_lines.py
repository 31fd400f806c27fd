"""On which line of a TOML text an entry stands: tomllib parses, but does not say where.

It scans headers and keys of text that tomllib has already accepted, so it need not check anything.
"""

from __future__ import annotations

import re
from typing import Final

Path = tuple[str | int, ...]

_KEY_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED: Final = rf"{_KEY_PART}(?:\s*\.\s*{_KEY_PART})*"
_HEADER: Final = re.compile(rf"\s*(\[\[|\[)\s*({_DOTTED})\s*\]")
_KEY: Final = re.compile(rf"\s*({_DOTTED})\s*=")
_PIECE: Final = re.compile(
    r"""(\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\#[^\n]*|[\[\]{}]|\n)""", re.DOTALL
)


class TomlLines:
    r"""Lines of the entries of one TOML text.

    Parameters
    ----------
    text
        Text that tomllib accepts.

    Examples
    --------
    >>> TomlLines('[[feature]]\nname = "a"\n').line(("feature", 0, "name"))
    2
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        self._table: Path = ()
        rows = text.split("\n")
        number = 1
        for n_rows in _statement_lengths(text):
            self._read(rows[number - 1], number)
            number += n_rows

    def line(self, path: Path) -> int | None:
        """One-based line of the entry, or of the nearest entry around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return None

    def _read(self, row: str, number: int) -> None:
        if header := _HEADER.match(row):
            self._table = self._resolve(_parts(header[2]), is_item=header[1] == "[[")
            self._lines.setdefault(self._table, number)
        elif key := _KEY.match(row):
            path = self._table
            for part in _parts(key[1]):
                path = (*path, part)
                self._lines.setdefault(path, number)

    def _resolve(self, parts: list[str], *, is_item: bool) -> Path:
        path: Path = ()
        for index, part in enumerate(parts):
            path = (*path, part)
            if is_item and index == len(parts) - 1:
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        return path


def _parts(dotted: str) -> list[str]:
    return [part[1:-1] if part[0] in "\"'" else part for part in re.findall(_KEY_PART, dotted)]


def _statement_lengths(text: str) -> list[int]:
    """Rows of each statement in turn: a row that ends inside a bracket or string goes on."""
    lengths, depth, n_rows = [], 0, 1
    for match in _PIECE.finditer(text + "\n"):
        piece = match[0]
        if piece == "\n":
            if depth == 0:
                lengths.append(n_rows)
                n_rows = 0
            n_rows += 1
        elif piece in "[{":
            depth += 1
        elif piece in "]}":
            depth -= 1
        else:
            n_rows += piece.count("\n")
    return lengths
