"""Every command that the front door names exists, and shows its help."""

from __future__ import annotations

from importlib.util import find_spec

import click
import pytest
from click.testing import CliRunner

from driftline.cli import COMMANDS, cli, load


def module_of(name: str) -> str:
    return COMMANDS[name].target.partition(":")[0]


# While the house is being built, a command counts from the day its module exists.
BUILT = [name for name in COMMANDS if find_spec(module_of(name)) is not None]


@pytest.mark.parametrize("name", BUILT)
def test_the_target_of_a_command_resolves(name: str) -> None:
    assert isinstance(load(COMMANDS[name].target), click.Command)


@pytest.mark.parametrize("name", BUILT)
def test_a_command_shows_its_help(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"], prog_name="driftline")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: driftline {name}")
