"""Which lake the state began with, when its events came before everything in the topics: a note in the own lake."""

from __future__ import annotations

import json
from pathlib import Path

from schemas.errors import LakeError
from schemas.lake import write_atomic
from schemas.settings import Settings


def save_lake_before(settings: Settings, lake_dir: Path) -> None:
    """Note that a state was built from this lake."""
    write_atomic(_note(settings), json.dumps({"lake": str(lake_dir)}).encode() + b"\n")


def load_lake_before(settings: Settings) -> str | None:
    """The lake of before the topics; None when the topics hold everything.

    Raises
    ------
    LakeError
        When the note cannot be read.
    """
    try:
        return str(json.loads(_note(settings).read_bytes())["lake"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise LakeError(_note(settings), f"cannot be read: {cause!r}") from cause


def _note(settings: Settings) -> Path:
    return settings.lake_dir / "before.json"
