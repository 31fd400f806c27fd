from __future__ import annotations

import pytest
from click.testing import CliRunner

from schemas.cli import topics, workload
from schemas.errors import WorkloadError
from schemas.workload import load_workload


def run(*arguments: str) -> str:
    result = CliRunner().invoke(workload, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_check_says_what_was_checked() -> None:
    assert run("check", "subscription_churn").startswith("subscription_churn: ok, 5 topics, 14 kinds, 29 features")


def test_show_lists_every_kind_column_and_topic() -> None:
    words = run("show", "subscription_churn").split()
    w = load_workload("subscription_churn")
    assert {*w.columns(), *w.kind_index, "latest-scores", f"state-{w.hash[:8]}-4"} <= set(words)


def test_a_wrong_file_reaches_the_front_door_as_an_error() -> None:
    with pytest.raises(WorkloadError):
        run("check", "gone.toml")


def test_topics_has_its_two_commands() -> None:
    assert sorted(topics.commands) == ["create", "describe"]
