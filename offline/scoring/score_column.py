"""A column of a table of the user's own that follows the table of scores.

The column holds what the table of scores says, so here too the newest event time wins, though a user's table knows no
event times.
"""

# ruff: noqa: S608  names are quoted by the database's dialect, values are bound
from __future__ import annotations

from dataclasses import dataclass

from offline.scoring.database import Database, Transaction
from offline.scoring.errors import ScoreTableError


@dataclass(frozen=True)
class OwnTable:
    """Which column of which table.

    Parameters
    ----------
    key
        Column that holds the customer's id.
    adds
        Customers that the table lacks are added, with key and score alone; else they are counted.
    """

    table: str
    key: str = "customer_id"
    column: str = "churn_risk"
    adds: bool = True


@dataclass
class ColumnCounts:
    """What became of a user's own table: customers whose value changed, who were added, whom it does not have."""

    changed: int = 0
    added: int = 0
    missing: int = 0


class ScoreColumn:
    """The column during one run.

    Raises
    ------
    ScoreTableError
        When there is no such table or column, or a customer could not be added to it.
    """

    def __init__(self, transaction: Transaction, database: Database, own: OwnTable) -> None:
        self._on, self._adds, self.counts = transaction, own.adds, ColumnCounts()
        there = transaction.columns(own.table)
        _check(database, own, list(there))
        needed = [name for name, one in there.items() if one.is_needed and name not in (own.key, own.column)]
        if own.adds and needed:
            advice = f"customers cannot be added without {needed[0]}; say --update-only"
            raise ScoreTableError(database.name, f"table {own.table}: {advice}")
        self._table, self._key = transaction.quoted(own.table), transaction.quoted(own.key)
        self._column, self._type = transaction.quoted(own.column), there[own.column].type
        self._key_type = there[own.key].type

    def follow(self, scores: str, staged: str, n_rows: int) -> None:
        """Take over what the table of scores says of the staged customers."""
        newest = f"(SELECT * FROM {scores} WHERE customer_id IN (SELECT customer_id FROM {staged}))"
        score = f"CAST(newest.churn_risk AS {self._type})"
        is_same = f"CAST({self._table}.{self._key} AS TEXT) = newest.customer_id"
        has_it = f"EXISTS (SELECT 1 FROM {self._table} WHERE {is_same})"
        missing = self._on.number(f"SELECT count(*) FROM {newest} AS newest WHERE NOT {has_it}")
        self.counts.changed += self._on.execute(
            f"UPDATE {self._table} SET {self._column} = {score} FROM {newest} AS newest "
            f"WHERE {is_same} AND {self._table}.{self._column} {self._on.differs} {score}"
        )
        if missing and self._adds:
            self.counts.added += self._on.execute(
                f"INSERT INTO {self._table} ({self._key}, {self._column}) "
                f"SELECT CAST(newest.customer_id AS {self._key_type}), {score} FROM {newest} AS newest "
                f"WHERE NOT {has_it}"
            )
        elif missing:
            self.counts.missing += missing


def _check(database: Database, own: OwnTable, there: list[str]) -> None:
    if not there:
        raise ScoreTableError(database.name, f"there is no table {own.table}; --key and --column speak of one that is")
    for what, name in (("--key", own.key), ("--column", own.column)):
        if name not in there:
            raise ScoreTableError(
                database.name, f"table {own.table} has no column {name} ({what}); it has {', '.join(there)}"
            )
