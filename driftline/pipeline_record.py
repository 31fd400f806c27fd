"""What a pipeline has done already: one JSON file below the home, written after each stage.

A stage is done when it was run with the same key. The key says what went in: settings, files, and what the stages
before it gave. It does not look into the stages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from driftline.errors import PipelineError
from schemas.lake import write_atomic


@dataclass(frozen=True)
class Result:
    """What a stage gave.

    Parameters
    ----------
    identity
        Changes when what it gave changes; part of the keys of later stages.
    summary
        One line for the table.
    html
        Pages that it wrote.
    figures
        JSON-able.
    is_refused
        Whether it ended with "no" for the reason in the summary, as a release without skill does.
    """

    identity: str
    summary: str
    html: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    is_refused: bool = False


class Record:
    """Results by stage, with the keys that they were run with.

    Parameters
    ----------
    path
        Of the file; it need not be there.

    Raises
    ------
    PipelineError
        When the file is there and no record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, Any] = {}
        if path.is_file():
            try:
                self._entries = dict(json.loads(path.read_text(encoding="utf-8"))["stages"])
            except (ValueError, KeyError, TypeError) as cause:
                raise PipelineError(f"pipeline record {path}: is damaged; run again with --fresh") from cause

    def load(self, stage: str, key: str) -> Result | None:
        """The result of a stage that was run with this key; None when it was not."""
        entry = self._entries.get(stage)
        if entry is None or entry["key"] != key:
            return None
        return Result(**{**entry["result"], "html": tuple(entry["result"]["html"])})

    def save(self, stage: str, key: str, result: Result) -> None:
        """Keep the result of a stage."""
        self._entries[stage] = {"key": key, "result": asdict(result)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path, (json.dumps({"stages": self._entries}, indent=1, sort_keys=True) + "\n").encode())


def key_of(*inputs: Any) -> str:
    """Hash of JSON-able inputs, hexadecimal.

    Examples
    --------
    >>> key_of("train", {"seed": 0}) == key_of("train", {"seed": 0}) != key_of("train", {"seed": 1})
    True
    """
    return sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
