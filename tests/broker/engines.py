"""The brokers that the same tests run on, and what each can prove."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from driftline.broker import EmbeddedBroker
from driftline.kafka_engine import KafkaEngine
from driftline.kafka_jars import missing

# Read when the tests are collected: while one runs, it sees none of the shell's settings.
MUST_HAVE_KAFKA = os.environ.get("DRIFTLINE_TEST_REQUIRE_KAFKA") == "1"
PROVE = os.environ.get("DRIFTLINE_PROVE") == "1"
ENGINES = ("embedded", "kafka")


@dataclass(frozen=True)
class Engine:
    """A running broker.

    Parameters
    ----------
    name
        One of `ENGINES`.
    bootstrap
        Its address.
    has_transactions
        Aborted records and those of a fenced producer are invisible to ``read_committed``.
    has_retention
        Retention and compaction are enforced.
    exact_end_offset
        The end offset that it answers is that of the log.
    has_admin
        Partitions can be added, records deleted, groups described.
    n_disturbances
        How often a test disturbs a worker on it.
    """

    name: str
    bootstrap: str
    has_transactions: bool
    has_retention: bool
    exact_end_offset: bool
    has_admin: bool
    n_disturbances: int


@contextmanager
def running(name: str) -> Iterator[Engine]:
    """Start an engine; skips the test when this machine cannot, and says what is not proven."""
    if name == "embedded":
        with EmbeddedBroker() as embedded:
            yield Engine(name, embedded.bootstrap, False, False, False, False, n_disturbances=10 if PROVE else 5)
        return
    if lacking := missing():
        unproven = f"needs {' and '.join(lacking)}; NOT PROVEN on Apache Kafka: {', '.join(UNPROVEN)}"
        pytest.fail(unproven) if MUST_HAVE_KAFKA else pytest.skip(unproven)
    with KafkaEngine() as kafka:
        yield Engine(name, kafka.bootstrap, True, True, True, True, n_disturbances=10 if PROVE else 2)


UNPROVEN = (
    "that nothing is lost or shown twice over kills and restarts",
    "transactions",
    "true end offsets",
    "retention and compaction",
)
