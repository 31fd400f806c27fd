"""Apache Kafka on this machine, without Docker: one node or three as plain Java processes, on loopback.

The same interface as the embedded broker, with what that lacks: transactions, retention, compaction, true end offsets,
replicas, and data that outlives a stop. Java, Maven and the jars are the business of `driftline.kafka_jars`.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from driftline.errors import KafkaEngineError
from driftline.kafka_jars import java, libraries
from driftline.kafka_node import KafkaNode, new_cluster_id
from driftline.loopback import HOST, cluster_at, is_listening, lasting_ports, leader_at, why_taken

N_NODES: Final = (1, 3)


class KafkaEngine:
    """An Apache Kafka cluster that runs as long as this object is started.

    Parameters
    ----------
    port
        Port of the first node on loopback; None takes a free one, as the other nodes do.
    n_nodes
        1, or 3 with three replicas of everything, two of which must be in sync.
    folder
        Where the data is kept over a stop; None is a temporary folder, which goes with the engine.
    ready_within_s
        Seconds until all nodes must answer.

    Notes
    -----
    On Linux the nodes end with the *thread* that started them: start it from one that lasts, such as the main thread.

    Examples
    --------
    >>> with KafkaEngine(n_nodes=3) as engine:  # doctest: +SKIP
    ...     leader = engine.leader_of("scores", 0)
    ...     engine.kill(leader)
    """

    def __init__(
        self,
        port: int | None = None,
        *,
        n_nodes: int = 1,
        folder: str | Path | None = None,
        ready_within_s: float = 60.0,
    ) -> None:
        if n_nodes not in N_NODES:
            raise KafkaEngineError(HOST, f"{n_nodes} nodes are not possible; 1 or 3 are")
        self._n_nodes = n_nodes
        self._asked_port, self._asked_folder = port, None if folder is None else Path(folder).resolve()
        self._ready_within_s = ready_within_s
        self._ports = lasting_ports(2 * n_nodes, port)
        self._nodes: dict[int, KafkaNode] = {}
        self._killed: set[int] = set()
        self._temporary: Path | None = None
        self._lock: IO[str] | None = None
        self._cluster_id = ""
        self._java, self._jars = "", Path()

    @property
    def port(self) -> int:
        """Port of the first node."""
        return self._ports[0]

    @property
    def bootstrap(self) -> str:
        """Addresses for clients, ``host:port`` separated by commas."""
        return ",".join(f"{HOST}:{port}" for port in self._ports[: self._n_nodes])

    @property
    def folder(self) -> Path | None:
        """Where the data is; None for a temporary folder unless started."""
        return self._asked_folder or self._temporary

    @property
    def pid(self) -> int | None:
        """Process id of the first node that was not killed, None unless started."""
        return next(iter(self.pids.values()), None)

    @property
    def pids(self) -> dict[int, int]:
        """Process ids by node."""
        return {number: node.process.pid for number, node in self._nodes.items() if node.process is not None}

    @property
    def is_running(self) -> bool:
        """Whether every node that was not killed runs."""
        return bool(self._nodes) and not self._dead()

    def start(self) -> Self:
        """Start the nodes and wait until all of them answer.

        Raises
        ------
        KafkaEngineError
            When Java or the jars are missing, the port is taken, the folder is another cluster's, or no answer came.
        """
        if self._nodes:
            raise KafkaEngineError(self.bootstrap, "is started already")
        self._java, self._jars = java(), libraries()
        if (why := why_taken(self.port)) is not None:
            raise KafkaEngineError(
                self.bootstrap, f"cannot listen on port {self.port} ({why}); stop what uses it or give another port"
            )
        try:
            folder = self._take_folder()
            self._nodes = self._new_nodes(folder)
            self._format()
            for node in self._nodes.values():
                node.start(self._java, self._jars)
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the nodes, politely first; harmless when they are not running."""
        nodes, self._nodes = self._nodes, {}
        self._killed.clear()
        for node in nodes.values():
            node.terminate()
        for node in nodes.values():
            node.wait()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def kill(self, number: int) -> None:
        """End one node with SIGKILL, as a power failure would."""
        node = self._node(number)
        self._killed.add(number)
        node.kill()

    def start_node(self, number: int) -> None:
        """Start a killed node again and wait until the cluster has all its nodes that were not killed.

        Raises
        ------
        KafkaEngineError
            When it does not come back in time.
        """
        node = self._node(number)
        if node.is_running:
            raise KafkaEngineError(node.bootstrap, "is started already")
        self._killed.discard(number)
        node.start(self._java, self._jars)
        self._wait_until_ready()

    def leader_of(self, topic: str, partition: int) -> int | None:
        """Number of the node that leads a partition; None while there is no leader, or no such partition."""
        up = next((node for node in self._nodes.values() if node.is_running), None)
        return None if up is None else leader_at(up.bootstrap, topic, partition)

    def check(self) -> None:
        """Do nothing while every node that was not killed runs.

        Raises
        ------
        KafkaEngineError
            When one has ended by itself; carries the last line it wrote.
        """
        if not self._nodes:
            raise KafkaEngineError(self.bootstrap, "is not started")
        for node in self._dead():
            raise KafkaEngineError(
                node.bootstrap, f"node {node.number} of Apache Kafka ended by itself: {node.last_words()}"
            )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _node(self, number: int) -> KafkaNode:
        if number not in self._nodes:
            raise KafkaEngineError(self.bootstrap, f"there is no node {number}")
        return self._nodes[number]

    def _dead(self) -> list[KafkaNode]:
        return [node for n, node in self._nodes.items() if n not in self._killed and not node.is_running]

    def _take_folder(self) -> Path:
        """The folder of the data, which nobody else may use until `stop`."""
        if self._asked_folder is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="driftline-kafka-"))
            return self._temporary
        self._asked_folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._asked_folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KafkaEngineError(
                self.bootstrap, f"{self._asked_folder} is used by another broker; stop it or take another folder"
            ) from None
        return self._asked_folder

    def _new_nodes(self, folder: Path) -> dict[int, KafkaNode]:
        names = {f"node-{number}" for number in range(1, self._n_nodes + 1)}
        found = {path.name for path in folder.glob("node-*")}
        if found and found != names:
            raise KafkaEngineError(
                self.bootstrap, f"{folder} is of a cluster of {len(found)} node(s), not {self._n_nodes}; take another"
            )
        ports, n = self._ports, self._n_nodes
        return {i: KafkaNode(i, ports[i - 1], ports[n + i - 1], folder / f"node-{i}") for i in range(1, n + 1)}

    def _format(self) -> None:
        """Give every folder that has none the cluster's id; all at once, as each takes a Java of its own."""
        nodes = list(self._nodes.values())
        known = [found for node in nodes if (found := node.cluster_id()) is not None]
        self._cluster_id = known[0] if known else new_cluster_id()
        for node in nodes:
            node.write_settings(nodes)
        running = [
            (node, node.start_format(self._java, self._jars, self._cluster_id))
            for node in nodes
            if node.cluster_id() is None
        ]
        for node, formatting in running:
            node.end_format(formatting)

    def _wait_until_ready(self) -> None:
        """Wait until every node answers a metadata request and knows all others, and is of this very cluster."""
        deadline = time.monotonic() + self._ready_within_s
        expected = self._nodes.keys() - self._killed
        for number in sorted(expected):
            while not self._knows(self._nodes[number], expected):
                self.check()
                if time.monotonic() > deadline:
                    raise KafkaEngineError(
                        self.bootstrap,
                        f"no answer within {self._ready_within_s:g} s; last words: {self._nodes[number].last_words()}",
                    )
                time.sleep(0.05)

    def _knows(self, node: KafkaNode, expected: set[int]) -> bool:
        if not is_listening(node.port):
            return False
        found = cluster_at(node.bootstrap)
        return found is not None and found.cluster_id == self._cluster_id and expected <= found.nodes
