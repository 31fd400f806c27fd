"""Files into the lake: the whole or nothing, the same files the same lake, and nobody else's events among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from producers import lake_sink
from producers.lake_sink import write_lake
from producers.sources import SourcedEvents, read_batches
from schemas.errors import LakeError
from schemas.events import EventBatch
from schemas.lake import Lake, LakeSlice
from schemas.partition import partition_of
from schemas.workload import Workload
from schemas.workload_parse import parse_workload

SHOP = """
[workload]
name = "shop"
[topics.orders]
kinds = { bought = "bought", returned = "gave back" }
[topics.orders.fields]
amount = { type = "number", scale = 100 }
plan = { type = "category", categories = ["basic", "plus"] }
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
[[source]]
name = "log"
path = "log*.csv"
customer_id = "who"
event_time = "at"
known_time = "loaded"
[[source.event]]
kind_column = "what"
kinds = { buy = "bought", back = "returned", look = "visit" }
values = { amount = "eur", plan = "plan" }
"""


class Killed(BaseException):
    """Stands for a process that ends here."""


def workload() -> Workload:
    return parse_workload(SHOP, "shop.toml")


def log_lines(n: int = 300, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(n):
        day, late = rng.integers(1, 10), rng.integers(0, 3)
        what, plan = rng.choice(["buy", "back", "look"]), rng.choice(["basic", "plus", ""])
        lines.append(
            f"c{rng.integers(0, 9)},2024-01-{day:02},2024-01-{day + late:02},{what},{rng.integers(1, 4)},{plan}"
        )
    return lines


def read(folder: Path, lines: list[str], *cuts: int) -> SourcedEvents:
    """The events of the lines, written to one file for each piece between the cuts."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(lines)], strict=True)):
        (folder / f"log-{number}.csv").write_text("\n".join(["who,at,loaded,what,eur,plan", *lines[start:end]]))
    return read_batches(workload(), folder)


def bytes_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def rows_of(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.ParquetFile(file).read().to_pylist()
    return rows


def records_of(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Topic -> its rows by partition and offset."""
    rows = {
        topic.name: [row for file in lake.files(topic.name) for row in rows_of(file)] for topic in workload().topics
    }
    return {topic: sorted(found, key=lambda row: (row["partition"], row["offset"])) for topic, found in rows.items()}


def test_every_event_lies_once_in_its_customers_partition_by_known_time(tmp_path: Path) -> None:
    found = read(tmp_path, log_lines())
    lake = Lake(tmp_path / "lake")

    done = write_lake(workload(), found.batches, lake, 4)

    assert (done.n_events, done.is_new) == (300, True)
    for topic in workload().topics:
        batch = found.batches[topic.name]
        homes = np.array([partition_of(str(name).encode(), 4) for name in batch.customer_id])
        for one in lake.slices(topic.name):
            files = [lake.topic_dir(topic.name) / file for file in one.files]
            expected = batch.take(homes == one.partition)
            assert (one.first, one.last, one.n_rows) == (0, len(expected) - 1, len(expected))
            rows = sorted((row for file in files for row in rows_of(file)), key=lambda row: row["offset"])
            assert [row["offset"] for row in rows] == list(range(len(expected)))
            assert [row["event_id"] for row in rows] == expected.event_id.tolist()
        assert sum(one.n_rows for one in lake.slices(topic.name)) == len(batch)


def test_the_same_rows_in_another_order_and_other_files_give_the_same_bytes(tmp_path: Path) -> None:
    lines = log_lines()
    shuffled = np.random.default_rng(1).permutation(lines).tolist()
    roots = []
    for name, rows, cuts in (("one", lines, ()), ("two", shuffled, (10, 200))):
        lake = Lake(tmp_path / name / "lake")
        write_lake(workload(), read(tmp_path / name, rows, *cuts).batches, lake, 4)
        roots.append(bytes_of(lake.root))

    assert roots[0] == roots[1]


def test_a_second_run_changes_nothing_and_says_so(tmp_path: Path) -> None:
    found, lake = read(tmp_path, log_lines()), Lake(tmp_path / "lake")
    write_lake(workload(), found.batches, lake, 4)
    before = {path: path.stat().st_mtime_ns for path in lake.root.rglob("*")}

    again = write_lake(workload(), found.batches, lake, 4)

    assert (again.n_events, again.n_slices, again.is_new) == (300, 0, False)
    assert {path: path.stat().st_mtime_ns for path in lake.root.rglob("*")} == before


@pytest.mark.parametrize("seed", range(6))
def test_death_at_any_point_leaves_the_whole_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    first, second = read(tmp_path / "a", log_lines()), read(tmp_path / "b", log_lines(250, seed=9))
    lake, expected = Lake(tmp_path / "lake"), {}
    for name, found in (("first", first), ("second", second)):
        write_lake(workload(), found.batches, Lake(tmp_path / name), 4)
        expected[name] = records_of(Lake(tmp_path / name))

    def dying(original: Any, share: float) -> Any:
        def call(*arguments: Any) -> Any:
            fate = rng.random()
            if fate < share:
                raise Killed
            result = original(*arguments)
            if fate > 1 - share:
                raise Killed
            return result

        return call

    def until_done(found: SourcedEvents, allowed: list[Any]) -> int:
        for n_deaths in range(200):
            try:
                write_lake(workload(), found.batches, lake, 4, replace_files=True)
                return n_deaths
            except Killed:
                assert records_of(lake) in allowed
        raise AssertionError("never done")

    nothing: dict[str, list[Any]] = {"orders": [], "visits": []}
    monkeypatch.setattr(lake_sink, "write_draft", dying(lake_sink.write_draft, 0.01))
    monkeypatch.setattr(lake_sink, "sync_files", dying(lake_sink.sync_files, 0.2))
    monkeypatch.setattr(lake_sink, "remove_topic", dying(lake_sink.remove_topic, 0.1))
    monkeypatch.setattr(Lake, "commit", dying(Lake.commit, 0.03))
    monkeypatch.setattr(Lake, "set_origin", dying(Lake.set_origin, 0.1))
    n_deaths = until_done(first, [nothing, expected["first"]])
    n_deaths += until_done(second, [nothing, expected["first"], expected["second"]])

    assert n_deaths > 0
    assert records_of(lake) == expected["second"]
    files = {path.relative_to(lake.root) for path in lake.root.rglob("*.parquet")}
    assert files == {path.relative_to(tmp_path / "second") for path in (tmp_path / "second").rglob("*.parquet")}


def test_a_lake_of_topics_is_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.commit(LakeSlice("orders", 0, 0, 4, (), 0))

    with pytest.raises(LakeError, match="holds 1 slices of topics; files go to a lake of their own"):
        write_lake(workload(), read(tmp_path, log_lines()).batches, lake, 4, replace_files=True)


@pytest.mark.parametrize(("lines", "n_partitions"), [(log_lines(299), 4), (log_lines(seed=2), 4), (log_lines(), 8)])
def test_other_events_or_partitions_are_refused_unless_they_replace(
    tmp_path: Path, lines: list[str], n_partitions: int
) -> None:
    lake = Lake(tmp_path / "lake")
    write_lake(workload(), read(tmp_path / "a", log_lines()).batches, lake, 4)
    other = read(tmp_path / "b", lines).batches

    with pytest.raises(LakeError, match=r"holds 300 events over 4 partitions from log, .* --replace writes it anew"):
        write_lake(workload(), other, lake, n_partitions)
    write_lake(workload(), other, lake, n_partitions, replace_files=True)

    write_lake(workload(), other, Lake(tmp_path / "fresh"), n_partitions)
    assert bytes_of(lake.root) == bytes_of(tmp_path / "fresh")


def test_no_event_leaves_the_lake_alone(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="log gave no event"):
        write_lake(workload(), {}, Lake(tmp_path / "lake"), 4)
    assert not (tmp_path / "lake").exists()


def test_large_partitions_are_several_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, lake = read(tmp_path, log_lines()), Lake(tmp_path / "lake")
    write_lake(workload(), found.batches, lake, 2)
    monkeypatch.setattr(lake_sink, "MAX_SLICE_EVENTS", 40)
    cut = Lake(tmp_path / "cut")

    write_lake(workload(), found.batches, cut, 2)

    assert records_of(cut) == records_of(lake)
    orders: EventBatch = found.batches["orders"]
    assert [one.last + 1 for one in cut.slices("orders", 0)][:2] == [40, 80]
    assert sum(one.n_rows for one in cut.slices("orders")) == len(orders)
