"""What is committed counts, whole; what is not is not there."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import LakeError
from schemas.events import EventBatch
from schemas.lake import Lake, LakeSlice, day_of, day_text
from schemas.lake_table import batch_of, lake_schema, read_file, read_lake, table_of
from schemas.workload import EventTopic, load_workload
from schemas.workload_parse import parse_workload

BILLING = load_workload("subscription_churn").topic("billing")


def written(lake: Lake, partition: int, first: int, last: int, day: int = 19_000) -> LakeSlice:
    path = lake.file("billing", day, partition, first, last)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return LakeSlice("billing", partition, first, last, (str(path.relative_to(lake.topic_dir("billing"))),), 1)


def test_a_slice_counts_from_its_commit_on(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    done = written(lake, 0, 0, 9)
    assert (lake.files("billing"), lake.next_offset("billing", 0), lake.topics()) == ((), 0, ())
    lake.commit(done)
    lake.commit(done)
    assert lake.slices("billing") == (done,)
    assert (lake.next_offset("billing", 0), lake.next_offset("billing", 1)) == (10, 0)
    assert lake.files("billing") == (lake.file("billing", 19_000, 0, 0, 9),)
    assert lake.topics() == ("billing",)


def test_a_crash_in_a_commit_leaves_nothing_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path)
    done = written(lake, 0, 0, 9)

    def crash(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            lake.commit(done)
    assert list((tmp_path / "billing" / "_commits").iterdir())
    assert lake.slices("billing") == ()
    lake.commit(done)
    assert lake.slices("billing") == (done,)


def test_a_slice_without_its_file_or_over_another_is_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.commit(written(lake, 0, 10, 19))
    for first, last in ((0, 10), (19, 30), (12, 13), (5, 25)):
        with pytest.raises(LakeError, match="overlaps 0-10-19"):
            lake.commit(written(lake, 0, first, last))
    lake.commit(written(lake, 1, 5, 25))
    lake.commit(written(lake, 0, 20, 20))
    with pytest.raises(LakeError, match="is not there"):
        lake.commit(LakeSlice("billing", 2, 0, 1, ("event_day=2020-01-01/2-0-1.parquet",), 1))
    with pytest.raises(LakeError, match="no slice"):
        lake.commit(LakeSlice("billing", 2, 5, 1, (), 0))


def test_a_slice_of_refused_records_moves_the_offset(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.commit(LakeSlice("billing", 0, 0, 4, (), 0))
    assert lake.next_offset("billing", 0) == 5
    assert lake.days(["billing"]) is None


@pytest.mark.parametrize("file", ["../../etc/passwd", "event_day=2020-01-01/../x.parquet", "/x.parquet"])
def test_no_path_leads_out(tmp_path: Path, file: str) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(LakeError):
        lake.commit(LakeSlice("billing", 0, 0, 1, (file,), 1))
    commits = tmp_path / "billing" / "_commits"
    commits.mkdir(parents=True)
    (commits / "0-0-1.json").write_text(f'{{"files": ["{file}"], "n_rows": 1}}')
    with pytest.raises(LakeError, match="no file of the lake"):
        lake.slices("billing")
    with pytest.raises(LakeError, match="not a topic name"):
        lake.topic_dir("../x")


def test_who_writes_a_lake_makes_others_wait(tmp_path: Path) -> None:
    order, lake = list[str](), Lake(tmp_path / "lake")

    def second() -> None:
        with Lake(tmp_path / "lake").writing():
            order.append("second")

    with lake.writing():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_files_are_chosen_by_event_day(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for index, day in enumerate((18_000, 18_001, 18_005)):
        lake.commit(written(lake, 0, index, index, day))
    assert [f.parent.name for f in lake.files("billing", 18_001, 18_005)] == [
        "event_day=2019-04-15",
        "event_day=2019-04-19",
    ]
    assert lake.days(["billing", "usage"]) == (18_000, 18_005)
    assert (day_text(0), day_of("1970-01-02")) == ("1970-01-01", 1)


def events(n: int) -> EventBatch:
    rng = np.random.default_rng(n)
    plan = np.array([None, "basic", "é"], dtype=object)[rng.integers(0, 3, n)]
    return EventBatch(
        topic="billing",
        event_id=np.array([f"e{i}" for i in range(n)], dtype=object),
        customer_id=np.array([f"c{i % 5}" for i in range(n)], dtype=object),
        event_time_ms=np.arange(n, dtype=np.int64),
        known_time_ms=np.arange(n, dtype=np.int64) + 7,
        kind=rng.integers(0, len(BILLING.kinds), n).astype(np.int16),
        values={"amount": np.where(rng.random(n) < 0.5, np.nan, rng.random(n)), "price": rng.random(n), "plan": plan},
    )


def test_events_survive_the_lake(tmp_path: Path) -> None:
    batch = events(200)
    table = table_of(BILLING, batch, 3, np.arange(200))
    assert table.schema == lake_schema(BILLING)
    assert batch_of(BILLING, table).to_records(BILLING) == batch.to_records(BILLING)
    halves = (tmp_path / "b.parquet", tmp_path / "a.parquet")
    pq.write_table(table.slice(100), halves[0])
    pq.write_table(table.slice(0, 100), halves[1])
    assert read_lake(BILLING, halves).to_records(BILLING) == batch.to_records(BILLING)
    assert len(read_lake(BILLING, [])) == 0


def test_absent_value_columns_are_null() -> None:
    batch = events(3)
    bare = EventBatch(
        "billing", batch.event_id, batch.customer_id, batch.event_time_ms, batch.known_time_ms, batch.kind, {}
    )
    assert batch_of(BILLING, table_of(BILLING, bare, 0, np.arange(3))).to_records(BILLING) == bare.to_records(BILLING)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"nonsense")
    with pytest.raises(LakeError, match=r"x\.parquet: cannot be read"):
        read_lake(BILLING, [tmp_path / "x.parquet"])


# ---- a topic that is declared otherwise than when its files were written --------------------------------

SHOP = """
[workload]
name = "shop"
[topics.orders]
kinds = { bought = "" }
[topics.orders.fields]
FIELDS
[label]
type = "inactivity"
of = ["bought"]
horizon = "30d"
[[feature]]
name = "recency"
type = "recency"
of = ["bought"]
"""


def orders(*fields: str) -> EventTopic:
    return parse_workload(SHOP.replace("FIELDS", "\n".join(fields))).topic("orders")


def lake_file(folder: Path, *fields: str, **values: Any) -> Path:
    """A file of three orders, written by a workload with these fields."""
    columns = {name: np.array(column) for name, column in values.items()}
    ids, at = np.array(["a", "b", "c"], dtype=object), np.arange(3)
    topic = orders(*fields)
    table = table_of(topic, EventBatch("orders", ids, ids, at, at, np.zeros(3, np.int16), columns), 0, at)
    pq.write_table(table, folder / "old.parquet")
    return folder / "old.parquet"


PIECES, AMOUNT, PAID = 'n = { type = "integer" }', 'eur = { type = "number" }', 'paid = { type = "time" }'


def test_a_field_that_came_later_is_null_and_one_that_went_is_left_out(tmp_path: Path) -> None:
    old = lake_file(tmp_path, PIECES, AMOUNT, n=[1, 2, 3], eur=[0.5, 1.5, 2.5])
    batch = read_lake(orders(AMOUNT, PAID), [old])
    assert batch.values.keys() == {"eur", "paid"}
    assert batch.values["eur"].tolist() == [0.5, 1.5, 2.5]
    assert np.isnan(batch.values["paid"]).all()


def test_an_integer_that_became_a_number_is_widened(tmp_path: Path) -> None:
    old = lake_file(tmp_path, PIECES, n=[1, np.nan, 3])
    table = read_file(orders('n = { type = "number" }'), old)
    assert table.schema == lake_schema(orders('n = { type = "number" }'))
    assert table["n"].to_pylist() == [1.0, None, 3.0]


@pytest.mark.parametrize(
    ("field", "column", "now", "says"),
    [
        (
            'x = { type = "number" }',
            [1.0, 2.0, 3.0],
            "integer",
            "'x' is number in the lake and integer in the workload",
        ),
        ('x = { type = "category", categories = ["a"] }', ["a", "b", "c"], "number", "'x' is category in the lake"),
        ('x = { type = "integer" }', [1, 2, 3], "time", "'x' is integer in the lake and time in the workload"),
        ('x = { type = "time" }', [1, 2, 3], "number", "'x' is time in the lake and number in the workload"),
        ('x = { type = "time" }', [1, 2, 3], "integer", "'x' is time in the lake and integer in the workload"),
    ],
)
def test_a_type_that_cannot_hold_what_is_there_is_refused(
    field: str, column: list[Any], now: str, says: str, tmp_path: Path
) -> None:
    old = lake_file(tmp_path, field, x=np.array(column, dtype=object if "category" in field else float))
    with pytest.raises(LakeError, match=says + ".*give the field another name") as caught:
        read_lake(orders(f'x = {{ type = "{now}" }}'), [old])
    assert str(old) in str(caught.value)


def test_files_of_before_the_types_were_noted_are_read(tmp_path: Path) -> None:
    old = lake_file(tmp_path, PIECES, PAID, n=[1, 2, 3], paid=[4, 5, 6])
    bare = pq.read_table(old).replace_schema_metadata(None)
    plain = pa.schema([pa.field(f.name, f.type, f.nullable) for f in bare.schema])
    pq.write_table(bare.cast(plain), old)
    assert read_lake(orders(PIECES, PAID), [old]).values["paid"].tolist() == [4.0, 5.0, 6.0]


def test_a_file_without_the_columns_of_every_event_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"offset": [1]}), tmp_path / "x.parquet")
    with pytest.raises(LakeError, match=r"x\.parquet: has no column partition, which every event has"):
        read_lake(BILLING, [tmp_path / "x.parquet"])
