"""What every broker of this machine needs: a free port, a look at who listens and answers, an end with its parent."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

HOST: Final = "127.0.0.1"

# Below the ports that Linux and macOS hand to clients: a client that tries to reach a node that is down must not be
# given, as its own, the port that the node needs when it comes back.
_FIRST_PORT: Final = 21_000
_N_PORTS: Final = 10_000

# Runs in the child before it becomes the broker: ask Linux to end it when its parent ends, however that happens.
# A program of its own rather than a preexec_fn, which is unsafe next to librdkafka's threads.
_TIED_TO_PARENT: Final = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class Cluster(NamedTuple):
    """Id, where the broker has one, and the numbers of the nodes that are up."""

    cluster_id: str | None
    nodes: frozenset[int]


def tied_to_parent(command: Sequence[str]) -> list[str]:
    """The command line of a program that ends when the thread that starts it ends (on Linux)."""
    return [sys.executable, "-I", "-S", "-c", _TIED_TO_PARENT, str(os.getpid()), *command]


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def lasting_ports(n: int, first: int | None = None) -> list[int]:
    """Free ports that no client is given by chance, also while their owner is down for a moment.

    Parameters
    ----------
    n
        How many.
    first
        The port to begin the list with, free or not.
    """
    found = [] if first is None else [first]
    begin = os.getpid() * 17
    for i in range(_N_PORTS):
        port = _FIRST_PORT + (begin + i) % _N_PORTS
        if len(found) == n:
            return found
        if port != first and why_taken(port) is None:
            found.append(port)
    raise OSError(f"fewer than {n} free ports from {_FIRST_PORT} to {_FIRST_PORT + _N_PORTS - 1}")


def why_taken(port: int) -> str | None:
    """Why nobody can listen on this port, None when one can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def cluster_at(bootstrap: str) -> Cluster | None:
    """The cluster as a broker describes it, None when nobody answers."""
    found = _metadata(bootstrap)
    return None if found is None else Cluster(found.cluster_id, frozenset(found.brokers))


def leader_at(bootstrap: str, topic: str, partition: int) -> int | None:
    """Number of the node that leads a partition, as a broker knows; None while there is none."""
    found = _metadata(bootstrap, topic)
    described = None if found is None else found.topics[topic].partitions.get(partition)
    return None if described is None or described.leader < 0 else int(described.leader)


def _metadata(bootstrap: str, topic: str | None = None) -> Any:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        return admin.list_topics(topic, timeout=2.0)
    except KafkaException:
        return None
