"""Did an engine do the same job? Kafka Streams published the same scores and alerts, bit for bit; the engines on a
prefix scored the same rows where they saw the same events.
"""

from __future__ import annotations

from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from bench.compare import Agreement
from bench.dataset import N_PARTITIONS
from bench.peers.kafka_streams_run import OUTPUTS
from bench.run import Run
from bench.stage import Stage
from schemas.codec import Codec
from schemas.registry import FileRegistry

ROWS_WITHIN = 0.05
EQUAL_SHARE = 0.75  # an engine that does not order its topics scores some rows before an event of another topic


def published(stage: Stage, topic: str, record: str) -> dict[str, dict[str, Any]]:
    """Every committed record of a topic, by its id."""
    codec = Codec(FileRegistry.for_workload(stage.workload))
    config = {"group.id": "bench-peers", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(stage.settings.kafka_config() | config)
    consumer.assign([TopicPartition(stage.settings.topic_prefix + topic, p, 0) for p in range(N_PARTITIONS)])
    found: dict[str, dict[str, Any]] = {}
    open_ones = set(range(N_PARTITIONS))
    while open_ones:
        for message in consumer.consume(10_000, 1.0):
            error, value = message.error(), message.value()
            if error is None and value is not None:
                content = codec.decode(value, record)
                found[content["event_id"]] = content
            elif error is not None and error.code() == KafkaError._PARTITION_EOF:
                open_ones.discard(message.partition() or 0)
    consumer.close()
    return found


def compare_streams(stage: Stage, ours: Run, theirs: Run, mine: dict[str, dict[str, dict[str, Any]]]) -> Agreement:
    """All scores and alerts of the day; ``mine`` are ours as they were published, by topic."""
    lines, is_full = [f"rows scored: {ours.n_rows:,} and {theirs.n_rows:,}"], ours.n_rows == theirs.n_rows
    for role, record in (("scores", "score"), ("alerts", "alert")):
        a, b = _by_moment(mine[role], record), _by_moment(published(stage, OUTPUTS[role], record), record)
        both = a.keys() & b.keys()
        equal = sum(a[name] == b[name] for name in both)
        lines.append(f"{role}: {len(a):,} and {len(b):,} published, {equal:,} equal bit by bit")
        is_full &= len(a) == len(b) == equal
    return Agreement(tuple(lines), is_full)


def _by_moment(found: dict[str, dict[str, Any]], record: str) -> dict[tuple[str, int, str], tuple[Any, ...]]:
    """What a record says, by customer, moment and kind."""
    says = ("score", "band", "reason") if record == "score" else ("score", "status", "episode")
    return {
        (one["customer_id"], one["as_of_ms"], one["row_kind"] if record == "score" else one["status"]): tuple(
            one[name] for name in says
        )
        for one in found.values()
    }


def compare_prefix(scores: dict[tuple[str, int, str], float], theirs: Run) -> Agreement:
    """Rows of the prefix, and the event scores that we published and the engine took."""
    n_due, kinds = theirs.outputs["n_due"], ("tick", "event", "urgent")
    n_both = n_equal = 0
    for name, score in theirs.outputs["scores"].items():
        customer, _, rest = name.rpartition("@")
        as_of, _, kind = rest.partition("/")
        mine = scores.get((customer, int(as_of), kinds[int(kind)]))
        if mine is not None:
            n_both += 1
            n_equal += abs(mine - score) < 1e-6
    lines = (
        f"rows scored on the prefix: {n_due:,} in the order of known times, {theirs.n_rows:,} here",
        f"event scores of both: {n_both:,}, equal to 1e-6 {n_equal:,}",
    )
    return Agreement(lines, abs(theirs.n_rows - n_due) <= ROWS_WITHIN * n_due and n_equal >= EQUAL_SHARE * n_both)


def event_scores(scores: dict[str, dict[str, Any]]) -> dict[tuple[str, int, str], float]:
    """Our scores by customer, moment and row kind."""
    return {(one["customer_id"], one["as_of_ms"], one["row_kind"]): one["score"] for one in scores.values()}
