"""Our own engine: the real ``driftline worker`` as a process of its own, restored from the state after the prelude."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.dataset import DAY
from bench.machine import ROOT, environment, on_core, peak_rss_mb
from bench.run import Run
from bench.stage import Stage

DEADLINE_S = 300.0


def run_ours(stage: Stage, core: int | None) -> Run:
    """Start a worker, wait until the day is applied and saved, and stop it."""
    stage.reset()
    with tempfile.TemporaryDirectory() as folder:
        status, log = Path(folder) / "status.json", Path(folder) / "worker.log"
        with on_core(core), log.open("wb") as out:
            spawned = time.time()
            worker = subprocess.Popen(
                [sys.executable, "-m", "driftline", "worker", "--status", str(status)],
                env=environment(stage.settings.home) | stage.environment(), cwd=ROOT, stdout=out, stderr=out,
            )  # fmt: skip
        try:
            before, first, last, begun = _watch(worker, stage, status, log)
            rss = peak_rss_mb(worker.pid)
        finally:
            _stop(worker)
    return Run(
        engine="ours",
        n_events=last["in"] - before["in"],
        n_rows=last["scored"],
        seconds=last["last_checkpoint_s"] - last["first_event_s"],
        cpu_s=last["cpu_s"] - first["cpu_s"],
        rss_mb=rss,
        outputs=last | {"first_score_after_s": begun - spawned + last["first_score_s"]},
    )


def _watch(
    worker: subprocess.Popen[bytes], stage: Stage, status: Path, log: Path
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], float]:
    """(status when restored, the last one before the first event, when all is saved, wall time of the worker's
    birth).
    """
    before: dict[str, Any] | None = None
    first: dict[str, Any] = {}
    begun = float("inf")
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if worker.poll() is not None:
            raise RuntimeError(f"the worker ended with {worker.returncode}: {log.read_text()[-2000:]}")
        content = _read(status)
        if content is not None and len(content["partitions"]) == len(stage.start):
            begun = min(begun, status.stat().st_mtime - content["up_s"])
            if content["first_event_s"] is None:
                before = first = content
            elif before is None:  # the restored count is known from the state itself
                before, first = {"in": _n_prelude(stage)}, first or content
            if _is_done(content, before, stage):
                return before or content, first, content, begun
        time.sleep(0.05)
    raise RuntimeError(f"the worker was not done in time: {_read(status)} {log.read_text()[-2000:]}")


def _is_done(content: dict[str, Any], before: dict[str, Any] | None, stage: Stage) -> bool:
    is_applied = before is not None and content["in"] - before["in"] == stage.data.n_events
    return is_applied and content["clock_day"] == DAY + 1 and content["partitions_unsaved"] == 0


def _n_prelude(stage: Stage) -> int:
    return sum(map(len, stage.data.prelude))


def _read(status: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(status.read_text())
    except (OSError, ValueError):
        return None
    return content if "partitions" in content else None


def _stop(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(30)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
