"""Files as tables of Arrow columns: CSV, JSON lines and Parquet, plain or compressed, one file or many.

Cells keep the file's own types (CSV cells are text); `producers.columns` reads them as what the workload wants.
The only module that knows file formats; where files are is in `producers.files`, databases in `producers.database`.
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from producers.errors import SourceError
from producers.files import SourceFile, find_files, first_line
from schemas.source import Source

_UNIT_SEPARATOR: Final = "\x1f"
_BLOCK_BYTES: Final = 1 << 24
_PLAIN: Final = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_temporal,
    pa.types.is_string,
)


@dataclass(frozen=True)
class BrokenRow:
    """A line that is no row: its number in the file, counted from 1 without the head, its text, and why."""

    number: int
    text: str
    reason: str


@dataclass(frozen=True, eq=False)
class Table:
    """The wanted columns of one file, or of a part of a database's answer.

    Parameters
    ----------
    path, kind
        Where the rows come from, as messages show it.
    n_rows
        Rows, without those that are no rows at all.
    columns
        Column name -> Arrow array (n_rows,).
    broken
        Lines that are no rows.
    row_numbers
        Place of each row in the file, counted from 1; None counts on from `first_row`.
    """

    path: str
    n_rows: int
    columns: dict[str, Any]
    broken: tuple[BrokenRow, ...] = ()
    row_numbers: NDArray[np.int64] | None = None
    first_row: int = 1
    kind: Literal["file", "database"] = "file"

    def __getitem__(self, column: str) -> Any:
        return self.columns[column]

    @property
    def name(self) -> str:
        """The file's name without its folder; of a database, all of it."""
        return Path(self.path).name if self.kind == "file" else self.path

    def numbers(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places in the file of some rows."""
        return rows + self.first_row if self.row_numbers is None else self.row_numbers[rows]


def read_tables(source: Source, data_dir: Path | str, wanted: Collection[str]) -> Iterator[Table]:
    """The files of a source, one table each, in the order of their names.

    Parameters
    ----------
    source
        Where the files are and what they look like.
    data_dir
        Folder or URL that the source's path is relative to.
    wanted
        Columns to read.

    Raises
    ------
    SourceError
        When no file fits, a file cannot be read, or a wanted column is not there.
    """
    for file in find_files(source, data_dir):
        try:
            yield _READERS[source.format](file, source, wanted)
        except (OSError, EOFError, UnicodeError, lzma.LZMAError, pa.ArrowException) as cause:
            raise SourceError(source.name, file.path, f"cannot be read: {first_line(cause)}") from cause


def _read_csv(file: SourceFile, source: Source, wanted: Collection[str]) -> Table:
    names, broken = list(source.columns), list[BrokenRow]()
    n_head = 1 if source.header and not names else 0

    def skip(row: Any) -> str:
        broken.append(BrokenRow(int(row.number) - n_head, row.text, "wrong number of cells"))
        return "skip"

    read = pyarrow.csv.ReadOptions(
        column_names=names or None,
        autogenerate_column_names=not (source.header or names),
        skip_rows=1 if names and source.header else 0,
        block_size=_BLOCK_BYTES,
        use_threads=False,
    )
    parse = pyarrow.csv.ParseOptions(
        delimiter=_separator(source), newlines_in_values=source.separator != "whitespace", invalid_row_handler=skip
    )
    convert = pyarrow.csv.ConvertOptions(column_types={name: pa.string() for name in wanted}, strings_can_be_null=False)
    with _csv_stream(file, source) as stream:
        table = pyarrow.csv.read_csv(stream, read, parse, convert)
    _check_columns(source, file, wanted, table.column_names)
    return _table_of(file, table, wanted, tuple(broken))


def _separator(source: Source) -> str:
    return _UNIT_SEPARATOR if source.separator == "whitespace" else source.separator


def _csv_stream(file: SourceFile, source: Source) -> Any:
    if source.separator != "whitespace":
        return file.stream()
    text = re.sub(rb"^[ \t]+|[ \t]+(?=\r?$)", b"", file.read(), flags=re.M)
    return pa.BufferReader(re.sub(rb"[ \t]+", _UNIT_SEPARATOR.encode(), text))


def _read_jsonl(file: SourceFile, source: Source, wanted: Collection[str]) -> Table:
    rows, numbers, broken = [], [], []
    for number, line in enumerate(file.read().splitlines(), start=1):
        row = _json_object(line)
        if row is not None:
            rows.append(row)
            numbers.append(number)
        elif line.strip():
            broken.append(BrokenRow(number, line.decode(errors="replace"), "not a JSON object"))
    present = dict.fromkeys(name for row in rows for name in row)
    if rows:
        _check_columns(source, file, wanted, list(present))
    columns = {name: cells_of([row.get(name) for row in rows]) for name in wanted}
    return Table(file.path, len(rows), columns, tuple(broken), np.array(numbers, dtype=np.int64))


def _json_object(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def cells_of(cells: list[Any]) -> Any:
    """An Arrow column of Python values; what is no number, time or text, or a mixture, becomes text."""
    try:
        array = pa.array(cells)
    except pa.ArrowException:
        array = None
    if array is not None and any(test(array.type) for test in _PLAIN):
        return array
    return pa.array([None if cell is None else _text(cell) for cell in cells], pa.string())


def _text(cell: Any) -> str:
    return json.dumps(cell) if isinstance(cell, bool | int | float | list | dict) else str(cell)


def _read_parquet(file: SourceFile, source: Source, wanted: Collection[str]) -> Table:
    content = pa.BufferReader(file.read()) if file.is_compressed else file.open()
    with content, pyarrow.parquet.ParquetFile(content) as parquet:
        _check_columns(source, file, wanted, parquet.schema_arrow.names)
        return _table_of(file, parquet.read(columns=list(wanted), use_threads=False), wanted)


def _table_of(file: SourceFile, table: Any, wanted: Collection[str], broken: tuple[BrokenRow, ...] = ()) -> Table:
    columns = {name: _one_chunk(table[name]) for name in wanted}
    numbers = None
    if broken:
        every = np.arange(1, table.num_rows + len(broken) + 1)
        numbers = np.setdiff1d(every, [row.number for row in broken], assume_unique=True)
    return Table(file.path, table.num_rows, columns, broken, numbers)


def _one_chunk(column: Any) -> Any:
    array = column.combine_chunks()
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    return pc.cast(array, array.type.value_type) if pa.types.is_dictionary(array.type) else array


def _check_columns(source: Source, file: SourceFile, wanted: Collection[str], present: list[str]) -> None:
    for name in wanted:
        if name not in present:
            raise SourceError(source.name, file.path, f"is not in the file; it has {', '.join(present)}", column=name)


_READERS: Final[dict[str, Callable[[SourceFile, Source, Collection[str]], Table]]] = {
    "csv": _read_csv,
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
}
