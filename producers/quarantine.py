"""Rows that were refused, each with its reason and its cells, in one file to look at and to repair.

JSON lines or Parquet, by the file's suffix: source, file, row, reason, column and the cells that the source uses.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from producers.errors import QuarantineError
from producers.tables import BrokenRow, Table
from schemas.lake import atomic_file

MAX_ROWS_EACH: Final = 100_000
SUFFIXES: Final = (".jsonl", ".parquet")
_SCHEMA: Final = pa.schema(
    [
        ("source", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("reason", pa.string()),
        ("column", pa.string()),
        ("cells", pa.string()),
    ]
)


class Quarantine:
    """Gathers refused rows; `save` writes them. Of one source and reason the first 100,000 are kept.

    Parameters
    ----------
    path
        ``.jsonl`` or ``.parquet``.

    Raises
    ------
    QuarantineError
        When the suffix is another.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix not in SUFFIXES:
            raise QuarantineError(path, f"must end in {' or '.join(SUFFIXES)}")
        self.path = path
        self._rows: list[tuple[str, str, int, str, str | None, str]] = []
        self._room: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def update(self, source: str, table: Table, rows: NDArray[np.int64], reason: str, column: str) -> None:
        """Take rows of a table, refused for what stands in `column`."""
        rows = rows[: self._take_room(source, reason, len(rows))]
        columns = {name: cells.take(pa.array(rows)).to_pylist() for name, cells in table.columns.items()}
        for place, number in enumerate(table.numbers(rows).tolist()):
            cells = {name: column[place] for name, column in columns.items()}
            self._rows.append((source, table.name, number, reason, column, _json(cells)))

    def update_broken(self, source: str, file: str, row: BrokenRow) -> None:
        """Take a line that is no row."""
        if self._take_room(source, row.reason, 1):
            self._rows.append((source, file, row.number, row.reason, None, _json({"line": row.text})))

    def _take_room(self, source: str, reason: str, wanted: int) -> int:
        """How many of the wanted rows may still be kept."""
        room = self._room.get((source, reason), MAX_ROWS_EACH)
        self._room[source, reason] = room - min(wanted, room)
        return min(wanted, room)

    def save(self) -> None:
        """Write the file whole; without any row there is none, and one of an earlier run is deleted."""
        if not self._rows:
            self.path.unlink(missing_ok=True)
            return
        with atomic_file(self.path) as out:
            if self.path.suffix == ".jsonl":
                out.writelines(_line(row) for row in self._rows)
            else:
                columns = zip(*self._rows, strict=True)
                pq.write_table(pa.table(dict(zip(_SCHEMA.names, columns, strict=True)), schema=_SCHEMA), out)


def _line(row: tuple[str, str, int, str, str | None, str]) -> bytes:
    head = json.dumps(dict(zip(_SCHEMA.names[:-1], row[:-1], strict=True)), ensure_ascii=False)
    return f'{head[:-1]}, "cells": {row[-1]}}}\n'.encode()


def _json(cells: dict[str, Any]) -> str:
    return json.dumps(cells, ensure_ascii=False, default=str)
