"""Tables and queries of a database as tables of Arrow columns, a chunk of rows at a time.

The only module of this folder that imports SQLAlchemy. Nothing is ever written: a reading ends without a commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from producers.errors import SourceError
from producers.files import first_line
from producers.tables import Table, cells_of
from schemas.source import Database, Source

CHUNK_ROWS: Final = 50_000
_DRIVERS: Final = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def read_chunks(
    source: Source, data_dir: Path | str, wanted: Collection[str], environ: Mapping[str, str]
) -> Iterator[Table]:
    """The rows of a database source.

    Parameters
    ----------
    source
        With a database.
    data_dir
        Folder that a relative SQLite file belongs to.
    wanted
        Columns to read.
    environ
        Where ``url_env`` is looked up.

    Raises
    ------
    SourceError
        When the database cannot be reached, or table, query or a wanted column is wrong. It never shows a password.
    """
    database = source.database
    assert database is not None
    url = _url(source, database, data_dir, environ)
    place = f"{url.render_as_string(hide_password=True)}, {_what(database)}"
    try:
        yield from _chunks(source, database, url, wanted, place)
    except SourceError:
        raise
    except Exception as cause:  # each driver has errors of its own
        detail = first_line(getattr(cause, "orig", None) or cause)
        raise SourceError(source.name, place, f"cannot be read: {detail}", kind="database") from cause


def _chunks(source: Source, database: Database, url: Any, wanted: Collection[str], place: str) -> Iterator[Table]:
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            stream = connection.execution_options(stream_results=True, yield_per=CHUNK_ROWS)
            result = stream.execute(_statement(source, database, connection, wanted, place))
            present, first_row = list(result.keys()), 1
            _check_columns(source, place, wanted, present)
            for rows in result.partitions():
                columns = {name: cells_of([row[present.index(name)] for row in rows]) for name in wanted}
                yield Table(place, len(rows), columns, first_row=first_row, kind="database")
                first_row += len(rows)
    finally:
        engine.dispose()


def _statement(source: Source, database: Database, connection: Any, wanted: Collection[str], place: str) -> Any:
    import sqlalchemy as sa

    if database.query is not None:
        return sa.text(database.query)
    schema, _, name = str(database.table).rpartition(".")
    inspector = sa.inspect(connection)
    if not (inspector.has_table(name, schema or None) or name in inspector.get_view_names(schema or None)):
        there = ", ".join(inspector.get_table_names(schema or None)) or "none"
        raise SourceError(source.name, place, f"there is no such table; tables are {there}", kind="database")
    present = [column["name"] for column in inspector.get_columns(name, schema or None)]
    _check_columns(source, place, wanted, present)
    return sa.select(*[sa.column(column) for column in wanted]).select_from(sa.table(name, schema=schema or None))


def _check_columns(source: Source, place: str, wanted: Collection[str], present: Collection[str]) -> None:
    for name in wanted:
        if name not in present:
            detail = f"is not there; there are {', '.join(present)}"
            raise SourceError(source.name, place, detail, column=name, kind="database")


def _url(source: Source, database: Database, data_dir: Path | str, environ: Mapping[str, str]) -> Any:
    import sqlalchemy as sa

    text = database.url if database.url_env is None else environ.get(database.url_env)
    if not text:
        detail = f"environment variable {database.url_env} is not set; it holds the database's URL"
        raise SourceError(source.name, _what(database), detail, kind="database")
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError:
        detail = 'the URL cannot be read; write one like "sqlite:///shop.db"'  # it may hold a password: not shown
        raise SourceError(source.name, _what(database), detail, kind="database") from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.get_backend_name() == "sqlite":
        return _sqlite(source, database, url, data_dir)
    return url


def _sqlite(source: Source, database: Database, url: Any, data_dir: Path | str) -> Any:
    """A file that is there; SQLite would make an empty one."""
    if not url.database or url.database == ":memory:":
        raise SourceError(source.name, _what(database), "names no file of SQLite", kind="database")
    path = Path(data_dir) / url.database
    if not path.is_file():
        raise SourceError(source.name, f"sqlite:///{path}", "there is no such file", kind="database")
    return url.set(database=str(path))


def _what(database: Database) -> str:
    return f"table {database.table}" if database.table is not None else "query"
