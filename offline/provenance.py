"""With what a result was made: library versions, Python, CPU architecture and the revision of the code."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("numpy", "xgboost", "scikit-learn", "numba")
"""What the bytes of a model depend on."""
_ROOT = Path(__file__).resolve().parent.parent
_TIMEOUT_S = 10.0


def libraries() -> dict[str, str]:
    """Library -> version, of those that the bytes of a model depend on."""
    return {name: _version(name) for name in LIBRARIES}


def machine() -> dict[str, str]:
    """Python and CPU architecture."""
    return {"python": platform.python_version(), "architecture": platform.machine()}


@cache
def git_revision() -> str:
    """The commit of the working copy that this code runs from, with ``-dirty`` when it was changed; "" elsewhere."""
    try:
        top = _git("rev-parse", "--show-toplevel")
        if not top or Path(top).resolve() != _ROOT:
            return ""  # installed into somebody else's working copy
        return _git("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S)
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
