"""The examples in docstrings run, and say what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

FOLDERS = ("driftline", "offline", "producers", "schemas", "stream_app")


def test_examples_in_docstrings_hold(repository: Path) -> None:
    files = [path for folder in FOLDERS for path in sorted((repository / folder).rglob("*.py"))]
    modules = [
        ".".join(path.relative_to(repository).with_suffix("").parts) for path in files if ">>>" in path.read_text()
    ]
    found = {name: doctest.testmod(importlib.import_module(name)) for name in modules}
    assert sum(result.attempted for result in found.values()) > 60
    assert [name for name, result in found.items() if result.failed] == []
