"""``driftline ingest``: from topics or from files, never both in one lake, and the same events either way."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
from click.testing import CliRunner, Result

from driftline.cli import cli
from schemas.lake import Lake


def run(*arguments: str, env: dict[str, str]) -> Result:
    return CliRunner().invoke(cli, list(arguments), env=env)


def rows_of(root: Path) -> dict[str, list[dict[str, object]]]:
    """Every row of every topic, by partition and offset."""
    lake = Lake(root)
    rows = {
        topic: [r for file in lake.files(topic) for r in pq.ParquetFile(file).read().to_pylist()]
        for topic in lake.topics()
    }
    return {topic: sorted(found, key=lambda row: (row["partition"], row["offset"])) for topic, found in rows.items()}


def test_files_and_a_replay_of_them_fill_the_same_lake(tmp_path: Path, settings_env: dict[str, str]) -> None:
    sim = [
        "simulate",
        "--customers",
        "40",
        "--days",
        "5",
        "--oracle-every",
        "2",
        "--to",
        "files",
        "--out",
        str(tmp_path),
    ]
    assert run(*sim, env={}).exit_code == 0
    workload = str(tmp_path / "workload.toml")
    home = Path(settings_env["DRIFTLINE_HOME"])
    files_env = {"DRIFTLINE_HOME": str(home / "files"), "DRIFTLINE_WORKLOAD": workload}

    assert run("replay", workload, "--no-progress", env=settings_env).exit_code == 0
    from_topics = run("ingest", "--workload", workload, env=settings_env)
    from_files = run("ingest", "--from-files", env=files_env)

    assert from_topics.exit_code == from_files.exit_code == 0, from_files.output
    topics, files = (
        rows_of(root) for root in (home / "lake" / settings_env["DRIFTLINE_TOPIC_PREFIX"], home / "files" / "lake")
    )
    assert topics.keys() == files.keys() != set()
    assert topics == files

    again = run("ingest", "--from-files", env=files_env)
    assert "events already; nothing changed" in again.stdout
    assert json.loads(run("ingest", "--from-files", "--json", env=files_env).stdout)["is_new"] is False
    mixed = run("ingest", "--from-files", "--workload", workload, env=settings_env)
    assert (mixed.exit_code, "slices of topics; files go to a lake of their own" in mixed.output) == (2, True)
    mixed = run("ingest", env={**files_env, "DRIFTLINE_BOOTSTRAP": settings_env["DRIFTLINE_BOOTSTRAP"]})
    assert (mixed.exit_code, "holds events of files; topics go to a lake of their own" in mixed.output) == (2, True)


def test_options_of_files_need_the_files(tmp_path: Path) -> None:
    done = run("ingest", "--data", str(tmp_path), env={"DRIFTLINE_HOME": str(tmp_path)})
    assert (done.exit_code, "need --from-files" in done.output) == (2, True)
