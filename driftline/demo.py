"""``driftline demo``: the whole loop on the embedded broker, with a planted drift, in about two minutes.

Told from top to bottom: broker, worker and watch; history and a first model; live days; the world changes; a signal,
a new model, the swap. Every stage is a command that a user would type, or a topic that a user would read.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click

from driftline.broker import EmbeddedBroker
from driftline.children import Children
from driftline.demo_screen import Screen
from driftline.demo_summary import summarise
from driftline.errors import ChildError
from driftline.feeder import Feeder
from driftline.follow import Follower
from schemas.settings import Settings
from schemas.workload import Workload, load_workload

DEADLINE_S = 600.0
WORKER_LEAD_DAYS = 4  # the clock is held when it is further ahead of the worker or the watch
PARTITIONS = 2
FINAL = ("released", "refused", "failed", "expired")


@dataclass(frozen=True)
class Story:
    """What happens on which day of the demo, counted from its first."""

    customers: int = 2000
    events_per_customer_day: float = 3.5
    start: date = date(2025, 1, 1)
    history_days: int = 130
    drift_after_days: int = 168
    total_days: int = 288
    seed: int = 7


class Loop:
    """The state of a running demo and the verbs that move it on."""

    def __init__(
        self, settings: Settings, workload: Workload, story: Story, children: Children, screen: Screen
    ) -> None:
        from producers.simulate import Drift, SimulationConfig

        self.settings, self.workload, self.story = settings, workload, story
        self.children, self.screen = children, screen
        drift = Drift("concept", story.drift_after_days)
        self.config = SimulationConfig(
            n_customers=story.customers,
            n_days=story.total_days,
            start_day=story.start,
            seed=story.seed,
            events_per_customer_day=story.events_per_customer_day,
            drifts=(drift,),
            oracle_every_days=7,
        )
        self.feeder = Feeder(settings, workload, self.config)
        self.follower = Follower(settings, workload, ("drift", "retrain-signals", "model-releases"))
        self.status_file = settings.home / "worker.json"
        self.status: dict[str, Any] = {}
        self.drift_day = -1
        self.drift: dict[str, dict[str, Any]] = {}
        self.performance: list[dict[str, Any]] = []
        self.signals: list[dict[str, Any]] = []
        self.releases: list[dict[str, Any]] = []
        self.seen_release_s: dict[str, float] = {}
        self.swap_s: dict[str, float] = {}
        self._deadline = time.monotonic() + DEADLINE_S

    def start(self) -> None:
        """Worker, watch and trainer, then the events."""
        self.children.start("worker", "worker", "--checkpoint", "0.5", "--status", str(self.status_file))
        self.children.start("watch", "watch")
        self.children.start("trainer", "retrain-worker")
        self.feeder.start()

    def until(self, stage: str, is_reached: Callable[[], bool], allowed: Callable[[], int]) -> None:
        """Let the loop run until a condition holds; ``allowed`` is the day that the clock may reach."""
        self.screen.stage(stage)
        while not is_reached():
            self._look()
            self.feeder.allowed_day = min(allowed(), self._held_day())
            self.screen.show(self)
            if self.feeder.error is not None:
                raise self.feeder.error
            self.children.check()
            if time.monotonic() > self._deadline:
                raise ChildError(
                    "demo", 4, f"did not get through '{stage}' in {DEADLINE_S:.0f} s; logs: {self.children.log_dir}"
                )
            time.sleep(0.05)
        self.screen.show(self)

    def _held_day(self) -> int:
        """How far the clock may be ahead of the worker and, once a model is watched, of the watch."""
        day = max(int(self.status.get("clock_day", -1)), self.config.first_day) + WORKER_LEAD_DAYS
        if self.drift_day > 0:
            day = min(day, self.drift_day + WORKER_LEAD_DAYS + 3)
        return day

    def _look(self) -> None:
        if self.status_file.exists():
            self.status = json.loads(self.status_file.read_text())
        for role, record in self.follower.poll():
            if role == "drift":
                self.drift_day = max(self.drift_day, record["day"])
                self._remember_drift(record)
            elif role == "retrain-signals":
                self.signals.append(record)
            else:
                self.releases.append(record)
                self.seen_release_s[record["version"]] = time.monotonic()
        for version in self.status.get("releases", {}):
            if version in self.seen_release_s and version not in self.swap_s:
                self.swap_s[version] = round(time.monotonic() - self.seen_release_s[version], 2)

    def _remember_drift(self, record: dict[str, Any]) -> None:
        if record["scope"] == "performance":
            self.performance.append(record)
        elif record["scope"] in ("feature", "score") and record["statistic"] == "psi":
            self.drift[record["name"]] = record

    @property
    def signal(self) -> dict[str, Any] | None:
        """The newest record of the newest signal."""
        return self.signals[-1] if self.signals else None

    def evaluation(self, version: str) -> dict[str, Any]:
        """Evaluation that was packed with a version."""
        path = self.settings.models_dir / self.workload.name / version / "evaluation.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def is_released(self, version: str) -> bool:
        """Whether the worker has loaded a version."""
        return version in self.status.get("releases", {})

    def clock_allowed(self, last: int) -> int:
        """Up to ``last``, but standing still while a signal is answered."""
        signal = self.signal
        if signal is None or signal["status"] in ("refused", "failed", "expired"):
            return last
        if signal["status"] == "waiting":
            return min(last, int(signal["wait_until_day"]))
        if signal["status"] == "released" and self.is_released(str(signal["released_version"])):
            return last
        return self.feeder.day + 1


@click.command(epilog="\b\nExamples:\n  driftline demo\n  driftline demo --customers 2000 --seed 3")
@click.option("--customers", type=click.IntRange(500), default=Story.customers, show_default=True)
@click.option(
    "--seed", type=click.IntRange(0), default=Story.seed, show_default=True, help="Same seed, same customers."
)
@click.option("--summary", type=click.Path(path_type=Path), default=Path("demo-summary.json"), show_default=True)
def demo(customers: int, seed: int, summary: Path) -> None:
    """Run the whole loop on an embedded broker: events, features, scores, alerts, drift, retraining, swap.

    Example: driftline demo --seed 3
    """
    home = Settings.from_env().home / "demo"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    began = time.monotonic()
    with EmbeddedBroker() as broker:
        settings = Settings(bootstrap=broker.bootstrap, home=home.resolve(), partitions=PARTITIONS)
        environment = {
            "DRIFTLINE_BOOTSTRAP": broker.bootstrap,
            "DRIFTLINE_HOME": str(settings.home),
            "DRIFTLINE_PARTITIONS": str(PARTITIONS),
        }
        children = Children(home / "logs", environment)
        try:
            content = _run(settings, Story(customers=customers, seed=seed), children, Screen())
        finally:
            children.stop_all()
    content["wall_s"] = round(time.monotonic() - began, 1)
    summary.write_text(json.dumps(content, indent=1) + "\n")
    click.echo(f"\nsummary: {summary}   logs, lake, models, reports: {home}   {content['wall_s']} s")


def _run(settings: Settings, story: Story, children: Children, screen: Screen) -> dict[str, Any]:
    from schemas.topic_admin import create_topics

    workload = load_workload(settings.workload)
    create_topics(settings, workload)
    loop = Loop(settings, workload, story, children, screen)
    first = loop.config.first_day
    history, last = first + story.history_days, first + story.total_days
    with screen:
        loop.start()
        loop.until(
            "history: events to features, scored by a rule",
            lambda: loop.status.get("clock_day", -1) >= history,
            lambda: history,
        )
        screen.stage("ingest, train and release the first model")
        children.run("ingest", "ingest")
        trained = json.loads(children.run("train", "train", "--json", "--no-html"))
        children.run("release", "release", str(trained["version"]), "--force")
        version = str(trained["version"])
        loop.until("the worker loads the model", lambda: loop.is_released(version), lambda: history)
        screen.stage("live days")
        loop.until(
            f"live; on {story.start + timedelta(days=story.drift_after_days)} the world changes",
            lambda: loop.feeder.is_done and loop.status.get("clock_day", -1) >= last,
            lambda: loop.clock_allowed(last),
        )
        children.stop("worker")
        loop._look()
        screen.stage("summary")
        content = summarise(loop, trained, children)
    screen.summary(content)
    return content
