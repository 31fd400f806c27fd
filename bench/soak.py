"""``python -m bench.soak``: minutes at half speed on Apache Kafka; is it as fresh at the end as at the beginning?"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.dataset import DAY, DAY_MS, N_PARTITIONS, Dataset, create_dataset
from bench.latency import set_live_stage, worker
from bench.live import AlertWatch, LiveFeed
from bench.machine import describe
from bench.stage import publish
from driftline.kafka_engine import KafkaEngine
from schemas.batch_codec import BatchEncoder, keys_of
from schemas.partition import partitions_of
from schemas.settings import Settings
from stream_app.duplicates import WINDOW

SETTLE_S = 120.0
MAX_SLOPE_MB_H = 1.0
WARM_UP_SHARE = 0.4  # of the time: caches, rings and heaps fill
FILL = WINDOW + (WINDOW >> 3)  # of each topic-partition; customers spread unevenly
BATCH = 200_000
HOUR_MS = 3_600_000
MIDNIGHT_SHARE = 0.25  # of the time: its ticks and the swap of models are part of the warm-up
# seconds since the start, MiB resident, those not of mapped files, p99 of the stages of the newest checkpoints (ms)
Look = tuple[float, float, float, float]


def measure(minutes: float, events_per_s: int, n_customers: int) -> dict[str, Any]:
    """Run a worker for a while."""
    seconds, data = minutes * 60, create_dataset("uniform", max(100_000, n_customers), n_customers)
    with tempfile.TemporaryDirectory(prefix="driftline-soak-") as name, KafkaEngine() as engine:
        home = Path(name)
        settings = Settings(bootstrap=engine.bootstrap, home=home, partitions=N_PARTITIONS, topic_prefix="soak.")
        set_live_stage(settings, data)
        n_before = fill_windows(settings, data)
        with worker(settings, home) as look:
            while look()["in"] < n_before:
                time.sleep(0.5)
            feed, looks, seen, lag_s = _run(settings, data, events_per_s, seconds, look)
            status = look()
    return _figures(looks, seen, feed, seconds) | {
        "events": feed.n_sent, "lag_s": lag_s, "adds_up": status["adds_up"],
        "cpu_share": status["cpu_s"] / status["up_s"],
    }  # fmt: skip


def fill_windows(settings: Settings, data: Dataset) -> int:
    """So many events of every topic with a window of duplicates that it is full: else it would fill for hours.

    Returns how many events the topics hold then.
    """
    known = np.full(BATCH, DAY * DAY_MS + HOUR_MS, np.int64)
    encoder, n = BatchEncoder(data.workload), sum(map(len, data.prelude))
    for topic, day in zip(data.workload.topics, data.day, strict=True):
        if not topic.deduplicate:
            continue
        part = day.take(np.flatnonzero(day.kind == np.bincount(day.kind).argmax()))  # one kind: nobody cancels
        part = part.take(np.arange(BATCH) % len(part))
        part = replace(part, event_time_ms=known, known_time_ms=known)
        keys, partitions = keys_of(part), partitions_of(part.customer_id, N_PARTITIONS)
        for i in range(-(-FILL * N_PARTITIONS // BATCH)):
            ids = np.array([f"{topic.name}-fill-{i}-{j}" for j in range(BATCH)], object)
            values = encoder.encode(replace(part, event_id=ids))
            name = settings.topic_prefix + topic.name
            publish(settings, zip([name] * BATCH, partitions.tolist(), keys, values, strict=True))
            n += BATCH
    return n


def _run(settings: Settings, data: Dataset, events_per_s: int, seconds: float, look: Any) -> Any:
    feed, watch = LiveFeed(settings, data, events_per_s, seconds, seconds * MIDNIGHT_SHARE), AlertWatch(settings)
    feed.warm()
    before = look()["in"]
    thread, looks, began = threading.Thread(target=feed.run, daemon=True), list[Look](), time.monotonic()
    thread.start()
    while thread.is_alive():
        status = look()
        stages_ms = sum(p99 for _, p99 in status["stages_ms"].values())
        looks.append((time.monotonic() - began, status["rss_mb"], status["own_mb"], stages_ms))
        thread.join(1.0)
    ended = time.monotonic()
    while look()["in"] - before < feed.n_sent and time.monotonic() - ended < SETTLE_S:
        time.sleep(0.1)
    lag_s = time.monotonic() - ended if look()["in"] - before >= feed.n_sent else float("inf")
    return feed, looks, watch.stop(feed.offset_ms), lag_s


def _figures(looks: list[Look], seen: list[Any], feed: LiveFeed, seconds: float) -> dict[str, Any]:
    late = [delay for _, (delay, kind, _) in seen if kind != "tick"]
    thirds = [[ms for at, _, _, ms in looks if i <= 3 * at / seconds < i + 1] for i in range(3)]
    warm = np.array([look[:3] for look in looks if look[0] > seconds * WARM_UP_SHARE])
    rss_slope, own_slope = (np.polyfit(warm[:, 0], warm[:, 1:], 1)[0] * 3600).tolist()
    half = len(warm) // 2
    return {
        "minutes": seconds / 60,
        "rss_mb": float(warm[-1, 1]),
        "rss_mb_by_minute": [round(mb) for _, mb, _, _ in looks[::60]],
        "rss_slope_mb_per_h": rss_slope,
        "own_mb": float(warm[-1, 2]),
        "own_slope_mb_per_h": own_slope,
        "own_step_mb": float(np.median(warm[half:, 2]) - np.median(warm[:half, 2])),
        "stages_p99_ms_of_thirds": [float(np.median(part)) if part else None for part in thirds],
        "n_alerts": len(late),
        "alerts_p99_ms": float(np.percentile(late, 99)) * 1000 if late else None,
        "feed_late_ms": feed.latest_slice_s * 1000,
    }


def verdict(found: dict[str, Any]) -> bool:
    """No lag left, memory of its own level, latency level."""
    first, _, last = found["stages_p99_ms_of_thirds"]
    is_flat = first is not None and last is not None and last <= 1.5 * first
    return bool(found["lag_s"] < 5 and found["own_slope_mb_per_h"] < MAX_SLOPE_MB_H and is_flat and found["adds_up"])


@click.command()
@click.option("--minutes", type=click.FloatRange(0.5), default=10.0, show_default=True)
@click.option("--events", type=click.IntRange(100), default=30_000, show_default=True, help="A second: half speed.")
@click.option("--customers", type=click.IntRange(1000), default=100_000, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures there too.")
def main(minutes: float, events: int, customers: int, json_file: Path | None) -> None:
    """Run a worker for minutes and look at lag, memory and latency."""
    found = measure(minutes, events, customers)
    for name, value in found.items():
        print(f"{name:<22}{value}")
    print(f"steady: {'yes' if verdict(found) else 'NO'}")
    if json_file is not None:
        json_file.write_text(json.dumps({"machine": describe(), "steady": verdict(found)} | found, indent=1) + "\n")


if __name__ == "__main__":
    main()
