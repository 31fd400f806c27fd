"""A SQLite or PostgreSQL database: one transaction, SQL with named values, Arrow tables in bulk.

The only module of batch scoring that touches SQLAlchemy. What the SQL says is the business of `score_table`. Passwords
and the other secrets of an address appear in no message.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import pyarrow as pa
from pyarrow import csv

from offline.scoring.errors import ScoreTableError

DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
WAIT_S = 30
SECRET_WORDS = ("pass", "secret", "token", "key")  # in the name of a parameter of an address


@dataclass(frozen=True)
class Column:
    """A column as the database declares it.

    Parameters
    ----------
    type
        In the database's own words, like ``DOUBLE PRECISION``.
    is_needed
        A new row must give it a value.
    is_unique
        No two rows share a value of it alone.
    """

    type: str
    is_needed: bool
    is_unique: bool


class Database:
    """Where scores go.

    Parameters
    ----------
    address
        URL like ``sqlite:///scores.db`` or ``postgresql://user@host/name``.
    named
        How the user spoke of it, for messages: an option or an environment variable.

    Raises
    ------
    ScoreTableError
        When it is no URL, or of a database that scores do not go to.
    """

    def __init__(self, address: str, named: str) -> None:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(address.strip())
        except (ArgumentError, ValueError):
            advice = "is no database URL; write sqlite:///scores.db or postgresql://user@host/name"
            raise ScoreTableError(named, advice) from None
        if url.drivername not in DRIVERS:
            raise ScoreTableError(named, f"names {url.drivername!r}; scores go to sqlite and postgresql")
        self._url = url.set(drivername=DRIVERS[url.drivername])
        hidden = [str(value) for name, value in url.query.items() if any(word in name.lower() for word in SECRET_WORDS)]
        self._secrets = _secrets(address, url.password, hidden)
        self.name = self.without_secrets(str(self._url.set(query={}).render_as_string(hide_password=True)))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction that is written at the end, and not at all when an error comes.

        Raises
        ------
        ScoreTableError
            When the database cannot be reached, or refuses something.
        """
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self._engine().begin() as connection:
                yield Transaction(connection)
        except SQLAlchemyError as cause:
            raise ScoreTableError(self.name, self.without_secrets(str(getattr(cause, "orig", None) or cause))) from None
        except _driver_errors() as cause:
            raise ScoreTableError(self.name, self.without_secrets(str(cause))) from None

    def _engine(self) -> Any:
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import NullPool

        is_sqlite = self._url.get_backend_name() == "sqlite"
        waits = {"timeout": WAIT_S} if is_sqlite else {"connect_timeout": WAIT_S}
        try:
            engine = create_engine(self._url, poolclass=NullPool, hide_parameters=True, connect_args=waits)
        except ModuleNotFoundError as cause:
            advice = f"needs {cause.name}: install driftline with the extra `postgres`"
            raise ScoreTableError(self.name, advice) from None
        if is_sqlite:  # its driver begins transactions late, and never for CREATE TABLE
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine

    def without_secrets(self, message: str) -> str:
        """A message in one line, with what may be secret in the address blotted out."""
        line = " ".join(message.split())
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line


class Transaction:
    """What can be done in a transaction; SQL names its values ``:like_this``."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.is_sqlite = connection.dialect.name == "sqlite"
        self.differs = "IS NOT" if self.is_sqlite else "IS DISTINCT FROM"  # SQLite before 3.39 knows only the first

    def execute(self, sql: str, **values: object) -> int:
        """Run a statement; how many rows it touched."""
        from sqlalchemy import text

        return int(self._connection.execute(text(sql), values).rowcount)

    def number(self, sql: str, **values: object) -> int:
        """The one number that a query answers with."""
        from sqlalchemy import text

        return int(self._connection.execute(text(sql), values).scalar_one())

    def quoted(self, name: str) -> str:
        """A table's (``schema.table``) or column's name as SQL takes it."""
        quote_one = self._connection.dialect.identifier_preparer.quote
        return ".".join(str(quote_one(part)) for part in name.split(".")).replace(":", "\\:")

    def columns(self, table: str) -> dict[str, Column]:
        """The columns of a table; none when there is no such table."""
        from sqlalchemy import inspect

        *schemas, name = table.split(".")
        schema = ".".join(schemas) or None
        look = inspect(self._connection)
        if not look.has_table(name, schema=schema):
            return {}
        keys = [look.get_pk_constraint(name, schema)["constrained_columns"]]
        keys += [one["column_names"] for one in look.get_unique_constraints(name, schema)]
        keys += [one["column_names"] for one in look.get_indexes(name, schema) if one["unique"]]
        found = {}
        for one in look.get_columns(name, schema):
            fills_itself = one.get("default") is not None or one.get("identity") or one.get("computed")
            is_key = self.is_sqlite and [one["name"]] == keys[0] and "INT" in str(one["type"]).upper()
            is_needed = not (one["nullable"] or fills_itself or is_key)
            declared = one["type"].compile(self._connection.dialect)
            found[str(one["name"])] = Column(declared, is_needed, [one["name"]] in keys)
        return found

    def load(self, table: str, rows: pa.Table) -> None:
        """Put rows into a table of our own with the same columns, in bulk."""
        names = [self.quoted(name) for name in rows.schema.names]
        if self.is_sqlite:
            places = ", ".join("?" * len(names))
            cells = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
            if cells:
                into = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"  # noqa: S608  names of our own
                self._connection.exec_driver_sql(into, cells)
            return
        content = io.BytesIO()
        csv.write_csv(rows, content, csv.WriteOptions(include_header=False))
        into = f"COPY {table} ({', '.join(names)}) FROM STDIN WITH (FORMAT csv)"
        with self._connection.connection.driver_connection.cursor() as cursor, cursor.copy(into) as copy:
            copy.write(content.getbuffer())


def _prepare_sqlite(raw: Any, _: object) -> None:
    raw.isolation_level = None
    raw.execute("PRAGMA temp_store = MEMORY")


def _driver_errors() -> tuple[type[Exception], ...]:
    try:
        from psycopg import Error
    except ImportError:
        return ()
    return (Error,)


def _secrets(address: str, password: object, query: list[str]) -> list[str]:
    """Longest first. Of a password with an unescaped @ or /, the parts that were taken for a host or a path, too."""
    found = set(query)
    if password:
        plain = str(password)
        found |= {plain, quote(plain), quote_plus(plain)}
    login = address.partition("://")[2].rpartition("@")[0]
    if "@" in login or "/" in login:
        found.add(login.partition(":")[2])
        found |= {part for piece in tuple(found) for part in piece.replace("/", "@").split("@")}
    return sorted((secret for secret in found if len(secret) > 1), key=len, reverse=True)
