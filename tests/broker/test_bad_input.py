"""What a worker makes of bad records, and of a world that is not as it should be."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.bundle import REQUIRED_FILES, write_bundle
from schemas.codec import Codec
from schemas.partition import partition_of
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.topics import topic_for
from schemas.workload import Workload, load_workload
from tests.broker.workers import WorkerProcess, read_all, wait_for

DAY = 20_200
NOW = DAY * 86_400_000 + 5_000
FRESH = range(2)  # partitions


@pytest.fixture
def two(settings: Settings) -> Settings:
    return replace(settings, partitions=2)


@pytest.fixture
def workload(two: Settings) -> Workload:
    found = load_workload(two.workload)
    create_topics(two, found)
    return found


@pytest.fixture
def worker(two: Settings, tmp_path: Path) -> Iterator[WorkerProcess]:
    started = WorkerProcess(two, tmp_path)
    yield started
    if started.process is not None and started.process.poll() is None:
        started.end(signal.SIGKILL)


class Sender:
    """Puts records where nobody should."""

    def __init__(self, settings: Settings, workload: Workload) -> None:
        self.settings, self.codec = settings, Codec(FileRegistry.for_workload(workload))
        config = {"message.max.bytes": 8 << 20, "linger.ms": 0}
        self.producer = Producer(settings.kafka_config() | config)
        self.sent: Counter[tuple[str, int]] = Counter()

    def send(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> tuple[str, int, int]:
        """(topic, partition, offset) of the record."""
        name = self.settings.topic_prefix + topic
        refusals: list[object] = []
        self.producer.produce(name, value, key, partition, on_delivery=lambda error, _: refusals.append(error))
        assert self.producer.flush(30) == 0
        assert refusals == [None]
        self.sent[topic, partition] += 1
        return name, partition, self.sent[topic, partition] - 1

    def event(self, topic: str = "usage", **changes: Any) -> bytes:
        record = {"event_id": "e", "customer_id": "C1", "event_time_ms": NOW, "known_time_ms": NOW, "kind": "login"}
        return self.codec.encode(topic, record | changes)

    def good(self, n: int, day: int = DAY) -> None:
        """Events of n customers, where they belong."""
        for i in range(n):
            customer = f"C{i}"
            partition = partition_of(customer.encode(), 2)
            moment = day * 86_400_000 + i
            value = self.event(customer_id=customer, event_id=f"{day}-{i}", event_time_ms=moment, known_time_ms=moment)
            self.send("usage", partition, customer.encode(), value)

    def clock(self, day: int) -> None:
        value = self.codec.encode("clock", {"event_id": f"clock-{day}", "day": day, "time_ms": day * 86_400_000})
        for partition in range(2):
            self.send("clock", partition, b"clock", value)


def one_of(partition: int, prefix: str) -> str:
    """A customer of that partition."""
    return next(f"{prefix}{i}" for i in range(100) if partition_of(f"{prefix}{i}".encode(), 2) == partition)


def bad_records(sender: Sender) -> list[tuple[str, str, int, bytes | None, bytes | None]]:
    """(reason, topic, partition, key, value)."""
    customer, stranger = one_of(0, "C"), one_of(1, "stranger-")
    key = customer.encode()
    good = sender.event(customer_id=customer)
    price = sender.event("billing", customer_id=customer, kind="invoice", amount=12.5)
    nan = price.replace(struct.pack("<d", 12.5), struct.pack("<d", math.nan))
    assert nan != price
    year_2100 = 4_102_444_800_001
    return [
        ("wrong_magic", "usage", 0, key, b"no record at all"),
        ("wrong_magic", "usage", 0, key, b"\1" + good[1:]),
        ("garbage", "usage", 0, key, good[:9]),
        ("unknown_schema", "usage", 0, key, b"\0\0\0\0\x63" + good[5:]),
        ("unknown_schema", "usage", 0, key, sender.event("billing", customer_id=customer, kind="invoice")),
        ("trailing_bytes", "billing", 0, key, price + b"\0\0"),
        ("null_key", "usage", 0, None, good),
        ("null_value", "usage", 0, key, None),
        ("not_finite", "billing", 0, key, nan),
        ("too_old", "usage", 0, key, sender.event(customer_id=customer, event_time_ms=0, known_time_ms=0)),
        ("in_future", "usage", 0, key, sender.event(customer_id=customer, event_time_ms=year_2100, known_time_ms=NOW)),
        ("too_late", "usage", 0, key, sender.event(customer_id=customer, event_time_ms=NOW - 3 * 86_400_000)),
        ("too_large", "usage", 0, key, good + b"x" * 1_000_000),  # as much as a topic takes
        ("key_mismatch", "usage", 0, b"someone else", good),
        ("key_mismatch", "usage", 0, b"k" * 900_000, good),  # its dead letter must not be too large for the topic
        ("misrouted", "usage", 0, stranger.encode(), sender.event(customer_id=stranger)),
    ]


@pytest.mark.slow
def test_bad_records_are_dead_letters_and_the_worker_goes_on(
    two: Settings, workload: Workload, worker: WorkerProcess
) -> None:
    sender = Sender(two, workload)
    worker.start()
    sender.good(40)
    expected = {}
    for why, topic, partition, key, value in bad_records(sender):
        expected[sender.send(topic, partition, key, value)] = (why, value or b"")
        sender.good(4)
    place = sender.send("clock", 0, b"clock", b"no clock")
    expected[place] = ("wrong_magic", b"no clock")
    sender.clock(DAY + 1)
    sender.good(40, DAY + 1)
    n_events = sum(n for (topic, _), n in sender.sent.items() if topic != "clock")

    wait_for(lambda: worker.status().get("in") == n_events, "all events", 120)
    wait_for(lambda: worker.status().get("clock_day") == DAY + 1, "the clock")
    status = worker.status()
    assert status["adds_up"]
    assert status["in"] == status["applied"] + status["duplicate"] + sum(status["refused"].values())
    assert status["refused"] == Counter(why for why, value in expected.values() if value != b"no clock")
    assert status["customers"] == 40
    assert worker.end(signal.SIGTERM) == 0

    found = {}
    for partition in FRESH:
        for _, _, value in read_all(two, two.topic_prefix + "dead-letters", partition):
            letter = sender.codec.decode(value, "dead_letter")
            found[letter["topic"], letter["partition"], letter["offset"]] = letter
            assert letter["partition"] == partition
    assert found.keys() == expected.keys()
    for place, (why, value) in expected.items():
        letter = found[place]
        assert letter["reason"] == why, place
        assert (letter["value"], letter["n_bytes"]) == (value[:4096], len(value))
        assert letter["event_id"] == "/".join(map(str, place))
    assert "murmur2" in next(letter["detail"] for letter in found.values() if letter["reason"] == "misrouted")


# ---- what stops a worker, in one line -------------------------------------------------------------------


def ends_with(settings: Settings, environment: dict[str, str], within_s: float) -> tuple[int, str]:
    """(exit code, the error) of a worker that cannot work; the error is one line, soon."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "driftline", "worker"],
        env=environment | {"DRIFTLINE_PARTITIONS": str(settings.partitions)},
        capture_output=True,
        text=True,
        timeout=within_s + 60,
        check=False,
    )
    assert time.monotonic() - began < within_s
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("driftline: error: ")]
    assert len(errors) == 1, done.stderr
    others = [line for line in done.stderr.splitlines() if not line.startswith("driftline")]
    assert others == [], done.stderr
    return done.returncode, errors[0].removeprefix("driftline: error: ")


@pytest.fixture
def environment(settings_env: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_")}
    return kept | settings_env


def test_no_broker(two: Settings, environment: dict[str, str]) -> None:
    environment["DRIFTLINE_BOOTSTRAP"] = "127.0.0.1:9"
    code, error = ends_with(two, environment, 15)
    assert (code, error) == (3, "broker 127.0.0.1:9: nobody listens there (connection refused)")


def test_a_wrong_workload_file(two: Settings, environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(load_workload("subscription_churn").text.replace('type = "recency"', 'type = "recncy"', 1))
    environment["DRIFTLINE_WORKLOAD"] = str(path)
    code, error = ends_with(two, environment, 15)
    assert code == 2
    assert error.startswith(f"{path}:")
    assert "'recncy'" in error


def test_an_unknown_setting(two: Settings, environment: dict[str, str]) -> None:
    environment["DRIFTLINE_PARTITION"] = "2"
    code, error = ends_with(two, environment, 15)
    assert code == 2
    assert "DRIFTLINE_PARTITION" in error


def test_topics_of_another_size(two: Settings, workload: Workload, environment: dict[str, str]) -> None:
    code, error = ends_with(replace(two, partitions=3), environment, 15)
    assert code == 2
    assert "has 2 partitions, declared 3" in error


def release(settings: Settings, workload: Workload, path: str, bundle_id: str = "0" * 64) -> None:
    codec = Codec(FileRegistry.fixed())
    record = {
        "event_id": "r1", "version": "v0001", "bundle_id": bundle_id, "path": path, "activate_day": 0,
        "status": "release", "signal_id": None, "released_as_of_ms": 0,
    }  # fmt: skip
    producer = Producer(settings.kafka_config())
    name = topic_for("model-releases", workload, settings).name
    producer.produce(name, codec.encode("model_release", record), b"v1", 0)
    assert producer.flush(30) == 0


def written_bundle(settings: Settings, workload: Workload) -> tuple[Path, str]:
    files = dict.fromkeys(REQUIRED_FILES, b"{}")
    path = write_bundle(
        settings.models_dir, files, workload=workload.name, version="v0001", workload_hash=workload.hash, data_window={}
    ).path
    return path, json.loads((path / "manifest.json").read_text())["bundle_id"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", "model v0001: "),
        ("outside", "model v0001: "),
        ("changed", "model v0001: .*model.ubj"),
        ("no model", "model v0001: cannot be loaded"),
    ],
)
def test_a_corrupt_bundle(
    two: Settings, workload: Workload, environment: dict[str, str], damage: str, message: str
) -> None:
    path, bundle_id = written_bundle(two, workload)
    name = f"{workload.name}/v0001"
    if damage == "changed":
        (path / "model.ubj").write_bytes(b"another")
    names = {"missing": f"{workload.name}/v0002", "outside": "../../etc"}
    release(two, workload, names.get(damage, name), bundle_id)
    code, error = ends_with(two, environment, 40)
    assert code == 4
    assert re.match(message, error), error


def test_a_damaged_state(two: Settings, workload: Workload, environment: dict[str, str]) -> None:
    topic = topic_for("state", workload, two).name
    producer = Producer(two.kafka_config())
    for partition in range(2):
        producer.produce(topic, b"neither id nor anything", b"m", partition)
    assert producer.flush(30) == 0
    code, error = ends_with(two, environment, 60)
    assert code == 4
    assert error.startswith(f"topic {topic} partition ")
    assert "cannot be read" in error


def test_a_release_topic_with_garbage(two: Settings, workload: Workload, environment: dict[str, str]) -> None:
    producer = Producer(two.kafka_config())
    producer.produce(topic_for("model-releases", workload, two).name, b"garbage", b"v1", 0)
    assert producer.flush(30) == 0
    code, error = ends_with(two, environment, 40)
    assert code in (3, 4)
    assert "model-releases" in error
