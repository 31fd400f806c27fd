"""Apache Kafka on this machine: it starts, keeps its promises, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from driftline import kafka_jars
from driftline.errors import KafkaEngineError
from driftline.kafka_engine import KafkaEngine
from driftline.loopback import cluster_at, is_listening, lasting_ports
from tests.broker.engines import MUST_HAVE_KAFKA, running

LACKING = kafka_jars.missing()
needs_java = pytest.mark.skipif(
    bool(LACKING) and not MUST_HAVE_KAFKA,
    reason=f"needs {' and '.join(LACKING)}; NOT PROVEN: that Apache Kafka starts here and stops cleanly",
)


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """Address of one node for this module."""
    with running("kafka") as started:
        yield started.bootstrap


def wait_until(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"did not come true within {within_s} s"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def create(bootstrap: str, topic: str, replicas: int = 1, **config: str) -> str:
    new = NewTopic(topic, 1, replicas, config={name.replace("_", "."): value for name, value in config.items()})
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([new])[topic].result(30)
    return topic


def transactional(bootstrap: str, name: str) -> Producer:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name, "log_level": 0})
    producer.init_transactions(60)
    return producer


def values(bootstrap: str, topic: str, isolation: str = "read_committed") -> list[bytes | None]:
    """Everything in partition 0."""
    config = {"bootstrap.servers": bootstrap, "group.id": "t", "enable.partition.eof": True, "log_level": 0}
    consumer = Consumer(config | {"enable.auto.commit": False, "isolation.level": isolation})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    found = []
    try:
        while (message := consumer.poll(20)) is not None and message.error() is None:
            found.append(message.value())
        assert message is not None
        assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
    finally:
        consumer.close()
    return found


def send(producer: Producer, topic: str, *sent: bytes) -> None:
    for value in sent:
        producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0


# ---- what the embedded broker cannot do ---------------------------------------------------------------


def test_a_committed_transaction_is_seen_and_an_aborted_one_is_not(kafka: str) -> None:
    topic, producer = create(kafka, "half-aborted"), transactional(kafka, "one")
    for number, finish in enumerate((producer.abort_transaction, producer.commit_transaction) * 2):
        producer.begin_transaction()
        send(producer, topic, b"%d" % number)
        finish(30)
    assert values(kafka, topic) == [b"1", b"3"]
    assert values(kafka, topic, "read_uncommitted") == [b"0", b"1", b"2", b"3"]


def test_a_fenced_producer_is_refused_and_its_records_stay_unseen(kafka: str) -> None:
    topic, zombie = create(kafka, "fenced"), transactional(kafka, "two")
    zombie.begin_transaction()
    send(zombie, topic, b"of the zombie")
    heir = transactional(kafka, "two")
    with pytest.raises(Exception, match=r"FENCED|fenced|newer"):
        zombie.commit_transaction(30)
    heir.begin_transaction()
    send(heir, topic, b"of the heir")
    heir.commit_transaction(30)
    assert values(kafka, topic) == [b"of the heir"]


def test_the_end_offset_counts_records_and_markers(kafka: str) -> None:
    topic, producer = create(kafka, "with-markers"), transactional(kafka, "three")
    producer.begin_transaction()
    send(producer, topic, b"a", b"b")
    producer.commit_transaction(30)
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "t"})
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (0, 3)
    consumer.close()


def test_what_is_older_than_the_retention_goes(kafka: str) -> None:
    topic = create(kafka, "short-lived", retention_ms="1000", segment_bytes="1048576", segment_ms="1000")
    consumer, producer = Consumer({"bootstrap.servers": kafka, "group.id": "t"}), Producer({"bootstrap.servers": kafka})
    send(producer, topic, b"old")
    wait_until(lambda: consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[0] == 1)
    consumer.close()


def test_a_topic_that_nobody_made_is_not_there(kafka: str) -> None:
    outcome: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": kafka, "message.timeout.ms": 2000, "log_level": 0})
    producer.produce("misspelt", b"x", on_delivery=lambda error, _: outcome.append(error))
    assert producer.flush(20) == 0
    assert outcome[0] is not None
    assert "misspelt" not in AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics


# ---- its life ------------------------------------------------------------------------------------------


@needs_java
@pytest.mark.slow
def test_data_in_a_folder_outlives_a_stop_and_nothing_else_does(tmp_path: Path) -> None:
    with KafkaEngine(folder=tmp_path / "data") as first:
        pid, port = first.pid, first.port
        assert pid is not None
        send(Producer({"bootstrap.servers": first.bootstrap}), create(first.bootstrap, "kept"), b"still here")
    assert not first.is_running
    assert not is_alive(pid)
    assert not is_listening(port)
    with KafkaEngine(folder=tmp_path / "data") as second:
        assert values(second.bootstrap, "kept") == [b"still here"]
        with pytest.raises(KafkaEngineError, match="is used by another broker"):
            KafkaEngine(folder=tmp_path / "data").start()
        second.check()
    with pytest.raises(KafkaEngineError, match="is of a cluster of 1 node"):
        KafkaEngine(folder=tmp_path / "data", n_nodes=3).start()


@needs_java
@pytest.mark.slow
def test_three_nodes_outlive_the_loss_of_a_leader() -> None:
    with KafkaEngine(n_nodes=3) as three:
        folder, pids = three.folder, three.pids
        topic, producer = create(three.bootstrap, "replicated", 3), transactional(three.bootstrap, "four")
        leader = three.leader_of(topic, 0)
        assert leader is not None
        three.kill(leader)
        three.check()
        producer.begin_transaction()
        send(producer, topic, b"without it")
        producer.commit_transaction(60)
        assert three.leader_of(topic, 0) not in (None, leader)
        three.start_node(leader)
        cluster = cluster_at(three.bootstrap)
        assert cluster is not None
        assert cluster.nodes == {1, 2, 3}
        assert values(three.bootstrap, topic) == [b"without it"]
        pids |= three.pids
    assert not any(map(is_alive, pids.values()))
    assert folder is not None
    assert not folder.exists()


@needs_java
@pytest.mark.slow
def test_a_node_that_dies_is_noticed() -> None:
    with KafkaEngine() as engine:
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        wait_until(lambda: not engine.is_running)
        with pytest.raises(KafkaEngineError, match="node 1 of Apache Kafka ended by itself"):
            engine.check()


@needs_java
def test_a_node_that_cannot_start_says_why(tmp_path: Path) -> None:
    log = tmp_path / "node-1" / "log"
    log.mkdir(parents=True)
    (log / "meta.properties").write_text("version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\nnode.id=7\n")
    engine = KafkaEngine(folder=tmp_path)
    with pytest.raises(KafkaEngineError, match=r"ended by itself: .* Stored node id 7 doesn't match"):
        engine.start()
    assert engine.pids == {}


@needs_java
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stops_cleanly_when_asked(number: signal.Signals, tmp_path: Path) -> None:
    (port,) = lasting_ports(1)
    arguments = ["broker", "--engine", "kafka", "--data", str(tmp_path / "data"), "--port", str(port)]
    process = subprocess.Popen([sys.executable, "-m", "driftline", *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said == f"broker ready on 127.0.0.1:{port} (Apache Kafka, data in {tmp_path / 'data'}; Ctrl-C stops it)\n"
    process.send_signal(number)
    rest, _ = process.communicate(timeout=40)
    assert (process.returncode, rest) == (0, "broker stopped\n")
    assert not is_listening(port)


# ---- what may be missing -------------------------------------------------------------------------------


def test_without_java_and_maven_the_command_names_the_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(kafka_jars, "cache_folder", lambda: tmp_path)
    with pytest.raises(KafkaEngineError) as caught:
        KafkaEngine().start()
    assert str(caught.value).endswith(
        "Apache Kafka needs Java and Maven; on Debian: apt-get install openjdk-17-jre-headless maven"
    )
    said = subprocess.run(
        [sys.executable, "-m", "driftline", "broker", "--engine", "kafka"], capture_output=True, text=True, timeout=60
    )
    assert (said.returncode, said.stdout) == (KafkaEngineError.exit_code, "")
    assert re.fullmatch(
        r"driftline: error: broker .*: Apache Kafka needs Java.*; on Debian: apt-get install .*\n", said.stderr
    )


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_an_old_java_is_named_with_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path, "java", """echo 'openjdk version "1.8.0_402"' >&2""")
    program(tmp_path, "mvn", "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(KafkaEngineError, match=r"needs Java 17 or newer \(found 8\); on Debian: apt-get install open"):
        KafkaEngine().start()


def test_jars_are_fetched_once_and_never_by_two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    target = 'for a in "$@"; do case $a in -DoutputDirectory=*) d=${a#*=};; esac; done'
    program(
        tmp_path / "bin", "mvn", f'echo called >> "{calls}"\n{target}\nmkdir "$d" && touch "$d/kafka_2.13-4.3.0.jar"'
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(kafka_jars, "cache_folder", lambda: tmp_path / "cache")
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(kafka_jars.libraries())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert calls.read_text().splitlines() == ["called"]
    assert len(found) == 4
    assert len(set(found)) == 1
    assert [path.name for path in found[0].iterdir()] == ["kafka_2.13-4.3.0.jar"]


def test_what_maven_complains_of_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path / "bin", "mvn", "echo '[ERROR] Unknown host'\nexit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(kafka_jars, "cache_folder", lambda: tmp_path / "cache")
    with pytest.raises(KafkaEngineError, match=r"Maven cannot fetch the jars: Unknown host$"):
        kafka_jars.libraries()
    assert not kafka_jars.are_fetched()


def test_the_embedded_broker_takes_no_folder() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "driftline", "broker", "--nodes", "3"], capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 2
    assert "--nodes and --data take --engine kafka" in said.stderr
