"""From files to a model in one command: what is done stays done, what changed is done again, a refusal is said."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result as Invoked

from driftline.cli import cli
from driftline.errors import PipelineError
from driftline.pipeline_record import Record, Result, key_of
from driftline.pipeline_run import Ran, run_pipeline
from driftline.pipeline_stages import STAGES, Job, Results, Say, Stage
from offline.registry import Registry
from offline.training_options import TrainingOptions
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import load_workload
from tests.offline.conftest import fill_lake, make_company

COMMAND = ("--customers", "700", "--days", "150", "--seed", "3", "--to", "files", "--out")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sim")
    done = CliRunner().invoke(cli, ["simulate", *COMMAND, str(folder)])
    assert done.exit_code == 0, done.output
    return folder


def run(files: Path, home: Path, *more: str) -> Invoked:
    return CliRunner().invoke(cli, ["pipeline", "run", str(files / "workload.toml"), "--home", str(home), *more])


def test_one_command_goes_from_files_to_a_champion_and_a_second_one_finds_it_done(files: Path, tmp_path: Path) -> None:
    first = run(files, tmp_path, "--json")
    assert first.exit_code == 0, first.output
    stages = {one["stage"]: one for one in json.loads(first.stdout)["stages"]}
    assert list(stages) == [stage.name for stage in STAGES if stage.name not in ("ladder", "tune")]
    assert all(stages[name]["html"] for name in ("validate", "profile", "evaluate", "report"))
    assert {one["status"] for one in stages.values()} == {"done"}
    assert stages["train"]["figures"]["skill"]["claimed"]
    assert all(Path(page).is_file() for one in stages.values() for page in one["html"])
    registry = Registry(tmp_path / "models", "subscription_churn")
    assert registry.alias("champion") == stages["train"]["figures"]["version"] == "v0001"
    assert "no broker" not in stages["release"]["summary"]
    assert "the workers over the broker" in stages["release"]["summary"]
    assert "train: training on" in first.stderr

    again = run(files, tmp_path)
    assert again.exit_code == 0, again.output
    assert again.stdout.count("as before") == len(stages)
    assert registry.versions() == ("v0001",)

    seeded = json.loads(run(files, tmp_path, "--seed", "1", "--json").stdout)["stages"]
    status = {one["stage"]: one["status"] for one in seeded}
    kept, new = ("ingest", "validate", "profile"), ("train", "evaluate", "report", "release")
    assert status == dict.fromkeys(kept, "as before") | dict.fromkeys(new, "done")
    assert registry.versions() == ("v0001", "v0002")


def test_what_cannot_be_done_ends_the_pipeline_with_one_line(files: Path, tmp_path: Path) -> None:
    for more, line in (
        (("--data", str(tmp_path)), "no file"),
        (("--until", "2025-02-01"), "history too short"),
        (("--until", "soon"), "'soon' is not a date"),
        (("--cutoffs", "2025-03-01"), "give both --cutoffs and --test-cutoffs"),
    ):
        done = run(files, tmp_path / key_of(more)[:6], *more)
        assert done.exit_code == 2, done.output
        assert line in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.output


def _job(tmp_path: Path) -> Job:
    workload = load_workload("subscription_churn")
    return Job(Settings(home=tmp_path), workload, None, None, TrainingOptions(), 0, False, False, False, False, 0)


def _counting(runs: list[str], name: str, after: Sequence[str] = (), inputs: Any = 0, says: str = "x") -> Stage:
    def stage(job: Job, results: Results, say: Say) -> Result:
        runs.append(name)
        return Result(says, "ran")

    return Stage(name, stage, tuple(after), lambda job: inputs)


def _ran(job: Job, stages: Sequence[Stage], is_fresh: bool = False) -> list[Ran]:
    record = Record(job.settings.home / "record.json")
    return run_pipeline(job, record, lambda: 0.0, lambda *said: None, is_fresh=is_fresh, stages=stages)


def test_a_stage_runs_again_when_what_goes_in_has_changed(tmp_path: Path) -> None:
    runs: list[str] = []
    job, b = _job(tmp_path), _counting(runs, "b", ["a"])
    _ran(job, [_counting(runs, "a"), b])
    _ran(job, [_counting(runs, "a"), b])
    assert runs == ["a", "b"]
    _ran(job, [_counting(runs, "a", inputs=1), b])  # it gave the same: b stays
    assert runs == ["a", "b", "a"]
    _ran(job, [_counting(runs, "a", inputs=2, says="y"), b])
    assert runs == ["a", "b", "a", "a", "b"]
    _ran(job, [_counting(runs, "a", inputs=2, says="y"), b], is_fresh=True)
    assert runs[-2:] == ["a", "b"]
    _ran(job, [_counting(runs, "a", inputs=None)])  # nothing can be said of its inputs
    _ran(job, [_counting(runs, "a", inputs=None)])
    assert runs[-2:] == ["a", "a"]


def test_a_stage_runs_again_when_what_it_gave_is_gone(tmp_path: Path) -> None:
    page = tmp_path / "page.html"

    def draw(job: Job, results: Results, say: Say) -> Result:
        page.write_text("page")
        return Result("", "drawn", html=(str(page),))

    stages = [Stage("draw", draw)]
    assert [one.status for _ in range(2) for one in _ran(_job(tmp_path), stages)] == ["done", "as before"]
    page.unlink()
    assert [one.status for one in _ran(_job(tmp_path), stages)] == ["done"]


def test_stages_before_a_failure_stay_done(tmp_path: Path) -> None:
    runs: list[str] = []

    def fail(job: Job, results: Results, say: Say) -> Result:
        raise PipelineError("no")

    with pytest.raises(PipelineError):
        _ran(_job(tmp_path), [_counting(runs, "a"), Stage("b", fail)])
    _ran(_job(tmp_path), [_counting(runs, "a"), _counting(runs, "b")])
    assert runs == ["a", "b"]


def test_a_damaged_record_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(PipelineError, match="run again with --fresh"):
        Record(tmp_path / "record.json")


def test_without_skill_nothing_becomes_champion(tmp_path: Path) -> None:
    job = _job(tmp_path)
    workload = job.workload
    fill_lake(Lake(job.settings.lake_dir), workload, make_company(workload, n_customers=150, signal=False))
    ran = _ran(job, [stage for stage in STAGES if stage.name in ("ingest", "train", "evaluate", "release")])
    assert [one.status for one in ran] == ["done", "done", "done", "refused"]
    assert "no skill claimed" in ran[1].result.summary
    assert "shows no skill" in ran[-1].result.summary
    assert Registry(job.settings.models_dir, workload.name).alias("champion") is None
    forced = _ran(
        replace(job, forces=True), [stage for stage in STAGES if stage.name in ("ingest", "train", "release")]
    )
    assert [one.status for one in forced] == ["done", "as before", "done"]
    assert Registry(job.settings.models_dir, workload.name).alias("champion") == "v0001"


def test_a_search_and_a_ladder_are_stages_when_they_are_asked_for(files: Path, tmp_path: Path) -> None:
    done = run(files, tmp_path, "--tune", "2", "--ladder", "--json")
    assert done.exit_code == 0, done.output
    stages = {one["stage"]: one for one in json.loads(done.stdout)["stages"]}
    assert list(stages) == [stage.name for stage in STAGES]
    assert Path(stages["ladder"]["html"][0]).is_file()
    assert Path(stages["tune"]["html"][0]).is_file()
    trained = stages["train"]["figures"]["training"]
    assert ("params" in trained) == (stages["tune"]["figures"]["params"] is not None)
