"""Runs a Python engine in its own environment on a prefix of the day, as stock Faust is run."""

from __future__ import annotations

import json
import pickle
import subprocess
import tempfile
from pathlib import Path

from bench.dataset import N_PARTITIONS
from bench.faust_run import FaustStage
from bench.machine import environment, on_core
from bench.numpy_run import job_of
from bench.ours import DEADLINE_S
from bench.peers.environments import python_for
from bench.run import Run
from bench.stage import recreate_named

MODULES = {
    "plain_loop": "bench.peers.plain_loop",
    "quix": "bench.peers.quix_job",
    "bytewax": "bench.peers.bytewax_job",
    "pathway": "bench.peers.pathway_job",
}
OUTPUTS = ("scores", "alerts", "changelog")


def run_python_peer(peer: str, prefix_stage: FaustStage, core: int | None) -> Run:
    """Start the engine, and read what it wrote."""
    stage, settings, python = prefix_stage.stage, prefix_stage.settings, python_for(peer)
    recreate_named(settings, [f"{settings.topic_prefix}{peer}-{name}" for name in OUTPUTS], N_PARTITIONS)
    with tempfile.TemporaryDirectory() as folder:
        job, start = Path(folder) / "job.json", Path(folder) / "start.pickle"
        start.write_bytes(pickle.dumps(prefix_stage.start))
        content = {"prefix": settings.topic_prefix, "n_events": prefix_stage.n_events, "peer": peer}
        job.write_text(json.dumps(job_of(stage, start) | content))
        with on_core(core):
            finished = subprocess.run(
                [str(python), "-m", MODULES[peer], str(job)], cwd=folder, capture_output=True, check=False,
                env=environment(stage.settings.home), timeout=DEADLINE_S,
            )  # fmt: skip
        if not (job.parent / "result.json").exists():
            said = (finished.stderr or finished.stdout).decode(errors="replace")
            raise RuntimeError(f"{peer} ended with {finished.returncode}: {said[-2000:]}")
        result = json.loads((job.parent / "result.json").read_text())
    return Run(
        engine=peer,
        n_events=result["n_events"],
        n_rows=result["n_rows"],
        seconds=result["seconds"],
        cpu_s=result["cpu_s"],
        rss_mb=result["rss_mb"],
        outputs=result | {"n_due": prefix_stage.n_due},
    )
