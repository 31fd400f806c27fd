"""The commands, in this process, on the embedded broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from driftline.cli import cli
from producers.recording import day_of, split_days
from producers.simulate import SimulationConfig, simulate
from producers.sources import read_events
from schemas.events import EventBatch
from schemas.workload import load_workload

SMALL = ["--customers", "40", "--days", "4", "--oracle-every", "2"]


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, list(arguments), env=env)


def test_simulated_files_are_a_source_like_any_other(tmp_path: Path) -> None:
    out = tmp_path / "sim"
    result = run("simulate", *SMALL, "--to", "files", "--out", str(out), "--drift", "concept@2025-01-03")
    assert result.exit_code == 0, result.output

    workload = load_workload(out / "workload.toml")
    recording = read_events(workload)
    simulated = list(simulate(SimulationConfig(n_customers=40, n_days=4)))

    assert workload.hash == load_workload("subscription_churn").hash
    assert recording.n_events == sum(day.n_events for day in simulated) > 0
    assert not any(source.refusals.n for source in recording.sources)
    for topic in workload.topics:
        ours = [b for day in recording for b in day.batches if b.topic == topic.name]
        theirs = [b for day in simulated for b in day.batches if b.topic == topic.name]
        key = lambda record: record["event_id"]  # noqa: E731
        if ours or theirs:
            left, right = (EventBatch.concat(list(split)).to_records(topic) for split in (ours, theirs))
            assert sorted(left, key=key) == sorted(right, key=key)
    truth = json.loads((out / "truth.json").read_text())
    assert truth["drifts"][0]["start_day"] == day_of("2025-01-03")
    assert (out / "oracle.parquet").is_file()


def test_replay_refuses_topics_that_are_not_empty_and_resume_goes_on(
    tmp_path: Path, settings_env: dict[str, str]
) -> None:
    run("simulate", *SMALL, "--to", "files", "--out", str(tmp_path))
    workload = str(tmp_path / "workload.toml")

    first = run("replay", workload, "--until", "2025-01-03", env=settings_env)
    again = run("replay", workload, env=settings_env)
    resumed = run("replay", workload, "--resume", "--speed", "max", "--no-progress", env=settings_env)

    assert "complete up to 2025-01-02" in first.output
    assert again.exit_code == 2
    assert "driftline: error" in again.output or "Error" in again.output
    assert "are not empty (complete up to 2025-01-02); go on with --resume" in again.output
    assert "complete up to 2025-01-04" in resumed.output
    sent = [int(result.output.split(" events in ")[0].split()[-1].replace(",", "")) for result in (first, resumed)]
    assert sum(sent) == read_events(load_workload(workload)).n_events


def test_simulate_sends_to_topics(settings_env: dict[str, str]) -> None:
    result = run("simulate", *SMALL, env=settings_env)

    assert result.exit_code == 0, result.output
    assert "complete up to 2025-01-04" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["replay", "cdnow.toml"], "is no file and no built-in workload"),
        (["replay", "subscription_churn"], "has no [[source]]"),
        (["replay", "subscription_churn", "--speed", "fast"], 'neither "max" nor a factor'),
        (["replay", "subscription_churn", "--until", "tomorrow"], "is not a date; write it like 2025-04-01"),
        (["simulate", "--drift", "concept@2024-12-31"], "is before the first day, 2025-01-01"),
        (["simulate", "--drift", "moonshine@3"], "unknown kind; known: covariate"),
        (["simulate", "--to", "files"], "--to files needs --out DIR"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    last = result.output.strip().splitlines()[-1]
    assert message in last
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["replay", "simulate"])
def test_help_has_an_example(command: str) -> None:
    assert f"  driftline {command} " in run(command, "--help").output.partition("Example")[2]


def test_split_days_of_nothing_is_nothing() -> None:
    assert split_days([]) == ()
