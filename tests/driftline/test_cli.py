from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from driftline import cli as front
from driftline.cli import COMMANDS, Entry, cli, load
from schemas.errors import BrokerError, WorkloadError


def fail_with(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, *before: str
) -> tuple[int, str, BaseException | None]:
    """Exit code, stderr and left-over exception of a command that raises ``error``."""

    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setitem(COMMANDS, "failing", Entry("here:failing", "Fails."))
    monkeypatch.setattr(front, "load", lambda _: failing)
    result = CliRunner().invoke(cli, [*before, "failing"])
    return result.exit_code, result.stderr, result.exception


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (WorkloadError("w.toml", 7, "no such kind"), 2, "w.toml:7: no such kind"),
        (BrokerError("h:1", "no answer"), 3, "broker h:1: no answer"),
        (WorkloadError("w.toml", None, "two\n  lines"), 2, "w.toml: two lines"),
        (
            OSError(errno.ENOSPC, "No space left on device", "lake/usage"),
            1,
            "no space left on the disk while writing lake/usage; free some and run the command again",
        ),
        (OSError(errno.ENOSPC, "No space left"), 1, "no space left on the disk; free some and run the command again"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.csv"), 1, "x.csv: no such file or directory"),
        (KeyError("x"), 70, "unexpected KeyError: 'x' (this is a bug; `driftline --debug ...` shows where)"),
    ],
)
def test_a_failure_is_one_line_and_an_exit_code(
    error: Exception, code: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fail_with(error, monkeypatch)[:2] == (code, f"driftline: error: {line}\n")


def test_an_interrupt_is_130_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fail_with(KeyboardInterrupt(), monkeypatch)[:2] == (130, "\n")


def test_errors_of_click_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said, _ = fail_with(click.UsageError("no"), monkeypatch)
    assert code == 2
    assert said.endswith("Error: no\n")


def test_debug_lets_the_traceback_through(monkeypatch: pytest.MonkeyPatch) -> None:
    error = WorkloadError("w.toml", None, "bad")
    assert fail_with(error, monkeypatch, "--debug")[2] is error


def test_help_lists_every_command_and_imports_none() -> None:
    heavy = ("confluent_kafka", "evidently", "faust", "numba", "numpy", "pandas", "river", "sklearn", "xgboost")
    program = (
        "import sys; from driftline.cli import cli; cli(['--help'], standalone_mode=False); "
        f"print('heavy:', [name for name in {heavy!r} if name in sys.modules])"
    )
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert said.endswith("heavy: []\n")
    for name, entry in COMMANDS.items():
        assert name in said
        assert entry.summary in said


def test_version_is_the_package_version() -> None:
    from driftline import __version__

    assert CliRunner().invoke(cli, ["--version"]).output == f"driftline, version {__version__}\n"


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(cli, ["trian"])
    assert result.exit_code == 2
    assert "No such command 'trian'" in result.stderr


def commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command, or those of a group."""
    if isinstance(command, click.Group):
        for part, one in command.commands.items():
            yield from commands(f"{name} {part}", one)
    else:
        yield name, command


def test_every_help_text_ends_with_an_example_of_its_own() -> None:
    for name, entry in COMMANDS.items():
        for full_name, command in commands(name, load(entry.target)):
            assert f"driftline {full_name}" in (command.epilog or ""), full_name
