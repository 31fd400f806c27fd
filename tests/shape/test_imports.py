"""Who may import whom: the contracts of pyproject.toml hold."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path


def test_the_import_contracts_hold(repository: Path) -> None:
    linter = Path(sysconfig.get_path("scripts")) / "lint-imports"
    said = subprocess.run([linter, "--no-cache"], cwd=repository, capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stdout + said.stderr


def test_no_folder_of_tests_is_a_package(repository: Path) -> None:
    """An ``__init__.py`` in tests/schemas would hide the package ``schemas``."""
    assert list((repository / "tests").rglob("__init__.py")) == []
