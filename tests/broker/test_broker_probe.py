"""A worker is told the truth about transactions, and nothing when there is nothing to go by."""

from __future__ import annotations

import pytest

from schemas.errors import BrokerError
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.topics import topic_for
from schemas.workload import load_workload
from stream_app import broker_probe
from tests.broker.engines import Engine


@pytest.fixture
def topic(settings: Settings) -> str:
    workload = load_workload(settings.workload)
    create_topics(settings, workload)
    return topic_for("probe", workload, settings).name


def test_the_answer_is_what_the_broker_does(engine: Engine, settings: Settings, topic: str) -> None:
    assert [broker_probe.has_transactions(settings, topic) for _ in range(2)] == [engine.has_transactions] * 2


def test_no_answer_is_no_no(engine: Engine, settings: Settings, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that is not there stands for all that keeps a record from being written or read."""
    if not engine.has_admin:
        pytest.skip("this broker makes a topic when one writes to it")
    monkeypatch.setattr(broker_probe, "DEADLINE_S", 3.0)
    with pytest.raises(BrokerError, match="cannot tell whether it has transactions"):
        broker_probe.has_transactions(settings, topic + "-missing")
