"""Did the engines do the same job? Due rows counted, tick scores and tick features compared bit by bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from confluent_kafka import Consumer, KafkaError, TopicPartition

from bench.dataset import DAY, DAY_MS, N_PARTITIONS
from bench.run import Run
from bench.stage import Stage
from schemas.codec import Codec
from schemas.registry import FileRegistry
from schemas.topics import topic_for
from stream_app.encode_kernel import feature_hash
from stream_app.opcodes import ROW_KINDS


@dataclass(frozen=True)
class Agreement:
    """What was compared, and how it came out."""

    lines: tuple[str, ...]
    is_full: bool


def published_scores(stage: Stage) -> dict[str, dict[str, Any]]:
    """Every record of our scores topic, by customer, moment and row kind."""
    topic = topic_for("scores", stage.workload, stage.settings).name
    codec = Codec(FileRegistry.for_workload(stage.workload))
    consumer = Consumer(
        stage.settings.kafka_config()
        | {"group.id": "bench-compare", "enable.auto.commit": False, "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition(topic, p, 0) for p in range(N_PARTITIONS)])
    found: dict[str, dict[str, Any]] = {}
    open_ones = set(range(N_PARTITIONS))
    while open_ones:
        for message in consumer.consume(10_000, 1.0):
            error = message.error()
            if error is None:
                record = codec.decode(message.value(), "score")
                found[f"{record['customer_id']}@{record['as_of_ms']}/{ROW_KINDS.index(record['row_kind'])}"] = record
            elif error.code() == KafkaError._PARTITION_EOF:
                open_ones.discard(message.partition())
    consumer.close()
    return found


def compare_numpy(scores: dict[str, dict[str, Any]], ours: Run, numpy: Run) -> Agreement:
    """Rows, and all tick rows: the same customers, scores and feature vectors."""
    as_of, columns = (DAY + 1) * DAY_MS, numpy.outputs["ticks"]
    mine = {record["customer_id"]: record for record in scores.values() if _is_tick(record, as_of)}
    theirs = dict(zip(columns["id"].tolist(), zip(columns["score"], columns["x"], strict=True), strict=True))
    both = mine.keys() & theirs.keys()
    equal = sum(bool(np.float32(mine[name]["score"]) == theirs[name][0]) for name in both)
    hashes = sum(mine[name]["feature_hash"] == feature_hash(np.ascontiguousarray(theirs[name][1])) for name in both)
    rows = f"rows scored: {ours.n_rows:,} and {numpy.n_rows:,}"
    ticks = f"tick rows: {len(mine):,} and {len(theirs):,} customers"
    lines = (rows, f"{ticks}, {equal:,} scores and {hashes:,} feature vectors equal bit by bit")
    is_full = ours.n_rows == numpy.n_rows and len(mine) == len(theirs) == len(both) == equal == hashes
    return Agreement(lines, is_full)


def compare_faust(scores: dict[str, dict[str, Any]], faust: Run) -> Agreement:
    """Due rows of the prefix, and the scores that both engines published or took of the same events.

    Faust reads its topics in no order between them, so that a due row here and there falls on another event.
    """
    theirs = faust.outputs["scores"]
    both = [name for name in theirs if name in scores]
    equal = sum(abs(scores[name]["score"] - theirs[name]) < 1e-6 for name in both)
    lines = (
        f"rows scored on the prefix: {faust.outputs['n_due']:,} in the order of known times, {faust.n_rows:,} by Faust",
        f"event scores of both: {len(both):,}, equal to 1e-6 {equal:,}",
    )
    is_full = abs(faust.n_rows - faust.outputs["n_due"]) <= 0.05 * faust.outputs["n_due"] and equal >= 0.95 * len(both)
    return Agreement(lines, is_full)


def _is_tick(record: dict[str, Any], as_of: int) -> bool:
    return bool(record["row_kind"] == "tick" and record["as_of_ms"] == as_of)
