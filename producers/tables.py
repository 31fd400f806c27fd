"""Files as tables of Arrow columns: CSV, JSON lines and Parquet, plain or compressed, one file or many.

Cells keep the file's own types (CSV cells are text); `producers.columns` reads them as what the workload wants.
The only module that knows file formats.
"""

from __future__ import annotations

import io
import json
import lzma
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from producers.errors import SourceError
from producers.refusals import Refusals
from schemas.source import Source

_UNIT_SEPARATOR: Final = "\x1f"
_BLOCK_BYTES: Final = 1 << 24
_COMPRESSIONS: Final = (".gz", ".bz2", ".zst", ".xz")


@dataclass(frozen=True)
class Table:
    """The wanted columns of one file.

    Parameters
    ----------
    path
        The file.
    n_rows
        Rows in it, without those that are no rows at all.
    columns
        Column name -> Arrow array (n_rows,).
    """

    path: Path
    n_rows: int
    columns: dict[str, Any]

    def __getitem__(self, column: str) -> Any:
        return self.columns[column]


def read_tables(source: Source, data_dir: Path, wanted: Collection[str], refusals: Refusals) -> Iterator[Table]:
    """The files of a source, one table each, in the order of their names.

    Parameters
    ----------
    source
        Where the files are and what they look like.
    data_dir
        Folder that the source's path is relative to.
    wanted
        Columns to read.
    refusals
        Takes the lines that are no rows.

    Raises
    ------
    SourceError
        When no file fits, a file cannot be read, or a wanted column is not there.
    """
    for path in find_files(source, data_dir):
        try:
            yield _READERS[source.format](path, source, wanted, refusals)
        except (OSError, EOFError, UnicodeError, lzma.LZMAError, pa.ArrowException) as cause:
            raise SourceError(source.name, path, f"cannot be read: {_first_line(cause)}") from cause


def find_files(source: Source, data_dir: Path) -> list[Path]:
    """The files a source's path or pattern names, sorted.

    Raises
    ------
    SourceError
        When there is none.
    """
    exact = data_dir / source.path
    if exact.is_file():
        return [exact]
    pattern = Path(source.path)
    root = Path(pattern.anchor) if pattern.is_absolute() else data_dir
    found = sorted(path for path in root.glob(str(pattern.relative_to(pattern.anchor))) if path.is_file())
    if not found:
        raise SourceError(source.name, exact, "there is no such file" + _what_is_in(exact.parent))
    return found


def _what_is_in(folder: Path) -> str:
    if not folder.is_dir():
        return f" (folder {folder} does not exist; give the right one with --data)"
    names = sorted(path.name for path in folder.iterdir())
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"; the folder has {shown or 'no files'}"


def _read_csv(path: Path, source: Source, wanted: Collection[str], refusals: Refusals) -> Table:
    names = list(source.columns)

    def skip(row: Any) -> str:
        refusals.update("wrong number of cells", 1, f"{row.text!r} in {path.name}")
        return "skip"

    table = pyarrow.csv.read_csv(
        _csv_stream(path, source),
        read_options=pyarrow.csv.ReadOptions(
            column_names=names or None,
            autogenerate_column_names=not (source.header or names),
            skip_rows=1 if names and source.header else 0,
            block_size=_BLOCK_BYTES,
            use_threads=False,
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=_separator(source), newlines_in_values=source.separator != "whitespace", invalid_row_handler=skip
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: pa.string() for name in wanted}, strings_can_be_null=False
        ),
    )
    _check_columns(source, path, wanted, table.column_names)
    return _table_of(path, table, wanted)


def _separator(source: Source) -> str:
    return _UNIT_SEPARATOR if source.separator == "whitespace" else source.separator


def _csv_stream(path: Path, source: Source) -> Any:
    if source.separator != "whitespace" and path.suffix != ".xz":
        return pa.input_stream(str(path), compression="detect")
    text = _bytes_of(path)
    if source.separator != "whitespace":
        return io.BytesIO(text)
    lines = re.sub(rb"[ \t]+", _UNIT_SEPARATOR.encode(), re.sub(rb"^[ \t]+|[ \t]+(?=\r?$)", b"", text, flags=re.M))
    return io.BytesIO(lines)


def _read_jsonl(path: Path, source: Source, wanted: Collection[str], refusals: Refusals) -> Table:
    rows = []
    for number, line in enumerate(_bytes_of(path).splitlines(), start=1):
        row = _json_object(line)
        if row is not None:
            rows.append(row)
        elif line.strip():
            refusals.update("not a JSON object", 1, f"{path.name}, line {number}")
    present = dict.fromkeys(name for row in rows for name in row)
    if rows:
        _check_columns(source, path, wanted, list(present))
    return Table(path, len(rows), {name: _cells([row.get(name) for row in rows]) for name in wanted})


def _json_object(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _cells(cells: list[Any]) -> Any:
    """An Arrow column of JSON cells; cells of several types become text."""
    try:
        array = pa.array(cells)
    except pa.ArrowException:
        array = None
    if array is not None and not pa.types.is_nested(array.type):
        return array
    return pa.array([cell if cell is None or isinstance(cell, str) else json.dumps(cell) for cell in cells])


def _read_parquet(path: Path, source: Source, wanted: Collection[str], refusals: Refusals) -> Table:
    del refusals  # a Parquet file has no broken rows
    compressed = path.suffix in _COMPRESSIONS
    parquet = pyarrow.parquet.ParquetFile(io.BytesIO(_bytes_of(path)) if compressed else path)
    with parquet:
        _check_columns(source, path, wanted, parquet.schema_arrow.names)
        return _table_of(path, parquet.read(columns=list(wanted), use_threads=False), wanted)


def _table_of(path: Path, table: Any, wanted: Collection[str]) -> Table:
    return Table(path, table.num_rows, {name: _one_chunk(table[name]) for name in wanted})


def _one_chunk(column: Any) -> Any:
    array = column.combine_chunks()
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    return pc.cast(array, array.type.value_type) if pa.types.is_dictionary(array.type) else array


def _bytes_of(path: Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    with pa.input_stream(str(path), compression="detect") as stream:
        content: bytes = stream.read()
    return content


def _check_columns(source: Source, path: Path, wanted: Collection[str], present: list[str]) -> None:
    for name in wanted:
        if name not in present:
            raise SourceError(source.name, path, f"is not in the file; it has {', '.join(present)}", column=name)


def _first_line(cause: BaseException) -> str:
    return (str(cause).splitlines() or [type(cause).__name__])[0]


_READERS: Final[dict[str, Callable[[Path, Source, Collection[str], Refusals], Table]]] = {
    "csv": _read_csv,
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
}
