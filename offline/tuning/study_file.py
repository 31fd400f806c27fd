"""A study on disk: what it searches, every trial as it is judged, and the margins that the last comparison needs.

``<home>/tuning/<workload>/<study>/journal.jsonl`` has the inputs on its first line, then one trial a line;
``margins/<number>.npy`` beside it. A name is made of the inputs, so that other data or another seed is another study.
One process at a time; a line cut off by a crash is dropped, and its trial judged again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from offline.tuning.errors import StudyError
from offline.tuning.search import Margins
from offline.tuning.trial import Trial
from schemas.lake import write_atomic

LATEST: Final = "latest"
_STUDY: Final = re.compile(r"(?:bayes|random|grid)-[0-9a-f]{12}", re.ASCII)


def study_name(inputs: Mapping[str, Any]) -> str:
    """The name of the study with these inputs: its method and 12 hex digits of their hash."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"{inputs['method']}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


class StudyFile:
    """The trials of one study.

    Parameters
    ----------
    folder
        ``<home>/tuning/<workload>``.
    inputs
        All that decides what the trials are, JSON-able.
    """

    def __init__(self, folder: Path, inputs: Mapping[str, Any]) -> None:
        self.name = study_name(inputs)
        self.result_path = folder / f"{self.name}.json"
        self.page_path = folder / f"{self.name}.html"
        self._latest = folder / LATEST
        self._dir = folder / self.name
        self._journal = self._dir / "journal.jsonl"
        self._inputs = dict(inputs)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Nobody else runs this study meanwhile.

        Raises
        ------
        StudyError
            When another process does.
        """
        self._dir.mkdir(parents=True, exist_ok=True)
        with (self._dir / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StudyError(self._dir, "another process runs this study; wait for it or end it") from None
            yield

    def load(self) -> list[Trial]:
        """Trials of earlier runs, without what a crash has cut off; the journal begins when there is none.

        Raises
        ------
        StudyError
            When the journal is not what it should be.
        """
        lines = self._journal.read_text(encoding="utf-8").split("\n") if self._journal.exists() else []
        trials = self._trials(lines[1:-1])  # what stands behind the last line end was cut off
        if not lines or lines[-1]:
            head = json.dumps(self._inputs, sort_keys=True)
            write_atomic(self._journal, "".join(f"{line}\n" for line in [head, *(t.encode() for t in trials)]).encode())
        return trials

    def _trials(self, lines: Sequence[str]) -> list[Trial]:
        found = []
        for number, line in enumerate(lines):
            try:
                found.append(Trial.decode(line))
            except (ValueError, KeyError, TypeError) as cause:
                raise StudyError(
                    self._journal, f"line {number + 2} is no trial ({cause}); begin again with --fresh"
                ) from cause
            if found[-1].number != number:
                raise StudyError(self._journal, f"line {number + 2} is not trial {number}; begin again with --fresh")
        return found

    def append(self, trial: Trial, margin: Margins | None) -> None:
        """Keep a trial: its margins first, so that a trial in the journal has them."""
        if margin is not None:
            path = self._margin_path(trial.number)
            path.parent.mkdir(exist_ok=True)
            np.save(path, margin, allow_pickle=False)
        with self._journal.open("a", encoding="utf-8") as out:
            out.write(trial.encode() + "\n")

    def margin(self, trial: Trial) -> Margins:
        """Log odds of all judged rows by a complete trial, (n,).

        Raises
        ------
        StudyError
            When they are gone.
        """
        path = self._margin_path(trial.number)
        try:
            return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)
        except (OSError, ValueError) as cause:
            raise StudyError(path, f"cannot be read: {cause}; begin again with --fresh") from cause

    def clear(self) -> None:
        """Forget every trial."""
        self._journal.unlink(missing_ok=True)
        shutil.rmtree(self._dir / "margins", ignore_errors=True)

    def save_result(self, result: Mapping[str, Any]) -> Path:
        """Write the result and make it the latest of its workload."""
        text = json.dumps(result, indent=1, sort_keys=True, allow_nan=False) + "\n"
        write_atomic(self.result_path, text.encode())
        write_atomic(self._latest, f"{self.name}\n".encode())
        return self.result_path

    def _margin_path(self, number: int) -> Path:
        return self._dir / "margins" / f"{number:05d}.npy"


def latest_result(folder: Path) -> Path:
    """The result that was written last.

    Parameters
    ----------
    folder
        ``<home>/tuning/<workload>``.

    Raises
    ------
    StudyError
        When there is none.
    """
    try:
        name = (folder / LATEST).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise StudyError(folder, "no result there; run `driftline tune` first") from None
    if not _STUDY.fullmatch(name):
        raise StudyError(folder / LATEST, f"{name[:40]!r} is not the name of a study")
    return folder / f"{name}.json"
