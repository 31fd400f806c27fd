"""The processes of a local loop: started as the commands a user would type, stopped in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from driftline.errors import ChildError

STOP_WITHIN_S = 15.0


@dataclass(eq=False)
class Children:
    """Runs ``driftline`` commands side by side; their output goes to files in ``log_dir``."""

    log_dir: Path
    environment: Mapping[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> None:
        """Start ``driftline <arguments>`` in the background."""
        self.log_dir.mkdir(parents=True, exist_ok=True)
        with (self.log_dir / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                self._command(arguments), env=self._environment(), stdout=log, stderr=subprocess.STDOUT
            )

    def run(self, name: str, *arguments: str) -> str:
        """Run ``driftline <arguments>`` to its end and return what it printed.

        Raises
        ------
        ChildError
            When it fails; the message ends with its last line.
        """
        done = subprocess.run(
            self._command(arguments), env=self._environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ChildError(name, done.returncode, _last_line(done.stderr))
        return done.stdout

    def check(self) -> None:
        """Raise ChildError when a background command has ended."""
        for name, process in self.running.items():
            if (code := process.poll()) is not None:
                raise ChildError(name, code, _last_line((self.log_dir / f"{name}.log").read_text(errors="replace")))

    def stop(self, name: str) -> None:
        """Ask one command to end and wait for it."""
        process = self.running.pop(name, None)
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self) -> None:
        """Stop whatever still runs, last started first."""
        for name in reversed(list(self.running)):
            self.stop(name)

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "driftline", *arguments]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_")}
        return kept | dict(self.environment) | {"PYTHONUNBUFFERED": "1"}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
