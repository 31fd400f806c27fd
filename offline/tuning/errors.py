"""Why a study cannot be run or its result cannot be used.

::

    OfflineError
    |-- StudyError                  path of the study
    `-- ParamsError                 path of the parameter file
"""

from __future__ import annotations

from pathlib import Path

from offline.errors import OfflineError


class StudyError(OfflineError):
    """A study's files do not say what they should, or another process is at work on them."""

    def __init__(self, path: str | Path, detail: str) -> None:
        self.path = str(path)
        super().__init__(f"study {self.path}: {detail}")


class ParamsError(OfflineError):
    """A file of parameters that cannot be read, or holds what the search space does not know."""

    def __init__(self, path: str | Path, detail: str) -> None:
        self.path = str(path)
        super().__init__(f"parameters {self.path}: {detail}")
