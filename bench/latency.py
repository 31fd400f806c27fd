"""``python -m bench.latency``: from an event to its alert at a subscriber, at a steady pace on Apache Kafka.

The worker with transactions, restored with all customers, through a midnight with their ticks and a swap of models;
then a hand-written transactional loop without state and model, with the same commit interval.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.dataset import DAY, DAY_MS, N_PARTITIONS, Dataset, create_dataset
from bench.heart import Heart
from bench.live import MIDNIGHT, AlertWatch, LiveFeed
from bench.machine import ROOT, describe, environment
from bench.model_bundle import create_bundle, release_record
from bench.stage import publish, records_of
from driftline.kafka_engine import KafkaEngine
from schemas.bundle import Bundle, write_bundle
from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.topics import topic_for

EVENTS_PER_S = 5_000
N_CUSTOMERS = 100_000
COMMIT_S = 0.1  # what Kafka Streams commits by, too, when it uses transactions
WARM_UP_S = 60.0  # the broker compiles what it does often: that takes a third of a core, and a minute
HAND_S = 30.0
BUSY = 0.5  # of the alert threshold: so many more alerts open at events than in life
Figures = dict[str, float]


def set_live_stage(settings: Settings, data: Dataset) -> None:
    """Prelude, state, two releases of a model that alerts often: one for now, one for the day after midnight."""
    bundle = create_bundle(settings.models_dir, data)
    create_topics(settings, data.workload)
    prelude, _ = data.logs
    publish(settings, records_of(settings, prelude))
    codec = Codec(FileRegistry.for_workload(data.workload))
    clock = codec.encode("clock", {"event_id": "clock-live", "day": DAY, "time_ms": DAY * DAY_MS})
    publish(settings, ((settings.topic_prefix + "clock", p, b"clock", clock) for p in range(N_PARTITIONS)))
    heart = Heart.of(data, bundle, settings.topic_prefix)
    heart.apply(prelude, DAY, lambda checkpoint: None)
    state = topic_for("state", data.workload, settings).name
    for partition, records in heart.state_records().items():
        publish(settings, ((state, partition, key, value) for key, value in records))
    for version, day in (("one", 0), ("two", DAY + 1)):
        _release(settings, codec, data, _busy(settings, data, bundle, version), version, day)


def _busy(settings: Settings, data: Dataset, bundle: Bundle, version: str) -> Bundle:
    limits = json.loads(bundle.files["threshold.json"])
    limits |= {kind: limits[kind] * BUSY for kind in ("event", "urgent")}
    files = {name: content for name, content in bundle.files.items() if name != "manifest.json"}
    files["threshold.json"] = json.dumps(limits).encode()
    return write_bundle(
        settings.models_dir, files, workload=data.workload.name, version=version, workload_hash=data.workload.hash,
        data_window={"note": "benchmark"}, architecture=bundle.manifest.architecture,
    )  # fmt: skip


def _release(settings: Settings, codec: Codec, data: Dataset, bundle: Bundle, version: str, day: int) -> None:
    record = release_record(bundle) | {
        "event_id": f"live-{version}", "version": version, "path": f"{data.workload.name}/{version}",
        "activate_day": day,
    }  # fmt: skip
    topic = topic_for("model-releases", data.workload, settings).name
    publish(settings, [(topic, 0, version.encode(), codec.encode("model_release", record))])


@contextmanager
def worker(
    settings: Settings, folder: Path, more: Sequence[str] = (), kills: bool = False
) -> Iterator[Callable[[], dict[str, Any]]]:
    """Our worker; yields a look at its status.

    Parameters
    ----------
    more
        Options of its command.
    kills
        Whether it is killed in the end instead of being told to stop.
    """
    status, log = folder / "status.json", folder / "worker.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "driftline", "worker", "--checkpoint", str(COMMIT_S), "--status", str(status),
             *more],
            env=_variables(settings) | {"DRIFTLINE_DELIVERY": "exactly-once"}, cwd=ROOT, stdout=out, stderr=out,
        )  # fmt: skip

    def look() -> dict[str, Any]:
        if process.poll() is not None:
            raise RuntimeError(f"the worker ended: {log.read_text()[-2000:]}")
        found: dict[str, Any] = json.loads(status.read_text()) if status.exists() else {}
        return found | resident(process.pid)

    try:
        deadline = time.monotonic() + 180
        while len(look().get("partitions", [])) < N_PARTITIONS:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the worker did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield look
    finally:
        process.send_signal(signal.SIGKILL if kills else signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def hand_written(settings: Settings) -> Iterator[None]:
    """The loop to compare with."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.latency_loop", str(COMMIT_S)], env=_variables(settings), cwd=ROOT,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _variables(settings: Settings) -> dict[str, str]:
    return environment(settings.home) | {
        "DRIFTLINE_BOOTSTRAP": settings.bootstrap,
        "DRIFTLINE_HOME": str(settings.home),
        "DRIFTLINE_TOPIC_PREFIX": settings.topic_prefix,
    }


def resident(pid: int) -> Figures:
    """MiB that a process has in memory, and those that are its own.

    The system takes pages of mapped files away and reads them again as it likes.
    """
    _, pages, of_files, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
    page_mb = os.sysconf("SC_PAGE_SIZE") / 2**20
    return {"rss_mb": pages * page_mb, "own_mb": (pages - of_files) * page_mb}


def watched(settings: Settings, data: Dataset, events_per_s: int, seconds: float) -> tuple[LiveFeed, list[Any]]:
    """Let a feed run beside a subscriber: a warm-up, then ``seconds`` with midnight in their middle."""
    feed = LiveFeed(settings, data, events_per_s, WARM_UP_S + seconds, WARM_UP_S + seconds / 2)
    watch = AlertWatch(settings)
    feed.warm()
    thread = threading.Thread(target=feed.run)
    thread.start()
    thread.join()
    time.sleep(2.0)  # for the last alerts: what is not readable by then is missing from the figures
    return feed, watch.stop(feed.offset_ms)


def figures(seen: list[Any], seconds: float) -> Figures:
    """Median and tail of alerts that events opened or closed, all and around midnight."""
    first = MIDNIGHT - seconds * 500
    live = [(as_of, late) for as_of, (late, kind, _) in seen if kind != "tick" and as_of >= first]
    ticks = [late for _, (late, kind, _) in seen if kind == "tick"]
    around = [late for as_of, late in live if -1000 < as_of - MIDNIGHT < 4000]
    calm = [late for as_of, late in live if not -1000 < as_of - MIDNIGHT < 4000]
    found = _spread("", [late for _, late in live]) | _spread("midnight_", around) | _spread("calm_", calm)
    return found | {"tick_alerts": len(ticks), "last_tick_alert_s": max(ticks, default=0.0)}


def _hand_written(settings: Settings, data: Dataset, events_per_s: int) -> Figures:
    """Figures of the loop to compare with."""
    create_topics(settings, data.workload)
    with hand_written(settings):
        feed, seen = watched(settings, data, events_per_s, HAND_S)
    return figures(seen, HAND_S) | {"feed_late_ms": feed.latest_slice_s * 1000}


def _spread(name: str, late: list[float]) -> Figures:
    if not late:
        return {f"{name}n": 0}
    p50, p99 = np.percentile(late, [50, 99])
    return {f"{name}n": len(late), f"{name}p50_ms": p50 * 1000, f"{name}p99_ms": p99 * 1000}


def measure(events_per_s: int, n_customers: int, seconds: float) -> dict[str, Any]:
    """Both engines, one after the other, on the same broker."""
    data = create_dataset("uniform", max(100_000, n_customers), n_customers)
    with tempfile.TemporaryDirectory(prefix="driftline-latency-") as name, KafkaEngine() as engine:
        home = Path(name)
        base = Settings(bootstrap=engine.bootstrap, home=home, partitions=N_PARTITIONS, topic_prefix="ours.")
        set_live_stage(base, data)
        theirs = _hand_written(replace(base, topic_prefix="hand."), data, events_per_s)
        with worker(base, home) as look:
            feed, seen = watched(base, data, events_per_s, seconds)
            status = look()
        ours = figures(seen, seconds) | {
            "feed_late_ms": feed.latest_slice_s * 1000, "sent": feed.n_sent, "rss_mb": status["rss_mb"],
            "cpu_share": status["cpu_s"] / status["up_s"], "in": status["in"], "model": status["model_version"],
            "checkpoints_per_s": status["checkpoints"] / status["up_s"], "stages_ms": status["stages_ms"],
        }  # fmt: skip
    ratio = {part: ours[part] / theirs[part] for part in ("p50_ms", "p99_ms") if part in ours and part in theirs}
    return {"ours": ours, "hand_written": theirs, "ratio": ratio}


@click.command()
@click.option("--events", type=click.IntRange(100), default=EVENTS_PER_S, show_default=True, help="A second.")
@click.option("--customers", type=click.IntRange(1000), default=N_CUSTOMERS, show_default=True)
@click.option("--seconds", type=click.FloatRange(25), default=60.0, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures there too.")
def main(events: int, customers: int, seconds: float, json_file: Path | None) -> None:
    """Measure how late alerts are."""
    machine = describe()
    found = measure(events, customers, seconds)
    for engine in ("ours", "hand_written"):
        row = ", ".join(f"{k} {v:,.1f}" if isinstance(v, float) else f"{k} {v}" for k, v in found[engine].items())
        print(f"{engine}: {row}")
    print("ours is " + ", ".join(f"{value:.2f} x at {name}" for name, value in found["ratio"].items()))
    if json_file is not None:
        json_file.write_text(json.dumps({"machine": machine} | found, indent=1) + "\n")


if __name__ == "__main__":
    main()
