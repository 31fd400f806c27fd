from __future__ import annotations

import pytest

from schemas.errors import BrokerError, TopicError
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import TopicState, describe_topics
from schemas.topics import source_topics, topic_for, topics_for
from schemas.workload import load_workload

W = load_workload("subscription_churn")
SETTINGS = Settings(partitions=6, replication=3, topic_prefix="t1.")


def test_every_topic_carries_the_prefix_and_a_record_of_the_registry() -> None:
    registry = FileRegistry.for_workload(W)
    topics = topics_for(W, SETTINGS)
    assert len({topic.name for topic in topics}) == len(topics)
    for topic in topics:
        assert topic.name.startswith("t1.")
        assert topic.replication == 3
        assert topic.schema is None or registry.named(topic.schema)


def test_policies_are_as_declared() -> None:
    by_role = {topic.role: topic for topic in topics_for(W, SETTINGS)}
    single = {role for role, topic in by_role.items() if topic.partitions == 1}
    compact = {role for role, topic in by_role.items() if topic.cleanup == "compact"}
    assert single == {"drift", "retrain-signals", "model-releases", "probe"}
    assert compact == {"latest-scores", "retrain-signals", "model-releases", "state"}
    assert by_role["usage"].config() == {"cleanup.policy": "delete", "retention.ms": "-1", "min.insync.replicas": "2"}
    assert by_role["dead-letters"].config()["retention.ms"] == str(30 * 86_400_000)
    assert by_role["state"].name == f"t1.state-{W.hash[:8]}-6"


def test_a_worker_reads_the_events_in_file_order_and_the_clock() -> None:
    names = ("usage", "billing", "support", "survey", "profile", "clock")
    assert source_topics(W, SETTINGS) == tuple(f"t1.{name}" for name in names)


def test_an_unknown_role_says_what_there_is() -> None:
    with pytest.raises(TopicError, match="latest-scores"):
        topic_for("scorse", W, SETTINGS)


def test_a_state_says_what_differs() -> None:
    topic = topic_for("usage", W, SETTINGS)
    assert [TopicState(topic, n).verdict for n in (None, 6, 4)] == ["missing", "ok", "has 4 partitions, declared 6"]


def test_no_broker_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.topic_admin._TIMEOUT_S", 0.3)
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:9") as caught:
        describe_topics(Settings(bootstrap="127.0.0.1:9"), W)
    assert caught.value.exit_code == 3
