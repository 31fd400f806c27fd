"""Where the rows of a ``[[source]]`` are: a path, an fsspec URL, or a table or query of a database."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from schemas.source import Database
from schemas.workload_entry import Entry

PLACE_KEYS: Final = ("path", "format", "url", "url_env", "table", "query")
DATABASE_KEYS: Final = ("url", "url_env", "table", "query")
COMPRESSIONS: Final = (".gz", ".bz2", ".zst", ".xz")
FORMATS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".log": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SECRETS: Final = ("password", "passwd", "pwd", "secret", "token", "key")


def parse_place(entry: Entry) -> tuple[str, Any, Database | None]:
    """Path, format and database of a source; the path is empty for a database."""
    if any(entry.has(key) for key in DATABASE_KEYS):
        return "", "database", _database(entry)
    path = entry.some_text("path")
    _check_no_secret(entry, "path", path)
    return path, _format(entry, path), None


def _format(entry: Entry, path: str) -> Any:
    if entry.has("format"):
        return entry.choice("format", ("csv", "jsonl", "parquet"))
    suffixes = [suffix for suffix in PurePosixPath(path).suffixes if suffix not in COMPRESSIONS]
    if not suffixes or suffixes[-1] not in FORMATS:
        entry.refuse("path", f"= {path!r} does not say its format; add format = csv, jsonl or parquet")
    return FORMATS[suffixes[-1]]


def _database(entry: Entry) -> Database:
    for key in ("path", "format"):
        if entry.has(key):
            entry.refuse(key, "belongs to files; this source names a database")
    if entry.has("url") == entry.has("url_env"):
        entry.refuse(None, "needs url, or url_env (the environment variable that holds it), one of the two")
    if entry.has("table") == entry.has("query"):
        entry.refuse(None, "needs table (a name) or query (SQL), one of the two")
    variable = entry.some_text("url_env", None)
    if variable is not None and not _VARIABLE.fullmatch(variable):
        entry.refuse("url_env", f"= {variable!r} is no name of an environment variable; write one like SHOP_DB")
    url = entry.some_text("url", None)
    if url is not None:
        if "://" not in url:
            entry.refuse("url", f'= {url!r} is no database URL; write one like "sqlite:///shop.db"')
        _check_no_secret(entry, "url", url)
    return Database(url, variable, entry.some_text("table", None), _query(entry))


def _query(entry: Entry) -> str | None:
    """SQL may have many lines."""
    query = entry.table.get("query")
    if query is not None and (not isinstance(query, str) or not query.strip()):
        entry.refuse("query", f"= {query!r} must be SQL text")
    return query


def _check_no_secret(entry: Entry, key: str, url: str) -> None:
    if "://" not in url:
        return
    try:
        parts = urlsplit(url)
        has_secret = parts.password is not None
    except ValueError:
        entry.refuse(key, "is no URL that can be read")
    named = [name for name, _ in parse_qsl(parts.query) if any(word in name.lower() for word in _SECRETS)]
    if has_secret or named:
        hint = "put the URL into an environment variable and name it with url_env" if key == "url" else "leave it out"
        entry.refuse(key, f"holds a password; {hint}")
