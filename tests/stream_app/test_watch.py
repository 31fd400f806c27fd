"""The watch process on a real broker: what it publishes, and what a restart publishes again (nothing)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer

from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.topics import topic_for
from schemas.workload import Workload, load_workload
from stream_app.drift import DAY_MS
from stream_app.pulse import Shape
from stream_app.watch import Topics, Watch


@pytest.fixture
def workload(settings: Settings) -> Workload:
    found = load_workload(settings.workload)
    create_topics(settings, found)
    return found


def _summary(shape: Shape, n_features: int, partition: int, seq: int) -> dict[str, Any]:
    empty = {name: [0] * len(shape.fields) for name in ("n_null", "sums", "n_values")}
    step = {
        "start_ms": (100 + seq) * DAY_MS,
        "n_events": [5] * len(shape.kinds),
        "n_refused": [0] * shape.n_reasons,
        "n_scores": 3,
        "score_micros": 1000,
    }
    return {
        "event_id": f"{partition}-{seq}",
        "partition": partition,
        "seq": seq,
        "through_day": 100 + seq,
        "through_ms": (100 + seq) * DAY_MS,
        "steps": [step | empty],
        "days": [
            {
                "day": 100 + seq,
                "model_version": "rule",
                "n_rows": 10,
                "histograms": [0] * (11 * n_features),
                "scores": [10] + [0] * 19,
            }
        ],
        "outcomes": [
            {"as_of_day": 70 + seq, "model_version": "rule", "negatives": [9] + [0] * 19, "positives": [1] + [0] * 19}
        ],
    }


def _write_summaries(settings: Settings, workload: Workload, codec: Codec, seqs: range) -> None:
    shape = Shape.from_workload(workload, settings.partitions)
    topic = topic_for("summaries", workload, settings).name
    producer = Producer(settings.kafka_config())
    for seq in seqs:
        for partition in range(settings.partitions):
            record = _summary(shape, len(workload.columns()), partition, seq)
            producer.produce(topic, codec.encode("summary", record), str(partition), partition=partition)
    assert producer.flush(30) == 0


def _published(settings: Settings, workload: Workload, codec: Codec) -> list[dict[str, Any]]:
    topics = Topics(settings, workload, codec, ["drift"])
    try:
        return [record for _, record in topics.read_to_end()]
    finally:
        topics.close()


def test_a_restart_goes_on_where_the_topics_end_and_publishes_nothing_twice(
    settings: Settings, workload: Workload
) -> None:
    codec = Codec(FileRegistry.for_workload(workload))
    _write_summaries(settings, workload, codec, range(3))
    first = Watch(settings, workload).run(lambda: False, once=True)
    assert first == len(_published(settings, workload, codec)) > 0
    assert Watch(settings, workload).run(lambda: False, once=True) == 0
    _write_summaries(settings, workload, codec, range(3, 5))
    assert Watch(settings, workload).run(lambda: False, once=True) > 0
    records = _published(settings, workload, codec)
    assert len({record["event_id"] for record in records}) == len(records)
    judged = [record["day"] for record in records if record["scope"] == "performance"]
    assert judged == list(np.arange(100, 105))


def test_a_stopped_watch_leaves(settings: Settings, workload: Workload) -> None:
    assert Watch(settings, workload).run(lambda: True) == 0
