"""A bar goes from nothing to all, passes on what it watches, and stays away from files."""

from __future__ import annotations

import io

import pytest

from offline.passing import STEPS, Passing, tell, watched


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_parts_are_the_same_and_the_bar_ends_full() -> None:
    said: list[str] = []
    parts = [[0] * n for n in (3, 0, 500, 1, 496)]
    assert list(watched(parts, "reading", 1000, said.append)) == parts
    assert all(isinstance(line, Passing) for line in said)
    assert said[-2] == f"reading {'#' * STEPS} 1,000 of 1,000 events"
    assert said[-1] == ""
    assert len(said) <= STEPS + 2


def test_more_than_was_announced_is_no_error() -> None:
    said: list[str] = []
    list(watched([[0] * 10], "reading", 0, said.append))
    assert "10 of 0 events" in said[0]


def test_a_file_gets_the_lines_that_stay(capsys: pytest.CaptureFixture[str]) -> None:
    tell(Passing("reading 1"))
    tell("read")
    assert capsys.readouterr().err == "read\n"


def test_on_a_terminal_a_line_takes_the_place_of_a_passing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    tell(Passing("reading 1"))
    tell("read")
    assert terminal.getvalue().replace("\r\x1b[K", "|") == "|reading 1|read\n"
