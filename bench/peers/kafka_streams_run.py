"""Runs Kafka Streams as a process of its own on a stage: whole day, warm, at-least-once or exactly-once."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import xgboost
from confluent_kafka.cimpl import NewTopic

from bench.dataset import N_PARTITIONS
from bench.machine import environment, on_core
from bench.numpy_run import job_of
from bench.ours import DEADLINE_S
from bench.peers.environments import Java
from bench.run import Run
from bench.stage import Stage, delete_topics
from schemas.settings import Settings

OUTPUTS = {"scores": "kafka-streams-scores", "latest": "kafka-streams-latest", "alerts": "kafka-streams-alerts"}
PASSES = 4  # of the day in one JVM; the last one counts
HEAP = "2g"


def run_kafka_streams(stage: Stage, java: Java, core: int | None, guarantee: str, passes: int = PASSES) -> Run:
    """Let it run the day some times, and read what it says of the last."""
    prefix = stage.settings.topic_prefix
    _recreate(stage.settings, [prefix + name for name in OUTPUTS.values()])
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        job.write_text(json.dumps(_job_of(stage, Path(folder)) | {"guarantee": guarantee, "passes": passes}))
        with on_core(core):
            finished = subprocess.run(
                [*java.command(f"-Xms{HEAP}", f"-Xmx{HEAP}", "-XX:+UseSerialGC"), "bench.Main", str(job)],
                capture_output=True, check=False, env=environment(stage.settings.home), timeout=2 * DEADLINE_S,
            )  # fmt: skip
        if finished.returncode:
            raise RuntimeError(f"Kafka Streams ended with {finished.returncode}: {finished.stderr.decode()[-2000:]}")
        result = json.loads((job.parent / "result.json").read_text())
    return Run(
        engine=f"kafka_streams_{guarantee}",
        n_events=result["n_events"],
        n_rows=result["n_rows"],
        seconds=result["seconds"],
        cpu_s=result["cpu_s"],
        rss_mb=result["rss_mb"],
        outputs=result,
    )


def _recreate(settings: Settings, names: list[str]) -> None:
    """Topics that keep records however old: the engine's outputs carry the times of the events."""
    admin = delete_topics(settings, names)
    topics = [NewTopic(name, N_PARTITIONS, 1, config={"retention.ms": "-1"}) for name in names]
    for future in admin.create_topics(topics).values():
        future.result(30)


def _job_of(stage: Stage, folder: Path) -> dict[str, Any]:
    job = job_of(stage, folder / "unused")
    booster = xgboost.Booster(model_file=job["model"])
    booster.save_model(folder / "model.json")
    lines = [" ".join([name, *map(str, row)]) for name, row in stage.decisions.items()]
    (folder / "decisions").write_text("\n".join(lines))
    return job | {f"out_{sink}": stage.settings.topic_prefix + name for sink, name in OUTPUTS.items()} | {
        "model_json": str(folder / "model.json"), "decisions": str(folder / "decisions"),
        "application": f"{stage.settings.topic_prefix}kafka-streams-{os.urandom(4).hex()}", "config": {},
    }  # fmt: skip
