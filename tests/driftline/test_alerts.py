from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from driftline.alerts import TABLE_HEAD, AlertSubscriber, json_line, table_line
from driftline.cli import cli
from schemas.codec import Codec
from schemas.errors import BrokerError, TopicError
from schemas.partition import partition_of
from schemas.registry import FileRegistry
from schemas.settings import Settings

Publish = Callable[..., None]
NOON_MS = 1_735_732_800_000  # 2025-01-01 12:00 UTC


def alert(customer_id: str = "C1", status: str = "opened", episode: int = 1) -> dict[str, Any]:
    return {
        "event_id": f"{customer_id}/churn_risk/{episode}:{status}",
        "alert_id": f"{customer_id}/churn_risk/{episode}",
        "customer_id": customer_id,
        "rule": "churn_risk",
        "episode": episode,
        "status": status,
        "as_of_ms": NOON_MS,
        "row_kind": "tick",
        "score": 0.75,
        "threshold": 0.5,
        "model_version": "v1",
        "reasons": [
            {"feature": "sessions_7d", "value": 0.0, "contribution": 1.25},
            {"feature": "csat", "value": math.nan, "contribution": -0.5},
        ],
    }


@pytest.fixture
def publish(settings: Settings) -> Publish:
    """Put alerts, or raw bytes, on the test's own topic of alerts."""
    topic = settings.topic_prefix + "alerts"
    admin = AdminClient(settings.kafka_config())
    for created in admin.create_topics([NewTopic(topic, settings.partitions, 1)]).values():
        created.result()
    producer, codec = Producer(settings.kafka_config()), Codec(FileRegistry.fixed())

    def publish(*records: dict[str, Any] | bytes) -> None:
        for record in records:
            key = b"C1" if isinstance(record, bytes) else record["customer_id"].encode()
            value = record if isinstance(record, bytes) else codec.encode("alert", record)
            producer.produce(topic, value, key, partition=partition_of(key, settings.partitions))
        assert producer.flush(10) == 0

    return publish


def ids(subscriber: AlertSubscriber) -> list[str]:
    with subscriber:
        return sorted(found["event_id"] for found in subscriber)


def test_it_reads_every_alert_of_every_partition_and_ends(settings: Settings, publish: Publish) -> None:
    sent = [alert(f"C{number}") for number in range(50)]
    publish(*sent)
    assert ids(AlertSubscriber(settings, follow=False)) == sorted(one["event_id"] for one in sent)


def test_it_ends_at_once_on_an_empty_topic(settings: Settings, publish: Publish) -> None:
    assert ids(AlertSubscriber(settings, follow=False)) == []


def test_an_alert_that_was_sent_twice_comes_once(settings: Settings, publish: Publish) -> None:
    publish(alert(), alert(), alert(status="closed"), alert(episode=2), alert())
    assert ids(AlertSubscriber(settings, follow=False)) == [
        "C1/churn_risk/1:closed",
        "C1/churn_risk/1:opened",
        "C1/churn_risk/2:opened",
    ]


def test_one_customer_can_be_picked(settings: Settings, publish: Publish) -> None:
    publish(*(alert(f"C{number}") for number in range(20)))
    assert ids(AlertSubscriber(settings, follow=False, customer_id="C7")) == ["C7/churn_risk/1:opened"]


def test_a_record_that_is_no_alert_is_counted_and_passed_over(settings: Settings, publish: Publish) -> None:
    codec = Codec(FileRegistry.fixed())
    clock = codec.encode("clock", {"event_id": "clock-1", "day": 1, "time_ms": 1})
    publish(b"", b"\x00\x00\x00\x00\x03short", clock, alert())
    subscriber = AlertSubscriber(settings, follow=False)
    assert ids(subscriber) == ["C1/churn_risk/1:opened"]
    assert subscriber.n_refused == 3


def test_a_follower_gets_what_comes_later(settings: Settings, publish: Publish) -> None:
    publish(alert("C1"))
    with AlertSubscriber(settings) as subscriber:
        found = iter(subscriber)
        assert next(found)["customer_id"] == "C1"
        later = Thread(target=publish, args=(alert("C2"), alert("C3")))
        later.start()
        assert sorted(one["customer_id"] for one in islice(found, 2)) == ["C2", "C3"]
        later.join()


def test_from_now_leaves_out_what_was_there(settings: Settings, publish: Publish) -> None:
    publish(alert("C1"))
    with AlertSubscriber(settings, start="now", follow=False) as subscriber:
        assert list(subscriber) == []


def test_a_missing_topic_says_what_to_run(settings: Settings) -> None:
    with pytest.raises(TopicError, match="does not exist; run: driftline topics create"):
        AlertSubscriber(settings)


def test_a_broker_that_is_not_there_is_a_clear_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftline.alerts._CONNECT_WITHIN_S", 0.3)
    with pytest.raises(BrokerError, match=r"broker 127\.0\.0\.1:1: no answer"):
        AlertSubscriber(replace(settings, bootstrap="127.0.0.1:1"))


def test_a_line_of_json_is_strict_json() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read = json.loads(json_line(alert()), parse_constant=refuse)
    assert read["reasons"][1] == {"feature": "csat", "value": None, "contribution": -0.5}


def test_a_line_of_the_table_stands_below_its_head() -> None:
    line = table_line(alert())
    assert line[TABLE_HEAD.index("status") :].startswith("opened")
    assert line[TABLE_HEAD.index("reasons") :] == "sessions_7d 0 (+1.25), csat missing (-0.50)"
    assert line.startswith("2025-01-01 12:00:00")


def test_a_customer_id_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in table_line(alert("\x1b[2Jgone\n"))


def test_the_command_prints_lines_and_stops_at_its_limit(
    settings_env: dict[str, str], publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(*(alert(f"C{number}") for number in range(5)), b"garbage")
    for name, value in settings_env.items():
        monkeypatch.setenv(name, value)
    as_json = CliRunner().invoke(cli, ["alerts", "--json"])
    assert as_json.exit_code == 0
    assert sorted(json.loads(line)["customer_id"] for line in as_json.stdout.splitlines()) == [
        "C0",
        "C1",
        "C2",
        "C3",
        "C4",
    ]
    assert as_json.stderr == f"1 records on {settings_env['DRIFTLINE_TOPIC_PREFIX']}alerts are no alerts\n"

    as_table = CliRunner().invoke(cli, ["alerts", "--follow", "--limit", "3"])
    assert as_table.exit_code == 0
    assert [as_table.stdout.splitlines()[0], len(as_table.stdout.splitlines())] == [TABLE_HEAD, 4]
