"""Literal tables in, literal events out."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from producers.errors import SourceError
from producers.recording import Recording
from producers.sources import read_events
from schemas.errors import WorkloadError
from schemas.workload import Workload
from schemas.workload_parse import parse_workload

HEAD = """
[workload]
name = "shop"
[topics.orders]
kinds = { bought = "bought", returned = "gave back" }
[topics.orders.fields]
amount = { type = "number", scale = 100 }
pieces = { type = "integer" }
plan = { type = "category", categories = ["basic", "plus"] }
paid_until = { type = "time" }
[topics.visits]
kinds = { visit = "came by" }
[label]
type = "inactivity"
of = ["bought"]
horizon = "30d"
[[feature]]
name = "recency"
type = "recency"
of = ["bought"]
"""
ORDERS = """
[[source]]
name = "orders"
path = "{path}"
customer_id = "who"
event_time = "at"
"""
BOUGHT = """
[[source.event]]
kind = "bought"
values = { amount = "eur", pieces = "n", plan = "plan" }
"""
CSV = "who,at,eur,n,plan\n007,2024-01-02,1.5,2,plus\n8,2024-01-01T06:00:00+02:00,,,\n"


def workload(*texts: str, path: str = "orders.csv") -> Workload:
    return parse_workload(HEAD + "".join(text.replace("{path}", path) for text in texts), "shop.toml")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def events(recording: Recording, *names: str) -> list[tuple[Any, ...]]:
    """(kind, customer, event time, known time, then the named values) in the order they come."""
    topics = {topic.name: topic for topic in workload(ORDERS, BOUGHT).topics}
    rows = [record for day in recording for batch in day.batches for record in batch.to_records(topics[batch.topic])]
    keys = ("kind", "customer_id", "event_time_ms", "known_time_ms", *names)
    return [tuple(row.get(key) for key in keys) for row in rows]


def ids(recording: Recording) -> list[str]:
    return [str(name) for day in recording for batch in day.batches for name in batch.event_id]


EXPECTED = [
    ("bought", "8", ms("2024-01-01T04:00:00"), ms("2024-01-01T04:00:00"), None, None, None),
    ("bought", "007", ms("2024-01-02"), ms("2024-01-02"), 1.5, 2, "plus"),
]


def write_csv(path: Path) -> None:
    path.write_text(CSV)


def write_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(CSV.encode()))


def write_bz2(path: Path) -> None:
    path.write_bytes(bz2.compress(CSV.encode()))


def write_xz(path: Path) -> None:
    path.write_bytes(lzma.compress(CSV.encode()))


def rows() -> list[dict[str, Any]]:
    return [
        {"who": "007", "at": "2024-01-02", "eur": 1.5, "n": 2, "plan": "plus"},
        {"who": "8", "at": "2024-01-01T06:00:00+02:00", "eur": None},
    ]


def write_jsonl(path: Path) -> None:
    path.write_text("\n".join(json.dumps(row) for row in rows()))


def write_parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(rows()), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("orders.csv", write_csv),
        ("orders.csv.gz", write_gzip),
        ("orders.csv.bz2", write_bz2),
        ("orders.csv.xz", write_xz),
        ("orders.jsonl", write_jsonl),
        ("orders.parquet", write_parquet),
    ],
)
def test_every_format_gives_the_same_events_and_ids(name: str, write: Any, tmp_path: Path) -> None:
    write(tmp_path / name)
    write_csv(tmp_path / "plain.csv")

    recording = read_events(workload(ORDERS, BOUGHT, path=name), tmp_path)

    assert events(recording, "amount", "pieces", "plan") == EXPECTED
    assert ids(recording) == ids(read_events(workload(ORDERS, BOUGHT, path="plain.csv"), tmp_path))


def test_white_space_and_given_names(tmp_path: Path) -> None:
    (tmp_path / "orders.txt").write_bytes(b"  00001 19970101   1  11.77\r\n 00002\t19970112 5 77.00 \r\n")
    source = 'separator = "whitespace"\nheader = false\ncolumns = ["who", "at", "n", "eur"]\ntime_format = "%Y%m%d"\n'
    bought = '[[source.event]]\nkind = "bought"\nvalues = { amount = "eur", pieces = "n" }\n'

    recording = read_events(workload(ORDERS, source, bought, path="orders.txt"), tmp_path)

    assert events(recording, "amount", "pieces") == [
        ("bought", "00001", ms("1997-01-01"), ms("1997-01-01"), 11.77, 1),
        ("bought", "00002", ms("1997-01-12"), ms("1997-01-12"), 77.0, 5),
    ]


def test_many_files_in_any_order_are_one_log_by_known_time(tmp_path: Path) -> None:
    lines = CSV.splitlines()
    (tmp_path / "part-2.csv").write_text("\n".join([lines[0], lines[2]]))
    (tmp_path / "part-1.csv").write_text("\n".join([lines[0], lines[1]]))

    recording = read_events(workload(ORDERS, BOUGHT, path="part-*.csv"), tmp_path)

    assert events(recording, "amount", "pieces", "plan") == EXPECTED
    assert recording.sources[0].n_files == 2


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    lines = [f"c{i % 7},2024-01-0{1 + i % 5},{i % 3},1," for i in range(200)]  # with identical rows
    seen = []
    for number in range(2):
        (tmp_path / f"{number}.csv").write_text("\n".join(["who,at,eur,n,plan", *rng.permutation(lines)]))
        recording = read_events(workload(ORDERS, BOUGHT, path=f"{number}.csv"), tmp_path)
        seen.append((ids(recording), events(recording, "amount")))

    assert seen[0] == seen[1]
    assert len(set(seen[0][0])) == 200


def test_a_row_yields_several_events_each_known_at_its_time_or_the_rows(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("who,at,until,loaded\na,2024-01-01,2024-02-01,2024-01-03\nb,2024-01-05,,\n")
    source = 'known_time = "loaded"\nknown_after = "1h"\nevent_id = ["who", "at"]\n'
    three = """
[[source.event]]
kind = "bought"
values = { paid_until = "until", amount = 9.5 }
[[source.event]]
kind = "returned"
time = "until"
[[source.event]]
kind = "visit"
time = "until"
known = "row"
"""
    recording = read_events(workload(ORDERS, source, three), tmp_path)

    found = dict(zip(ids(recording), events(recording, "amount", "paid_until"), strict=True))
    jan_1, feb_1, jan_5 = ms("2024-01-01"), ms("2024-02-01"), ms("2024-01-05")
    assert found == {
        "orders/a/2024-01-01/bought": ("bought", "a", jan_1, ms("2024-01-03"), 9.5, feb_1),
        "orders/a/2024-01-01/visit": ("visit", "a", feb_1, ms("2024-01-03"), None, None),
        "orders/b/2024-01-05/bought": ("bought", "b", jan_5, jan_5 + 3_600_000, 9.5, None),
        "orders/a/2024-01-01/returned": ("returned", "a", feb_1, feb_1 + 3_600_000, None, None),
    }


def test_kinds_from_a_column_go_to_their_topics(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("who,at,what,eur\na,2024-01-01,Buy,3\na,2024-01-02,Look,\na,2024-01-03,?,\n")
    kinds = """
[[source.event]]
kind_column = "what"
kinds = { Buy = "bought", Look = "visit" }
values = { amount = "eur" }
"""
    ignoring = read_events(workload(ORDERS, kinds, 'other = "ignore"\n'), tmp_path)

    assert [(row[0], row[4]) for row in events(ignoring, "amount")] == [("bought", 3.0), ("visit", None)]
    with pytest.raises(
        SourceError, match=r"source 'orders', file .*orders\.csv, column 'what': holds '\?', not in kinds"
    ):
        read_events(workload(ORDERS, kinds), tmp_path)


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ('{ column = "no", equals = "C1" }', ["b"]),
        ('{ column = "no", in = ["C1", "7"] }', ["a", "b"]),
        ('{ column = "no", prefix = "C" }', ["b"]),
        ('{ column = "no", not_prefix = "C" }', ["a", "c"]),
        ('{ column = "no", not_null = true }', ["a", "b"]),
        ('{ column = "no", equals = 7 }', ["a"]),
    ],
)
def test_filters_of_a_source(where: str, kept: list[str], tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("who,at,no\na,2024-01-01,7\nb,2024-01-02,C1\nc,2024-01-03,\n")

    recording = read_events(workload(ORDERS, f"where = {where}\n", '[[source.event]]\nkind = "bought"\n'), tmp_path)

    assert [row[1] for row in events(recording)] == kept
    assert recording.sources[0].n_filtered == 3 - len(kept)
    assert recording.sources[0].refusals.n == 0


def test_products_of_columns_and_filters_of_an_event(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("who,at,no,n,price\na,2024-01-01,1,3,2.5\na,2024-01-02,C2,-3,2.5\n")
    two = "".join(
        f'[[source.event]]\nkind = "{kind}"\nwhere = {{ column = "no", {test} = "C" }}\n'
        'values = { amount = "n * price", pieces = "n" }\n'
        for kind, test in (("bought", "not_prefix"), ("returned", "prefix"))
    )
    recording = read_events(workload(ORDERS, two), tmp_path)

    assert [(row[0], *row[4:]) for row in events(recording, "amount", "pieces")] == [
        ("bought", 7.5, 3),
        ("returned", -7.5, -3),
    ]


def test_times_without_zone_are_in_the_sources_zone(tmp_path: Path) -> None:
    times = ["2024-01-01 12:00", "2024-07-01 12:00", "2024-07-01T12:00:00Z", "2024-03-31 02:30", "2024-10-27 02:30"]
    (tmp_path / "orders.csv").write_text(
        "\n".join(["who,at,eur,n,plan", *(f"c{i},{t},,," for i, t in enumerate(times))])
    )

    recording = read_events(workload(ORDERS, 'timezone = "Europe/Berlin"\n', BOUGHT), tmp_path)

    assert {row[1]: row[2] for row in events(recording)} == {
        "c0": ms("2024-01-01T11:00:00"),
        "c1": ms("2024-07-01T10:00:00"),
        "c2": ms("2024-07-01T12:00:00"),
        "c3": ms("2024-03-31T01:00:00"),  # the skipped hour moves to the change
        "c4": ms("2024-10-27T00:30:00"),  # the repeated hour is its first occurrence
    }


def test_parquet_keeps_its_own_times_and_whole_customers(tmp_path: Path) -> None:
    noon = datetime(2024, 7, 1, 12)  # noqa: DTZ001 - a wall clock
    table = pa.table(
        {
            "who": pa.array([17850.0, 2.0, None]),
            "at": pa.array([noon, noon, noon], pa.timestamp("ns")),
            "zoned": pa.array([noon, noon, noon], pa.timestamp("us", "Asia/Tokyo")),
            "what": pa.array(["a", "b", "a"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "orders.parquet")
    source = 'timezone = "Europe/Berlin"\nknown_time = "zoned"\n'
    recording = read_events(
        workload(
            ORDERS, source, '[[source.event]]\nkind = "bought"\nvalues = { plan = "what" }\n', path="orders.parquet"
        ),
        tmp_path,
    )

    ten, twelve = ms("2024-07-01T10:00:00"), ms("2024-07-01T12:00:00")
    assert sorted(events(recording, "plan")) == [
        ("bought", "17850", ten, twelve, "a"),
        ("bought", "2", ten, twelve, "b"),
    ]
    assert recording.sources[0].refusals.counts == {"no customer": 1}


def test_a_date_instead_of_a_time_column_is_a_snapshot(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("who,plan\na,plus\nb,basic\n")
    text = ORDERS.replace('"at"', '"2024-01-05"') + '[[source.event]]\nkind = "bought"\nvalues = { plan = "plan" }\n'

    recording = read_events(workload(text), tmp_path)

    at = ms("2024-01-05")
    assert sorted(events(recording, "plan")) == [("bought", "a", at, at, "plus"), ("bought", "b", at, at, "basic")]


def test_rows_that_cannot_be_read_are_counted_by_reason(tmp_path: Path) -> None:
    lines = [
        "good,2024-01-01,1,1,",
        ",2024-01-01,1,1,",
        "a,yesterday,1,1,",
        "a,,1,1,",
        "a,2024-01-01,much,1,",
        "a,2024-01-01,1,1.5,",
        "a,2024-01-01,inf,1,",
        f"{'x' * 41},2024-01-01,1,1,",
        "one cell",
    ]
    (tmp_path / "orders.csv").write_text("\n".join(["who,at,eur,n,plan", *lines]))

    (count,) = read_events(workload(ORDERS, BOUGHT), tmp_path).sources

    assert count.refusals.counts == {
        "wrong number of cells": 1,
        "no customer": 1,
        "customer id too long": 1,
        "no time": 1,
        "bad time": 1,
        "bad amount": 2,
        "bad pieces": 1,
    }
    assert count.refusals.examples["bad time"] == "'yesterday' in orders.csv, row 3"
    assert (count.n_rows, count.n_events, count.imbalance) == (9, 1, 0)


def test_broken_json_lines_are_counted(tmp_path: Path) -> None:
    (tmp_path / "orders.jsonl").write_text('{"who": 7, "at": 86400000, "eur": 1}\n{"who": \n[1]\n\n')
    bought = '[[source.event]]\nkind = "bought"\nvalues = { amount = "eur" }\n'

    recording = read_events(workload(ORDERS, bought, path="orders.jsonl"), tmp_path)

    assert events(recording, "amount") == [("bought", "7", 86_400_000, 86_400_000, 1.0)]
    assert recording.sources[0].refusals.counts == {"not a JSON object": 2}


def test_when_no_row_can_be_read_it_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("who,at,eur,n,plan\na,31.12.2024,1,1,\nb,30.12.2024,1,1,\n")

    with pytest.raises(
        SourceError, match=r"no row can be read: 2 bad time \(first: '31\.12\.2024' in orders\.csv, row 1"
    ):
        read_events(workload(ORDERS, BOUGHT), tmp_path)


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("orders.csv", b"who,time\na,2024-01-01\n", r"orders\.csv, column 'at': is not in the file; it has who, time"),
        ("orders.jsonl", b'{"who": 1, "time": 2}', r"orders\.jsonl, column 'at': is not in the file; it has who, time"),
        ("orders.parquet", b"no parquet at all", r"orders\.parquet: cannot be read"),
        ("orders.csv.gz", b"not gzipped", r"orders\.csv\.gz: cannot be read"),
        ("orders.csv", b"", r"orders\.csv: cannot be read"),
    ],
)
def test_a_wrong_file_is_one_error_that_names_it(path: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / path).write_bytes(content)

    with pytest.raises(SourceError, match=message) as caught:
        read_events(workload(ORDERS, BOUGHT, path=path), tmp_path)

    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("source 'orders', file ")


def test_a_missing_file_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "order.csv").write_text("")

    with pytest.raises(SourceError, match=r"there is no such file; the folder has order\.csv"):
        read_events(workload(ORDERS, BOUGHT), tmp_path)
    with pytest.raises(SourceError, match="does not exist"):
        read_events(workload(ORDERS, BOUGHT), tmp_path / "nowhere")


def test_a_workload_without_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match=r"has no \[\[source\]\]"):
        read_events(workload(), tmp_path)
