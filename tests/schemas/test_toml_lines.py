"""The line of an entry, told by writing texts whose lines are known."""

from __future__ import annotations

import tomllib

import pytest

from schemas.toml_lines import TomlLines

TEXT = '''# a comment with [[feature]] and name = "x"
[workload]          # 2
name = "w"

[topics.usage]      # 5
kinds = { "a.b" = "[[" }
# {

urgent = [          # 9
  "x", # ]
]
doc = """
name = "not a key"
[not.a.table]
"""
[topics."b c".fields] # 16
dotted.key = 1
[[source]]          # 18
name = 's'
[[source.event]]    # 20
kind = "a"
[[source.event]]
kind = "b"          # 23
[[source]]
[[source.event]]
kind = "c"          # 26
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("workload",), 2),
        (("workload", "name"), 3),
        (("workload", "gone"), 2),
        (("topics", "usage", "kinds"), 6),
        (("topics", "usage", "kinds", "a.b"), 6),
        (("topics", "usage", "urgent"), 9),
        (("topics", "usage", "doc"), 12),
        (("topics", "b c", "fields", "dotted", "key"), 17),
        (("source", 0, "name"), 19),
        (("source", 0, "event", 1, "kind"), 23),
        (("source", 1, "event", 0, "kind"), 26),
        (("elsewhere",), None),
    ],
)
def test_an_entry_is_found_on_its_line(path: tuple[str | int, ...], line: int | None) -> None:
    tomllib.loads(TEXT)
    assert TomlLines(TEXT).line(path) == line


def test_an_empty_file_has_no_lines() -> None:
    assert TomlLines("").line(("a",)) is None
