"""One node of Apache Kafka, broker and controller in one: its settings, its folder and its process."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from driftline.errors import KafkaEngineError
from driftline.kafka_jars import LOG_SETTINGS
from driftline.loopback import HOST, tied_to_parent

_STOP_WITHIN_S: Final = 20.0
_FORMAT_WITHIN_S: Final = 60.0
_HEAP: Final = ("-Xms512m", "-Xmx512m")
_SHORT_LIVED: Final = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

_SETTINGS: Final = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",  # 3 s for every join otherwise
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "log.retention.check.interval.ms": "1000",
    "log.initial.task.delay.ms": "1000",
    "log.segment.delete.delay.ms": "1000",
    "log.cleaner.dedupe.buffer.size": str(16 << 20),  # 128 MiB of the heap otherwise
    "broker.heartbeat.interval.ms": "1000",
    "broker.session.timeout.ms": "6000",
}


@dataclass
class KafkaNode:
    """One Java process, and the folder that outlives it.

    Parameters
    ----------
    number
        1 for the first.
    port, controller_port
        On loopback.
    folder
        Its own; holds settings, output and log.
    """

    number: int
    port: int
    controller_port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def cluster_id(self) -> str | None:
        """Id of the cluster whose data the folder holds, None when it holds none."""
        written = self._log_folder / "meta.properties"
        if not written.is_file():
            return None
        lines = dict(line.split("=", 1) for line in written.read_text().splitlines() if "=" in line)
        return lines.get("cluster.id")

    def write_settings(self, nodes: Sequence[KafkaNode]) -> None:
        """Write the settings of this node as one of `nodes`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{name}={value}\n" for name, value in (_SETTINGS | self._place(nodes) | _replicas(nodes)).items()]
        self._settings_file.write_text("".join(lines))

    def start_format(self, java: str, jars: Path, cluster_id: str) -> subprocess.Popen[str]:
        """Begin to make the folder one of the cluster; ends by itself."""
        arguments = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._settings_file)]
        return subprocess.Popen(
            [*_java_command(java, jars, _SHORT_LIVED), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is the parent's business
        )

    def end_format(self, formatting: subprocess.Popen[str]) -> None:
        """Wait for the end of `start_format`."""
        try:
            said, _ = formatting.communicate(timeout=_FORMAT_WITHIN_S)
        except BaseException:
            formatting.kill()
            formatting.communicate()
            raise
        if formatting.returncode:
            raise KafkaEngineError(self.bootstrap, f"{self.folder} cannot be formatted: {_last(said)}")

    def start(self, java: str, jars: Path) -> None:
        """Start the process; it takes some seconds until it answers."""
        with self._output_file.open("wb") as output:
            self.process = subprocess.Popen(
                tied_to_parent([*_java_command(java, jars, _HEAP), "kafka.Kafka", str(self._settings_file)]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C reaches the parent alone, which stops the nodes last
            )

    def terminate(self) -> None:
        """Ask it to end; does not wait."""
        if self.process is not None:
            self.process.terminate()

    def wait(self, within_s: float = _STOP_WITHIN_S) -> None:
        """Wait for its end, and force it when it takes too long."""
        process, self.process = self.process, None
        if process is not None:
            try:
                process.wait(within_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill(self) -> None:
        """End it as a power failure would: SIGKILL."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.wait()

    def last_words(self) -> str:
        """The last warning or error that it wrote."""
        return _last(self._output_file.read_text(errors="replace")) if self._output_file.is_file() else "none"

    @property
    def _settings_file(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _output_file(self) -> Path:
        return self.folder / "output.log"

    @property
    def _log_folder(self) -> Path:
        return self.folder / "log"

    def _place(self, nodes: Sequence[KafkaNode]) -> dict[str, str]:
        """Who it is, where it listens, and who the others are."""
        return {
            "node.id": str(self.number),
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": ",".join(f"{node.number}@{HOST}:{node.controller_port}" for node in nodes),
            "log.dirs": str(self._log_folder),
        }


def new_cluster_id() -> str:
    """22 characters, none of which makes it look like an option."""
    raw = bytearray(uuid.uuid4().bytes)
    raw[0] &= 0x3F  # the first character is a letter
    return urlsafe_b64encode(bytes(raw)).decode().rstrip("=")


def _replicas(nodes: Sequence[KafkaNode]) -> dict[str, str]:
    n, n_in_sync = str(len(nodes)), str(max(1, len(nodes) - 1))
    return {
        # All nodes are stopped at once: the last would wait for a quorum that is gone before it closes its log.
        "controlled.shutdown.enable": str(len(nodes) == 1).lower(),
        "default.replication.factor": n,
        "min.insync.replicas": n_in_sync,
        "offsets.topic.replication.factor": n,
        "transaction.state.log.replication.factor": n,
        "transaction.state.log.min.isr": n_in_sync,
        "share.coordinator.state.topic.replication.factor": n,
        "share.coordinator.state.topic.min.isr": n_in_sync,
    }


def _java_command(java: str, jars: Path, options: Sequence[str]) -> list[str]:
    return [java, *options, f"-Dlog4j2.configurationFile={LOG_SETTINGS}", "-cp", f"{jars}{os.sep}*"]


def _last(said: str) -> str:
    """The last error, else the last line; what a stack trace adds is left out."""
    lines = [line.strip() for line in said.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("at ", "Caused by", "..."))]
    errors = [line for line in lines if " ERROR " in line or " FATAL " in line]
    found = (errors or lines or ["none"])[-1]
    return found[:400]
