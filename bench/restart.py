"""``python -m bench.restart``: how fast a state comes back, and how long a killed worker is missing.

On Apache Kafka with transactions, under 5,000 events a second: the worker is killed (SIGKILL) and started again with
the same name, a static member of its group. Memory of each customer is that of a worker with many, less that of one
with few.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from bench.dataset import N_PARTITIONS, Dataset, create_dataset
from bench.heart import schedule_of
from bench.latency import EVENTS_PER_S, set_live_stage, worker
from bench.live import LiveFeed
from bench.machine import describe
from driftline.kafka_engine import KafkaEngine
from schemas.bundle import read_bundle
from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topics import topic_for
from stream_app.partition_task import PartitionTask
from stream_app.plan import Plan
from stream_app.restore import restore
from stream_app.scoring import Scorer
from stream_app.state_topic import read_partition

FEW = 2_000
SECONDS = 45.0
KILLED_AFTER_S = 15.0


def restored_per_s(settings: Settings, data: Dataset) -> float:
    """Customers a second that the partitions' states bring back, all partitions at once, as a worker does it."""
    plan, codec = Plan.from_workload(data.workload), Codec(FileRegistry.for_workload(data.workload))
    schedule = schedule_of(read_bundle(settings.models_dir / data.workload.name / "one"), plan)
    topic = topic_for("state", data.workload, settings).name

    def bring_back(partition: int) -> int:
        task = PartitionTask(plan, codec, partition, N_PARTITIONS, Scorer(plan, codec, schedule, settings.topic_prefix))
        restore(task, read_partition(settings, topic, partition, [0]), topic)
        return task.state.n_customers

    with ThreadPoolExecutor(N_PARTITIONS) as pool:
        began = time.perf_counter()
        n = sum(pool.map(bring_back, range(N_PARTITIONS)))
        return n / (time.perf_counter() - began)


def missing_s(settings: Settings, data: Dataset, folder: Path) -> dict[str, Any]:
    """Seconds from SIGKILL to the first event that the next worker applies, and whether all is there in the end."""
    feed = LiveFeed(settings, data, EVENTS_PER_S, SECONDS, 2 * SECONDS)
    feed.warm()
    thread = threading.Thread(target=feed.run, daemon=True)
    named = ["--instance", "one"]
    with worker(settings, folder, named, kills=True) as look:
        before = look()["in"]
        thread.start()
        time.sleep(KILLED_AFTER_S)
        rss_mb = look()["rss_mb"]
    killed = time.monotonic()
    (folder / "status.json").unlink()
    with worker(settings, folder, named) as look:
        while look().get("first_event_s") is None:
            time.sleep(0.02)
        gone_s = time.monotonic() - killed
        thread.join()
        deadline = time.monotonic() + 60
        while look()["in"] - before < feed.n_sent and time.monotonic() < deadline:
            time.sleep(0.1)
        status = look()
    return {
        "killed_to_first_event_s": gone_s, "adds_up": status["adds_up"], "rss_mb": rss_mb,
        "all_taken": status["in"] - before == feed.n_sent, "row_bytes": status["row_bytes"],
    }  # fmt: skip


def measure(n_customers: int) -> dict[str, Any]:
    """One size of population on a broker of its own."""
    data = create_dataset("uniform", max(100_000, n_customers), n_customers)
    with tempfile.TemporaryDirectory(prefix="driftline-restart-") as name, KafkaEngine() as engine:
        home = Path(name)
        settings = Settings(bootstrap=engine.bootstrap, home=home, partitions=N_PARTITIONS, topic_prefix="restart.")
        set_live_stage(settings, data)
        restored_per_s(settings, data)  # loads the kernels
        rates = sorted(restored_per_s(settings, data) for _ in range(3))
        return {"customers": n_customers, "restored_customers_per_s": rates[1]} | missing_s(settings, data, home)


def compared(found: Sequence[dict[str, Any]]) -> float:
    """Bytes of memory for each customer more."""
    few, many = found
    return float((many["rss_mb"] - few["rss_mb"]) * 2**20 / (many["customers"] - few["customers"]))


@click.command()
@click.option("--customers", type=click.IntRange(10_000), default=100_000, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures there too.")
def main(customers: int, json_file: Path | None) -> None:
    """Measure restore, restart and memory."""
    found = [measure(FEW), measure(customers)]
    for name, value in found[1].items():
        print(f"{name:<26}{value:,.2f}" if isinstance(value, float) else f"{name:<26}{value:,}")
    print(f"{'bytes_per_customer':<26}{compared(found):,.0f}")
    if json_file is not None:
        content = {"machine": describe(), "runs": found, "bytes_per_customer": compared(found)}
        json_file.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
