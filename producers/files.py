"""The files a source names: on this machine, or at any place that fsspec reaches (``s3://``, ``gs://``, ``memory://``).

The only module that imports fsspec. What is in a file is the business of `producers.tables`.
"""

from __future__ import annotations

import io
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa

from producers.errors import SourceError
from schemas.source import Source

_CODECS: Final = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    Parameters
    ----------
    path
        As messages show it.
    open
        Gives a binary file to read from, which can seek.
    """

    path: str
    open: Callable[[], Any]

    @property
    def name(self) -> str:
        """Without its folder."""
        return PurePosixPath(self.path).name

    @property
    def is_compressed(self) -> bool:
        """Whether the suffix says so."""
        return self._suffix in (*_CODECS, ".xz")

    @property
    def _suffix(self) -> str:
        return PurePosixPath(self.path).suffix

    @contextmanager
    def stream(self) -> Iterator[Any]:
        """The content, uncompressed, to read once."""
        with self.open() as file:
            if self._suffix == ".xz":
                yield io.BytesIO(lzma.decompress(file.read()))
            elif self.is_compressed:
                with pa.CompressedInputStream(file, _CODECS[self._suffix]) as stream:
                    yield stream
            else:
                yield file

    def read(self) -> bytes:
        """The content, uncompressed."""
        with self.stream() as stream:
            content: bytes = stream.read()
        return content


def find_files(source: Source, data_dir: Path | str) -> list[SourceFile]:
    """The files that a source's path or pattern names, by name.

    Parameters
    ----------
    data_dir
        Folder or URL that a relative path belongs to.

    Raises
    ------
    SourceError
        When there is none, or the place cannot be reached.
    """
    if "://" in source.path:
        return _remote(source, source.path)
    if "://" in str(data_dir):
        return _remote(source, f"{str(data_dir).rstrip('/')}/{source.path}")
    return _local(source, Path(data_dir))


def _local(source: Source, folder: Path) -> list[SourceFile]:
    exact = folder / source.path
    if exact.is_file():
        return [_local_file(exact)]
    pattern = Path(source.path)
    root = Path(pattern.anchor) if pattern.is_absolute() else folder
    found = sorted(path for path in root.glob(str(pattern.relative_to(pattern.anchor))) if path.is_file())
    if not found:
        raise SourceError(source.name, exact, "there is no such file" + _what_is_in(exact.parent))
    return [_local_file(path) for path in found]


def _local_file(path: Path) -> SourceFile:
    return SourceFile(str(path), lambda: path.open("rb"))


def _what_is_in(folder: Path) -> str:
    if not folder.is_dir():
        return f" (folder {folder} does not exist; give the right one with --data)"
    names = sorted(path.name for path in folder.iterdir())
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"; the folder has {shown or 'no files'}"


def _remote(source: Source, url: str) -> list[SourceFile]:
    """Any failure of a file system becomes one line: each has exceptions of its own."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
        paths = [path] if system.isfile(path) else sorted(one for one in system.glob(path) if system.isfile(one))
    except Exception as cause:
        raise SourceError(source.name, url, f"cannot be reached: {first_line(cause)}") from cause
    if not paths:
        raise SourceError(source.name, url, "there is no such file")
    return [SourceFile(str(system.unstrip_protocol(one)), _opener(source, system, one)) for one in paths]


def _opener(source: Source, system: Any, path: str) -> Callable[[], Any]:
    def opened() -> Any:
        try:
            return system.open(path, "rb")
        except Exception as cause:
            raise SourceError(source.name, path, f"cannot be read: {first_line(cause)}") from cause

    return opened


def first_line(cause: BaseException) -> str:
    """What went wrong, on one line."""
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
