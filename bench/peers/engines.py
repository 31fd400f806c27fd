"""The engines beside each other: how each is called, run and checked on a stage, and which are missing here and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from bench import compare
from bench.compare import Agreement
from bench.faust_run import FaustStage, run_faust
from bench.numpy_run import run_numpy
from bench.ours import run_ours
from bench.peers import agreement
from bench.peers.environments import EnvironmentMissing, kafka_streams, python_for
from bench.peers.kafka_streams_run import run_kafka_streams
from bench.peers.python_run import MODULES, run_python_peer
from bench.run import Run
from bench.stage import Stage

TITLES = {
    "ours": "driftline worker",
    "ours_at_least_once": "driftline worker, at-least-once",
    "kafka_streams": "Kafka Streams (Java), at-least-once",
    "kafka_streams_eos": "Kafka Streams (Java), exactly-once",
    "numpy": "confluent-kafka + NumPy",
    "plain_loop": "confluent-kafka + dict",
    "bytewax": "Bytewax",
    "quix": "Quix Streams",
    "pathway": "Pathway",
    "faust": "stock Faust",
}
TRANSACTIONAL = ("ours_at_least_once", "kafka_streams_eos")  # tell something on Apache Kafka alone


class AtLeastOnce(Stage):
    """The same stage for a worker that is not to use transactions."""

    def environment(self) -> dict[str, str]:
        return super().environment() | {"DRIFTLINE_DELIVERY": "at-least-once"}


def ways(
    stage: Stage, wanted: list[str], prefix_events: int, core: int | None
) -> tuple[dict[str, Callable[[], Run]], dict[str, str]]:
    """(what runs each engine once, in the order of ``wanted``; which engines are missing, and why)."""
    found: dict[str, Callable[[], Run]] = {}
    missing: dict[str, str] = {}
    prefix_stage = FaustStage(stage, prefix_events) if {"faust", *MODULES} & set(wanted) else None
    for engine in wanted:
        try:
            found[engine] = _way(engine, stage, prefix_stage, core)
        except EnvironmentMissing as error:
            missing[engine] = str(error)
    return found, missing


def _way(engine: str, stage: Stage, prefix_stage: FaustStage | None, core: int | None) -> Callable[[], Run]:
    if engine == "ours":
        return lambda: run_ours(stage, core)
    if engine == "ours_at_least_once":
        plain = AtLeastOnce(**{field.name: getattr(stage, field.name) for field in fields(stage)})
        return lambda: run_ours(plain, core)
    if engine == "numpy":
        return lambda: run_numpy(stage, core)
    if engine.startswith("kafka_streams"):
        java, guarantee = kafka_streams(), "exactly_once_v2" if engine.endswith("_eos") else "at_least_once"
        return lambda: run_kafka_streams(stage, java, core, guarantee)
    assert prefix_stage is not None
    if engine == "faust":
        return lambda: run_faust(prefix_stage, core)
    python_for(engine)
    return lambda: run_python_peer(engine, prefix_stage, core)


class Checks:
    """Compares the first run of each engine with what ours published on the same stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ours: Run | None = None
        self.mine: dict[str, dict[str, dict[str, Any]]] = {}
        self.found: dict[str, Agreement] = {}

    def see(self, engine: str, run: Run) -> None:
        """Called after each run, while its topics are as it left them."""
        if engine == "ours" and self.ours is None:
            self.ours = run
            self.mine = {
                role: agreement.published(self.stage, role, record)
                for role, record in (("scores", "score"), ("alerts", "alert"))
            }
        elif self.ours is not None and engine not in self.found:
            checked = self._checked(engine, self.ours, run)
            if checked is not None:
                self.found[engine] = checked

    def _checked(self, engine: str, ours: Run, run: Run) -> Agreement | None:
        if engine.startswith("kafka_streams"):
            return agreement.compare_streams(self.stage, ours, run, self.mine)
        scores = agreement.event_scores(self.mine["scores"])
        if engine == "numpy":
            kinds = {"tick": 0, "event": 1, "urgent": 2}
            named = {f"{c}@{at}/{kinds[kind]}": one for (c, at, kind), one in zip(
                scores, self.mine["scores"].values(), strict=True
            )}  # fmt: skip
            return compare.compare_numpy(named, ours, run)
        return agreement.compare_prefix(scores, run) if engine == "faust" or engine in MODULES else None
