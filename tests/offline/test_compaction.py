"""Fewer files, the same events at the same offsets, whatever happens meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from offline import compaction
from offline.compaction import compact
from offline.history import read_history
from schemas.errors import LakeError
from schemas.events import EventBatch
from schemas.lake import Lake, LakeSlice
from schemas.lake_table import table_of
from schemas.lake_writer import write_slice
from schemas.partition import partitions_of
from schemas.workload import Workload


class Killed(BaseException):
    """Stands for a process that ends here."""


@pytest.fixture(scope="module")
def batches(workload: Workload, company: Any) -> list[EventBatch]:
    found: list[EventBatch] = company(workload, n_customers=25, n_days=40)
    return found


def fill_in_pieces(lake: Lake, workload: Workload, batches: list[EventBatch], n_partitions: int = 2) -> None:
    """Every batch is a slice of each partition that it has customers of."""
    ends: dict[tuple[str, int], int] = {}
    for batch in batches:
        home = partitions_of(batch.customer_id, n_partitions)
        for partition in np.unique(home).tolist():
            mine, first = batch.take(home == partition), ends.get((batch.topic, partition), 0)
            ends[batch.topic, partition] = end = first + len(mine)
            table = table_of(workload.topic(batch.topic), mine, partition, np.arange(first, end))
            write_slice(lake, batch.topic, table, partition, first, end - 1)


def history(lake: Lake, workload: Workload) -> list[tuple[str, list[dict[str, Any]]]]:
    """All that the offline side reads, batch by batch."""
    return [(one.topic, one.to_records(workload.topic(one.topic))) for one in read_history(lake, workload)]


def offsets(lake: Lake, topic: str) -> list[tuple[int, int, str]]:
    rows = [row for file in lake.files(topic) for row in pq.ParquetFile(file).read().to_pylist()]
    return sorted((row["partition"], row["offset"], row["event_id"]) for row in rows)


def test_history_and_offsets_are_the_same_in_fewer_files(
    workload: Workload, batches: list[EventBatch], tmp_path: Path
) -> None:
    lake = Lake(tmp_path)
    fill_in_pieces(lake, workload, batches)
    before = history(lake, workload), [offsets(lake, topic) for topic in lake.topics()]
    ends = [lake.next_offset(topic, p) for topic in lake.topics() for p in range(2)]

    done = compact(lake, lake.topics())

    assert (history(lake, workload), [offsets(lake, topic) for topic in lake.topics()]) == before
    assert [lake.next_offset(topic, p) for topic in lake.topics() for p in range(2)] == ends
    assert done.n_slices[1] == sum(end > 0 for end in ends) < done.n_slices[0]
    assert done.n_files[1] <= done.n_files[0]
    assert set(tmp_path.rglob("*.parquet")) == {f for t in lake.topics() for f in lake.files(t)}
    assert len(list(tmp_path.rglob("_commits/*.json"))) == done.n_slices[1]
    assert compact(lake, lake.topics()).n_events == 0


def test_merged_slices_grow_with_what_comes_later(
    workload: Workload, batches: list[EventBatch], tmp_path: Path
) -> None:
    whole, lake = Lake(tmp_path / "whole"), Lake(tmp_path / "lake")
    fill_in_pieces(whole, workload, batches)
    usage = [batch for batch in batches if batch.topic == "usage"]
    first = 0
    for batch in usage:
        write_slice(
            lake,
            "usage",
            table_of(workload.topic("usage"), batch, 0, np.arange(first, first + len(batch))),
            0,
            first,
            first + len(batch) - 1,
        )
        first += len(batch)
        compact(lake, ["usage"], at_least=3)
    (merged, *rest) = lake.slices("usage")
    assert len(rest) < 3
    assert sum(one.n_rows for one in (merged, *rest)) == sum(map(len, usage))
    assert [event for _, _, event in offsets(lake, "usage")] == [e for batch in usage for e in batch.event_id]


@pytest.mark.parametrize("seed", range(4))
def test_death_at_any_point_changes_nothing_that_is_read(
    workload: Workload, batches: list[EventBatch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng, lake = np.random.default_rng(seed), Lake(tmp_path)
    fill_in_pieces(lake, workload, batches[:30])
    expected = history(lake, workload)

    def dying(original: Any, share: float) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            fate = rng.random()
            if fate < share:
                raise Killed
            result = original(*arguments, **named)
            if fate > 1 - share:
                raise Killed
            return result

        return call

    monkeypatch.setattr(compaction, "write_parquet", dying(compaction.write_parquet, 0.01))
    monkeypatch.setattr(compaction, "remove_uncommitted", dying(compaction.remove_uncommitted, 0.05))
    monkeypatch.setattr(Lake, "commit", dying(Lake.commit, 0.1))
    monkeypatch.setattr(Path, "unlink", dying(Path.unlink, 0.005))
    n_deaths = 0
    while n_deaths < 100:
        try:
            compact(lake, lake.topics(), max_events=40)
            break
        except Killed:
            n_deaths += 1
            assert history(lake, workload) == expected
    monkeypatch.undo()

    compact(lake, lake.topics())
    assert 0 < n_deaths < 100
    assert history(lake, workload) == expected
    assert set(tmp_path.rglob("*.parquet")) == {f for t in lake.topics() for f in lake.files(t)}


def empty(lake: Lake, *slices: tuple[int, int, int], n_rows: int = 0) -> None:
    for partition, first, last in slices:
        lake.commit(LakeSlice("billing", partition, first, last, (), n_rows))


def test_holes_partitions_and_large_slices_stay_apart(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    empty(lake, (0, 0, 4), (0, 5, 9), (0, 11, 12), (1, 0, 4), (1, 5, 5))
    compact(lake, ["billing"])
    assert [one.name for one in lake.slices("billing")] == ["0-0-9", "0-11-12", "1-0-5"]

    large = Lake(tmp_path / "large")
    empty(large, (0, 0, 4), (0, 5, 9), (0, 10, 14), n_rows=5)
    compact(large, ["billing"], max_events=10)
    assert [(one.name, one.n_rows) for one in large.slices("billing")] == [("0-0-9", 10), ("0-10-14", 5)]
    compact(large, ["billing"], max_events=20, at_least=3)
    assert len(large.slices("billing")) == 2


def test_slices_of_before_and_after_a_new_field_are_not_merged(workload: Workload, tmp_path: Path) -> None:
    lake, billing = Lake(tmp_path), workload.topic("billing")
    at = np.array([1_700_000_000_000])
    for first in range(4):
        batch = EventBatch("billing", [f"e{first}"], ["c"], at, at, np.array([0]), {})  # type: ignore[arg-type]
        table = table_of(billing, batch, 0, np.array([first]))
        write_slice(lake, "billing", table.drop_columns(["plan"]) if first < 2 else table, 0, first, first)
    compact(lake, ["billing"])
    assert [one.name for one in lake.slices("billing")] == ["0-0-1", "0-2-3"]


def test_a_commit_replaces_only_what_lies_inside_it(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    empty(lake, (0, 0, 4))
    path = tmp_path / "billing" / "_commits" / "0-5-9.json"
    path.write_text('{"files": [], "n_rows": 0, "replaces": ["0-0-4"]}')
    with pytest.raises(LakeError, match="replaces '0-0-4', which is no part of it"):
        lake.slices("billing")
