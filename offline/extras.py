"""Libraries that not everybody installs: is an extra there, and what to say when it is not."""

from __future__ import annotations

from importlib.util import find_spec

from offline.errors import MissingExtraError

EXTRAS = {"onnx": ("onnx", "onnxruntime"), "mlflow": ("mlflow", "alembic", "sqlparse")}
"""Extra -> modules that it brings."""


def has_extra(extra: str) -> bool:
    """Whether every library of an extra is installed."""
    return not _missing(extra)


def check_extra(extra: str, purpose: str) -> None:
    """Refuse in one line when a library of an extra is missing.

    Raises
    ------
    MissingExtraError
        With the command that installs it.
    """
    if missing := _missing(extra):
        raise MissingExtraError(extra, purpose, missing)


def _missing(extra: str) -> list[str]:
    return [module for module in EXTRAS[extra] if find_spec(module) is None]
