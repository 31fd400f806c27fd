"""A version can be made again, bit for bit, although the lake has grown since."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from driftline.cli import cli
from offline.cutoffs import day_of
from offline.errors import RepetitionError
from offline.registry import Registry
from offline.repetition import differences, options_of
from offline.training_options import TrainingOptions
from offline.training_run import train_version
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.lake import Lake, LakeSlice
from schemas.lake_table import table_of
from schemas.settings import Settings
from schemas.workload import Workload


def append(lake: Lake, workload: Workload, batch: EventBatch) -> None:
    """The next slice of partition 0 of a topic."""
    first = lake.next_offset(batch.topic, 0)
    last, days, files = first + len(batch) - 1, batch.event_time_ms // DAY_MS, []
    for day in np.unique(days).tolist():
        rows = np.flatnonzero(days == day)
        path = lake.file(batch.topic, day, 0, first, last)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table_of(workload.topic(batch.topic), batch.take(rows), 0, first + rows), path)
        files.append(f"{path.parent.name}/{path.name}")
    lake.commit(LakeSlice(batch.topic, 0, first, last, tuple(files), len(batch)))


def split_in_time(batches: Sequence[EventBatch], day: int) -> tuple[list[EventBatch], list[EventBatch]]:
    """What was in the lake first, and what came later: all after a day, and every tenth of before, known late."""
    topics = {batch.topic for batch in batches}
    whole = [EventBatch.concat([batch for batch in batches if batch.topic == topic]) for topic in sorted(topics)]
    is_late = [(b.known_time_ms >= day * DAY_MS) | (np.arange(len(b)) % 10 == 0) for b in whole]
    first = [b.take(np.flatnonzero(~late)) for b, late in zip(whole, is_late, strict=True)]
    return first, [b.take(np.flatnonzero(late)) for b, late in zip(whole, is_late, strict=True)]


@pytest.fixture(scope="module")
def home(workload: Workload, company: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A version trained on part of a company's life, and the rest of that life come into the lake since."""
    settings = Settings(home=tmp_path_factory.mktemp("grown"))
    lake = Lake(settings.lake_dir)
    first, later = split_in_time(company(workload, n_customers=250, n_days=230), day_of("2024-07-06"))
    for batch in first:
        append(lake, workload, batch)
    train_version(settings, workload, TrainingOptions(n_event_rows=4_000, seed=3))
    options = TrainingOptions(
        n_event_rows=4_000, until_day=day_of("2024-07-01"), onset_day=19_790, longest_block_days=10, warm_up_days=35
    )
    train_version(settings, workload, options)
    for batch in later:
        append(lake, workload, batch)
    return settings


@pytest.mark.parametrize("version", ["v0001", "v0002"])
def test_what_came_since_changes_nothing(home: Settings, workload: Workload, version: str) -> None:
    registry = Registry.of(home, workload.name)
    pattern, challenger = registry.load(version), registry.alias("challenger")
    again = train_version(home, workload, options_of(pattern), like=pattern)
    assert differences(again, pattern) == []
    assert again.manifest.bundle_id == pattern.manifest.bundle_id
    assert again.manifest.data_window == pattern.manifest.data_window
    assert again.files["evaluation.json"] == pattern.files["evaluation.json"]
    assert registry.alias("challenger") == challenger, "a repetition challenges nobody"


def test_without_like_the_grown_lake_gives_another_model(home: Settings, workload: Workload) -> None:
    pattern = Registry.of(home, workload.name).load("v0001")
    other = train_version(home, workload, options_of(pattern))
    assert "model.ubj" in differences(other, pattern)


def test_the_command_says_that_it_is_the_same_and_takes_no_options(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(home.home))
    runner = CliRunner()
    done = runner.invoke(cli, ["train", "--like", "v0001", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["like"] == {"version": "v0001", "differences": []}
    refused = runner.invoke(cli, ["train", "--like", "v0001", "--seed", "0"])
    assert refused.exit_code == 2
    assert "leave out seed" in refused.stderr
    (run,) = [json.loads(path.read_bytes()) for path in home.runs_dir.glob("*-train-*.json")]
    assert run["options"]["like"] == "v0001"
    assert (run["seed"], run["exit"]) == (3, {"code": 0, "error": None})


def test_a_lake_that_has_lost_events_is_told_in_one_line(home: Settings, workload: Workload, tmp_path: Path) -> None:
    pattern = Registry.of(home, workload.name).load("v0001")
    poorer = Settings(home=tmp_path)
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "billing").symlink_to(home.lake_dir / "billing")  # and no usage any more
    with pytest.raises(RepetitionError, match="v0001 cannot be made again: up to its offsets the lake gives n_events"):
        train_version(poorer, workload, options_of(pattern), like=pattern)
