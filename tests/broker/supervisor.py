"""Starts a worker again when it gave up, and sees to it that it gave up as promised: with one clear line."""

from __future__ import annotations

import json
from typing import Any

from tests.broker.workers import WorkerProcess, wait_for

SAYS_WHY = "driftline: error: "


class Supervisor:
    """One worker that may end by itself.

    Attributes
    ----------
    ends
        What it said each time it gave up.
    """

    def __init__(self, worker: WorkerProcess) -> None:
        self.worker = worker
        self.ends: list[str] = []
        self._n_read = 0

    def start(self, crash_at: str = "") -> None:
        self.worker.start(crash_at)

    def status(self) -> dict[str, Any]:
        """Its newest counters; empty when it has none, or had to be started again."""
        process = self.worker.process
        assert process is not None
        if process.poll() is not None:
            self.ends.append(self._reason(process.returncode))
            self.worker.start()
            return {}
        try:
            found: dict[str, Any] = json.loads(self.worker.status_file.read_text())
        except FileNotFoundError:
            return {}
        return found

    def wait_until_done(self, n_events: int, what: str, within_s: float = 120.0) -> None:
        """Wait until this many events are applied and saved."""

        def is_done() -> bool:
            status = self.status()
            return status.get("in", 0) == n_events and status["partitions_unsaved"] == 0

        try:
            wait_for(is_done, what, within_s)
        except AssertionError as why:
            raise AssertionError(f"{why}\n{self.status()}\n{self.worker.log_file.read_text()[-2000:]}") from None

    def _reason(self, code: int) -> str:
        said = self.worker.log_file.read_text()[self._n_read :]
        self._n_read += len(said)
        errors = [line for line in said.splitlines() if line.startswith(SAYS_WHY)]
        assert code > 0, said
        assert len(errors) == 1, said
        assert "unexpected" not in errors[0], said
        assert "Traceback" not in said
        return errors[0].removeprefix(SAYS_WHY)
