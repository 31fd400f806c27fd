"""What was run: one JSON file for each job, with what went in, what came out and how it ended.

Below ``<home>/runs``. A command wraps its work in `recorded`; a run that fails leaves its record, too. It is the edge
of a command and reads the wall clock for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from offline.provenance import git_revision, libraries, machine
from schemas.errors import DriftlineError
from schemas.lake import write_atomic
from schemas.settings import Settings

_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}", re.ASCII)


@dataclass
class Run:
    """What a job notes about itself while it runs; all of it JSON-able.

    Parameters
    ----------
    home
        Files below it are told relative to it.
    inputs
        What it took: workload, data window, offsets, versions.
    outputs
        File -> SHA-256 (hex).
    results
        A few numbers worth to see in the list of runs.
    """

    home: Path
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    def add_output(self, path: Path) -> None:
        """Note a file that was written, or every file of a folder."""
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            with file.open("rb") as data:
                self.outputs[self._told(file)] = hashlib.file_digest(data, "sha256").hexdigest()

    def _told(self, path: Path) -> str:
        resolved, home = path.resolve(), self.home.resolve()
        return str(resolved.relative_to(home)) if resolved.is_relative_to(home) else str(path)


@contextmanager
def recorded(settings: Settings, command: str, options: Mapping[str, Any] | None = None) -> Iterator[Run]:
    """Run a job and leave its record, however it ends.

    Parameters
    ----------
    command
        As the user types it: ``train``.
    options
        What the user said; ``seed`` among them is told apart. Passwords in addresses are masked.

    Examples
    --------
    ::

        with recorded(settings, "train", {"seed": 0}) as run:
            bundle = ...
            run.inputs["data_window"] = dict(bundle.manifest.data_window)
            run.add_output(bundle.path)
    """
    run, begin = Run(settings.home), time.monotonic()
    started = datetime.now(UTC)
    end: dict[str, Any] = {"code": 0, "error": None}
    try:
        yield run
    except BaseException as error:
        end = _end(error)
        raise
    finally:
        content = {
            "command": command,
            "options": dict(options or {}),
            "seed": (options or {}).get("seed"),
            "started": started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "duration_s": round(time.monotonic() - begin, 3),
            "exit": end,
            "inputs": run.inputs,
            "outputs": run.outputs,
            "results": run.results,
            "libraries": libraries(),
            **machine(),
            "git_revision": git_revision(),
        }
        _save(settings.runs_dir, command, started, content)


def load_runs(runs_dir: Path) -> list[dict[str, Any]]:
    """All records, oldest first, each with its ``file``; what is no record is passed over."""
    found = []
    for path in sorted(runs_dir.glob("*.json")):
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and {"command", "started", "exit"} <= set(content):
            found.append(content | {"file": path.name})
    return found


def _end(error: BaseException) -> dict[str, Any]:
    """Exit code and message as the front door will tell them."""
    if isinstance(error, KeyboardInterrupt):
        return {"code": 130, "error": "interrupted"}
    code = getattr(error, "exit_code", None)
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else 1
    if code == 0:
        return {"code": 0, "error": None}
    text = str(error) if isinstance(error, DriftlineError) else f"{type(error).__name__}: {error}"
    return {"code": 70 if code is None else code, "error": " ".join(text.split())[:1000]}


def _save(runs_dir: Path, command: str, started: datetime, content: Mapping[str, Any]) -> None:
    if not _NAME.fullmatch(command.replace(" ", "-")):
        raise ValueError(f"{command!r} is no command")
    stamp = started.strftime("%Y%m%dT%H%M%S.") + f"{started.microsecond // 1000:03d}Z"
    text = json.dumps(content, indent=1, sort_keys=True, default=_as_json, allow_nan=False)
    path = runs_dir / f"{stamp}-{command.replace(' ', '-')}-{os.getpid()}.json"
    write_atomic(path, _PASSWORD.sub(r"\1***@", text).encode() + b"\n")


def _as_json(value: Any) -> Any:
    """Paths as text, tuples of other libraries' numbers as what they are."""
    return value.item() if hasattr(value, "item") else str(value)
