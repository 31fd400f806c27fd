"""librdkafka's mock cluster in a process of its own: a Kafka that fails on demand.

Broker `SOURCES` leads what a worker reads, `OUTPUTS` what it writes, so that a fault of one says nothing to the feed.
Limits: about 5 MiB of each partition are kept, no topic administration, transactions have no effect.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import confluent_kafka

from driftline.loopback import tied_to_parent
from schemas.settings import Settings
from schemas.topics import source_topics, topics_for
from schemas.workload import Workload

SOURCES: Final = 1
OUTPUTS: Final = 2
REQUESTS: Final = {"produce": 0, "fetch": 1, "commit": 8, "coordinator": 10, "join": 11, "heartbeat": 12, "sync": 14}
_ROOT: Final = Path(__file__).resolve().parent.parent.parent


class MockCluster:
    """Two brokers that run as long as this object is entered."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            tied_to_parent([sys.executable, "-m", "tests.broker.mock_cluster"]),
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(_ROOT)},
        )
        self.bootstrap: str = self._ask("bootstrap")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=10)

    def create_topics(self, settings: Settings, workload: Workload) -> None:
        """What ``driftline topics create`` would make, led as this module says."""
        read = source_topics(workload, settings)
        for topic in topics_for(workload, settings):
            leader = SOURCES if topic.name in read else OUTPUTS
            self._ask("create", topic.name, topic.partitions, leader)

    def lead_group(self, group: str, broker: int) -> None:
        """Let a broker coordinate a consumer group."""
        self._ask("coordinate", group, broker)

    def fail(self, broker: int, request: str, codes: Iterable[int], delay_ms: int = 0) -> None:
        """Answer the next requests of a kind with these errors, each after a delay; -195 hangs up."""
        self._ask("fail", broker, REQUESTS[request], list(codes), delay_ms)

    def n_left(self, broker: int, request: str) -> int:
        """How many of these errors wait for their request."""
        return int(self._ask("left", broker, REQUESTS[request]))

    def delay(self, round_trip_ms: int) -> None:
        """Let both brokers answer that late."""
        self._ask("delay", round_trip_ms)

    def go_down(self, broker: int = -1) -> None:
        """Hang up, and take no connections; -1 is both."""
        self._ask("down", broker)

    def come_up(self, broker: int = -1) -> None:
        """Take connections again."""
        self._ask("up", broker)

    def _ask(self, *question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the mock cluster ended with {self._process.wait()} at {question}"
        answer = json.loads(line)
        assert answer["error"] == 0, f"{question}: error {answer['error']}"
        return answer["value"]


# ---- in the process of its own --------------------------------------------------------------------------


class _Library:
    """The part of librdkafka's C interface that is needed."""

    def __init__(self) -> None:
        folder = Path(confluent_kafka.__file__).parent
        found = [*folder.parent.glob("confluent_kafka.libs/librdkafka*.so*"), *folder.glob(".dylibs/librdkafka*")]
        assert found, f"no librdkafka beside {folder}"
        self.c = c = ctypes.CDLL(str(found[0]))
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(c, name).restype = ctypes.c_void_p
        c.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        error = ctypes.create_string_buffer(512)
        client = c.rd_kafka_new(0, ctypes.c_void_p(c.rd_kafka_conf_new()), error, ctypes.c_size_t(512))
        assert client, error.value
        self.client = ctypes.c_void_p(client)
        self.cluster = ctypes.c_void_p(c.rd_kafka_mock_cluster_new(self.client, 2))

    def bootstrap(self) -> str:
        return str(self.c.rd_kafka_mock_cluster_bootstraps(self.cluster).decode())

    def create(self, name: str, n_partitions: int, leader: int) -> int:
        error: int = self.c.rd_kafka_mock_topic_create(self.cluster, name.encode(), n_partitions, 1)
        for partition in range(n_partitions):
            error = error or self.c.rd_kafka_mock_partition_set_leader(self.cluster, name.encode(), partition, leader)
        return error

    def coordinate(self, group: str, broker: int) -> int:
        return int(self.c.rd_kafka_mock_coordinator_set(self.cluster, b"group", group.encode(), broker))

    def fail(self, broker: int, request: int, codes: list[int], delay_ms: int) -> int:
        push, error = self.c.rd_kafka_mock_broker_push_request_error_rtts, 0
        for code in codes:
            one = ctypes.c_size_t(1)
            error = error or push(self.cluster, broker, ctypes.c_int16(request), one, ctypes.c_int(code), delay_ms)
        return error

    def left(self, broker: int, request: int) -> tuple[int, int]:
        n = ctypes.c_size_t()
        error = self.c.rd_kafka_mock_broker_error_stack_cnt(
            self.cluster, broker, ctypes.c_int16(request), ctypes.byref(n)
        )
        return error, n.value


def _serve() -> None:
    library = _Library()
    c, cluster = library.c, library.cluster
    ways = {
        "create": library.create,
        "coordinate": library.coordinate,
        "fail": library.fail,
        "delay": lambda ms: c.rd_kafka_mock_broker_set_rtt(cluster, -1, ms),
        "down": lambda broker: c.rd_kafka_mock_broker_set_down(cluster, broker),
        "up": lambda broker: c.rd_kafka_mock_broker_set_up(cluster, broker),
    }
    for line in sys.stdin:
        name, *rest = json.loads(line)
        error, value = 0, None
        if name == "bootstrap":
            value = library.bootstrap()
        elif name == "left":
            error, value = library.left(*rest)
        else:
            error = int(ways[name](*rest))
        sys.stdout.write(json.dumps({"error": error, "value": value}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
