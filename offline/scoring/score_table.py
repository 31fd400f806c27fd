"""Scores into a table of a database, in one transaction; the newest event time wins.

The table is driftline's own: one row for each customer. A row gives way to scores that know a newer event, or as new a
one as of the same day or a later; else it stays. So a run done twice changes nothing, and an old run changes nothing
that is newer. The column of a table of the user's own follows in `score_column`.
"""

# ruff: noqa: S608  names are quoted by the database's dialect, values are bound
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from offline.scoring.database import Database, Transaction
from offline.scoring.errors import ScoreTableError
from offline.scoring.score_column import ColumnCounts, OwnTable, ScoreColumn
from offline.scoring.scores import ScoredAs, reasons_as_json

TABLE = "churn_scores"
STAGED = "driftline_staged_scores"
ROWS_AT_ONCE = 65_536
TYPES = {
    "customer_id": "TEXT NOT NULL PRIMARY KEY",
    "churn_risk": "DOUBLE PRECISION NOT NULL",
    "band": "TEXT NOT NULL",
    "model_version": "TEXT NOT NULL",
    "workload_hash": "TEXT NOT NULL",
    "as_of_ms": "BIGINT NOT NULL",
    "newest_event_time_ms": "BIGINT NOT NULL",
    "reasons": "TEXT",
}
STAGED_COLUMNS = ("customer_id", "churn_risk", "band", "newest_event_time_ms", "reasons")


@dataclass
class Accounting:
    """What became of the scores: their number is inserted + updated + unchanged + kept.

    Parameters
    ----------
    kept
        Rows that stayed because they know something newer.
    column
        What became of a table of the user's own; None without one.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    kept: int = 0
    column: ColumnCounts | None = None


class ScoreTable:
    """The table during one run; a sink of scores."""

    def __init__(self, transaction: Transaction, name: str, shared: ScoredAs, own: ScoreColumn | None) -> None:
        self._on, self._shared, self._own = transaction, shared, own
        self._name = transaction.quoted(name)
        self._waiting: list[pa.Table] = []
        self.accounting = Accounting(column=None if own is None else own.counts)
        self._fixed = {
            "model_version": shared.version,
            "workload_hash": shared.workload_hash,
            "as_of_ms": shared.as_of_ms,
        }
        kinds = ", ".join(f"{column} {_type(column)}" for column in STAGED_COLUMNS)  # no index: it is read once, whole
        transaction.execute(f"CREATE TEMPORARY TABLE {STAGED} ({kinds})")

    def write(self, table: pa.Table) -> None:
        """Take some scores."""
        self._waiting.append(_staged(table))
        if sum(map(len, self._waiting)) >= ROWS_AT_ONCE:
            self.write_chunk()

    def write_chunk(self) -> None:
        """Merge what has waited."""
        if not self._waiting:
            return
        rows = pa.concat_tables(self._waiting)
        self._waiting = []
        self._on.execute(f"DELETE FROM {STAGED}")
        self._on.load(STAGED, rows)
        if not self._on.is_sqlite:
            self._on.execute(f"ANALYZE {STAGED}")
        self._merge(len(rows))
        if self._own is not None:
            self._own.follow(self._name, STAGED, len(rows))

    def _merge(self, n_rows: int) -> None:
        there = f"{self._name} AS there JOIN {STAGED} AS new ON there.customer_id = new.customer_id"
        is_newer = (
            "there.newest_event_time_ms > new.newest_event_time_ms OR "
            "(there.newest_event_time_ms = new.newest_event_time_ms AND there.as_of_ms > :as_of_ms)"
        )
        kept = self._on.number(f"SELECT count(*) FROM {there} WHERE {is_newer}", as_of_ms=self._shared.as_of_ms)
        updated = self._on.execute(self._update(is_newer), **self._fixed)
        inserted = self._on.execute(self._insert(), **self._fixed)
        counts = self.accounting
        counts.kept += kept
        counts.updated += updated
        counts.inserted += inserted
        counts.unchanged += n_rows - kept - updated - inserted

    def _update(self, is_newer: str) -> str:
        """Take over what is not older and says something else; without reasons of its own, a run leaves those."""
        new = {column: f"new.{column}" for column in STAGED_COLUMNS[1:]} | {name: f":{name}" for name in self._fixed}
        differs = [name for name in new if name != "reasons" or self._shared.n_reasons]
        changes = " OR ".join(f"{self._name}.{name} {self._on.differs} {_typed(name, new[name])}" for name in differs)
        return (
            f"UPDATE {self._name} SET {', '.join(f'{name} = {value}' for name, value in new.items())} "
            f"FROM {STAGED} AS new WHERE {self._name}.customer_id = new.customer_id "
            f"AND NOT ({is_newer.replace('there.', self._name + '.')}) AND ({changes})"
        )

    def _insert(self) -> str:
        new = {column: f"new.{column}" for column in STAGED_COLUMNS} | {name: f":{name}" for name in self._fixed}
        values = ", ".join(_typed(name, value) for name, value in new.items())
        return (
            f"INSERT INTO {self._name} ({', '.join(new)}) SELECT {values} FROM {STAGED} AS new WHERE NOT EXISTS "
            f"(SELECT 1 FROM {self._name} AS there WHERE there.customer_id = new.customer_id)"
        )


@contextmanager
def create_score_table(
    database: Database, shared: ScoredAs, table: str = TABLE, own: OwnTable | None = None
) -> Iterator[ScoreTable]:
    """The table to write scores to, made when there is none; nothing is written when an error comes.

    Parameters
    ----------
    own
        A table of the user's, of which a column follows.

    Raises
    ------
    ScoreTableError
        When the database cannot be written, or a table has another shape.
    """
    with database.transaction() as transaction:
        _check_or_create(transaction, database, table)
        column = None if own is None else ScoreColumn(transaction, database, own)
        sink = ScoreTable(transaction, table, shared, column)
        yield sink
        sink.write_chunk()
        transaction.execute(f"DROP TABLE {STAGED}")


def _check_or_create(transaction: Transaction, database: Database, table: str) -> None:
    there, name = transaction.columns(table), transaction.quoted(table)
    if not there:
        columns = ", ".join(f"{column} {kind}" for column, kind in TYPES.items())
        transaction.execute(f"CREATE TABLE {name} ({columns})")
    elif missing := [column for column in TYPES if column not in there]:
        advice = (
            f"it is no table of scores; for a column of your own table say --table {table} --key KEY --column COLUMN"
        )
        raise ScoreTableError(database.name, f"table {table} has no column {missing[0]}: {advice}")
    elif not there["customer_id"].is_unique:
        raise ScoreTableError(database.name, f"table {table}: customer_id must be its primary key")
    if not transaction.is_sqlite:  # two runs at once would both insert
        transaction.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")


def _typed(name: str, value: str) -> str:
    """A bound value whose type PostgreSQL cannot see from where it stands."""
    return f"CAST({value} AS {_type(name)})" if value.startswith(":") else value


def _type(column: str) -> str:
    return TYPES[column].partition(" NOT")[0]


def _staged(table: pa.Table) -> pa.Table:
    text = table["reasons"] if "reasons" in table.schema.names else None
    return pa.table(
        {
            "customer_id": table["customer_id"],
            "churn_risk": table["churn_risk"].cast(pa.float64()),
            "band": table["band"].cast(pa.string()),
            "newest_event_time_ms": table["newest_event_time"].cast(pa.int64()),
            "reasons": pa.nulls(len(table), pa.string()) if text is None else reasons_as_json(text),
        }
    )
