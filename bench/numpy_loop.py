"""The loop that people write by hand: confluent-kafka, fastavro, NumPy columns, XGBoost. Run as a process of its own.

The same job as the worker's: merge the topics by known time, keep the features, score the same due rows (features as
they are at the end of the batch), publish scores and alerts with reasons, count tick rows into the reference's bins,
and write dirty rows to a changelog every second. Offsets are committed with nothing but that changelog; no dead
letters, no duplicates, no journal. ``python -m bench.numpy_loop job.json`` writes ``result.json`` and ``ticks.npz``
beside the job. It is one long module because the job is to be seen whole.
"""

from __future__ import annotations

import gc
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import numpy.typing as npt
import xgboost
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from bench.machine import own_peak_rss_mb
from bench.numpy_columns import DAY_MS, NEVER, Customers, Events, Ints

BATCH = 20_000
CHECKPOINT_S = 1.0
MOVED_MICROS = 50_000
COOL_DOWN_MS = 14 * DAY_MS
CLOSE_SHARE = 0.7
TICK, EVENT, URGENT = range(3)
KINDS = ("tick", "event", "urgent")


class Stream:
    """Columns of one topic-partition that wait for the other topics of their partition."""

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self.newest = NEVER
        self.at_end = False

    def take(self, until: float) -> dict[str, Any] | None:
        """Everything known up to a time."""
        if not self.parts:
            return None
        parts = self.parts
        whole = parts[0] if len(parts) == 1 else {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}
        n = len(whole["known"]) if until >= self.newest else int(np.searchsorted(whole["known"], until, side="right"))
        rest = {name: column[n:] for name, column in whole.items()}
        self.parts = [rest] if len(rest["known"]) else []
        return {name: column[:n] for name, column in whole.items()} if n else None


class Loop:
    """State, model, and the two ends of Kafka."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.topics: dict[str, dict[str, Any]] = job["topics"]  # name -> schema, kinds, fields, categories
        kinds = tuple(kind for topic in self.topics.values() for kind in topic["kinds"])
        self.customers = Customers(kinds)
        self.fields = {f: t["categories"].get(f) for t in self.topics.values() for f in t["fields"]}
        self.batch_schema = {
            name: fastavro.parse_schema({"type": "array", "items": topic["schema"]})
            for name, topic in self.topics.items()
        }
        self.score_schema = fastavro.parse_schema(job["score_schema"])
        self.alert_schema = fastavro.parse_schema(job["alert_schema"])
        self.booster = xgboost.Booster(params={"nthread": 1})
        self.booster.load_model(job["model"])
        self.slope, self.intercept, self.threshold = (np.array(job[n]) for n in ("slope", "intercept", "threshold"))
        self.edges = np.array([[np.inf if e is None else e for e in row] for row in job["edges"]], np.float32)
        self.histograms = np.zeros((len(self.edges), 11), np.int64)
        partitions = range(job["partitions"])
        self.streams = {(topic, p): Stream() for topic in self.topics for p in partitions}
        self.clock = dict.fromkeys(partitions, NEVER)
        self.n_applied = self.n_rows = self.n_published = self.n_opened = 0
        self.ticks: dict[str, Any] = {}
        self.first_at = 0.0

    # ---- start ----
    def restore(self, path: str) -> None:
        """Load the rows after the prelude."""
        with np.load(path, allow_pickle=False) as found:
            for name, partition in zip(found["keys"].tolist(), found["partition"].tolist(), strict=True):
                self.customers.slots([name], partition)
            self.customers.rows[: len(found["rows"])] = found["rows"]

    def connect(self) -> None:
        """Read from where the prelude ends."""
        base = {"bootstrap.servers": self.job["bootstrap"]}
        self.producer = Producer(base | {
            "linger.ms": 20, "batch.size": 1 << 20, "queue.buffering.max.messages": 1_000_000, "acks": "all",
            "queue.buffering.max.kbytes": 1 << 20,
        })  # fmt: skip
        self.consumer = Consumer(base | {
            "group.id": f"{self.job['prefix']}numpy", "enable.auto.commit": False, "enable.partition.eof": True,
            "fetch.wait.max.ms": 20, "fetch.queue.backoff.ms": 10,
        })  # fmt: skip
        self.consumer.assign([
            TopicPartition(self.job["prefix"] + topic, p, offset)
            for topic, offsets in self.job["offsets"].items() for p, offset in enumerate(offsets)
        ])  # fmt: skip

    # ---- the loop ----
    def run(self) -> None:
        saved_at = time.monotonic()
        while True:
            messages = self.consumer.consume(BATCH, 0.05)
            if messages and not self.first_at and any(m.error() is None for m in messages):
                self.first_at, self.cpu_at = time.perf_counter(), time.process_time()
            self.receive(messages)
            self.apply()
            self.tick()
            self.producer.poll(0)
            if time.monotonic() - saved_at >= CHECKPOINT_S:
                self.checkpoint()
                saved_at = time.monotonic()
            if self.n_applied >= self.job["n_events"] and all(
                day >= self.job["last_day"] for day in self.clock.values()
            ):
                self.checkpoint()
                return

    def receive(self, messages: list[Message]) -> None:
        """Decode messages topic by topic into the columns that wait."""
        found: dict[tuple[str, int], list[bytes]] = {}
        skip = len(self.job["prefix"])
        for message in messages:
            where = (message.topic()[skip:], message.partition())
            error = message.error()
            if error is None:
                found.setdefault(where, []).append(message.value())
            elif error.code() == KafkaError._PARTITION_EOF and where in self.streams:
                self.streams[where].at_end = True
        for (topic, p), values in found.items():
            if topic == "clock":
                self.clock[p] = max(self.clock[p], *(self.decode_clock(value) for value in values))
            else:
                self.streams[topic, p].parts.append(self.decode(topic, p, values))
                self.streams[topic, p].newest = int(self.streams[topic, p].parts[-1]["known"][-1])

    def decode_clock(self, value: bytes) -> int:
        record = fastavro.schemaless_reader(io.BytesIO(value[5:]), self.job["clock_schema"], None)
        assert isinstance(record, dict)
        return int(record["day"])

    def decode(self, topic: str, partition: int, values: list[bytes]) -> dict[str, Any]:
        """One call of fastavro for the whole batch: the records as an Avro array."""
        block = _long(len(values)) + b"".join([value[5:] for value in values]) + b"\0"
        records: Any = fastavro.schemaless_reader(io.BytesIO(block), self.batch_schema[topic], None)
        code = self.customers.code
        columns = {
            "slot": self.customers.slots([r["customer_id"] for r in records], partition),
            "kind": np.array([code[r["kind"]] for r in records]),
            "time": np.array([r["event_time_ms"] for r in records]),
            "known": np.array([r["known_time_ms"] for r in records]),
        }
        for name in self.topics[topic]["fields"]:
            categories = self.fields[name]
            if categories is None:
                columns[name] = np.array([r[name] for r in records], np.float64)
            else:
                codes: dict[str | None, float] = {c: i for i, c in enumerate(categories)} | {None: np.nan}
                columns[name] = np.array([codes.get(r[name], len(categories)) for r in records], np.float64)
        return columns

    def apply(self) -> None:
        """Merge what every topic of a partition has reached, and apply it."""
        parts = []
        for p in self.clock:
            mine = [self.streams[topic, p] for topic in self.topics]
            until = min((s.newest for s in mine if not s.at_end), default=np.inf)
            parts += [part for stream in mine if (part := stream.take(until)) is not None]
        if not parts:
            return
        known = np.concatenate([part["known"] for part in parts])
        order = np.argsort(known, kind="stable")
        columns = {n: np.concatenate([part[n] for part in parts])[order] for n in ("slot", "kind", "time", "known")}
        values = {}
        for name in self.fields:
            whole = [part.get(name) for part in parts]
            filled = [np.full(len(p["known"]), np.nan) if w is None else w for p, w in zip(parts, whole, strict=True)]
            values[name] = np.concatenate(filled)[order]
        events = Events(**columns, values=values)
        ended = self.customers.times["end"].copy()
        self.customers.update(events)
        due = self.customers.due(events, ended)
        self.n_applied += len(events)
        kinds = np.where(self.customers.urgent[events.kind[due]], URGENT, EVENT)
        as_of = np.maximum(events.time[due], events.known[due]) + 1
        self.score(events.slot[due], as_of, kinds)
        cancels = events.kind == self.customers.code["cancel"]
        self.close_ended(events.slot[cancels], events.time[cancels])

    def tick(self) -> None:
        """The daily tick, once every event known before the day has been applied."""
        day = min(self.clock.values())
        is_due = day >= self.job["last_day"] and self.n_applied >= self.job["n_events"] and not self.ticks
        if not is_due:
            return
        slots = self.customers.tick_slots(day * DAY_MS)
        found = []
        for at in range(0, len(slots), BATCH):
            part = slots[at : at + BATCH]
            found.append((part, *self.score(part, np.full(len(part), day * DAY_MS), np.zeros(len(part), np.int64))))
        ids, x, scores = (np.concatenate([f[i] for f in found]) for i in range(3))
        self.ticks = {"id": np.array([self.customers.keys[i] for i in ids]), "x": x, "score": scores}

    # ---- score and decide ----
    def score(self, slots: Ints, as_of: Ints, kinds: Ints) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Score rows, publish what is new, open and close alerts; (features, scores)."""
        if not len(slots):
            return np.zeros((0, 41), np.float32), np.zeros(0, np.float32)
        x = self.customers.features(slots, as_of)
        margin = self.booster.inplace_predict(x, predict_type="margin").astype(np.float64)
        scores = (1 / (1 + np.exp(-(self.slope[kinds] * margin + self.intercept[kinds])))).astype(np.float32)
        self.n_rows += len(slots)
        order = np.argsort(slots, kind="stable")
        begins = np.flatnonzero(np.r_[True, slots[order][1:] != slots[order][:-1]])
        rank = np.arange(len(order)) - np.repeat(begins, np.diff(np.r_[begins, len(order)]))
        for turn in range(int(rank.max()) + 1):
            self.decide(order[rank == turn], slots, as_of, kinds, scores, x)
        if kinds[0] == TICK:
            self.count_bins(x)
        self.customers.dirty[slots] = True
        return x, scores

    def decide(
        self,
        rows: Ints,
        slots: Ints,
        as_of: Ints,
        kinds: Ints,
        scores: npt.NDArray[np.float32],
        x: npt.NDArray[np.float32],
    ) -> None:
        """Rows of different customers: what is published, and which alerts open and close."""
        times, slot, score, kind = self.customers.times, slots[rows], scores[rows], kinds[rows]
        micros = (score * 1e6 + 0.5).astype(np.int64)
        band = (score >= self.threshold[kind]).astype(np.int64)
        last, at = times["score"][slot], as_of[rows]
        changed = (last >= 0) & (band != times["band"][slot])
        moved = (last < 0) | (np.abs(micros - last) > MOVED_MICROS)
        told = (kind == TICK) | changed | moved
        times["score"][slot[told]], times["band"][slot[told]] = micros[told], band[told]
        self.publish_scores(rows[told], slot[told], at[told], kind[told], score[told], np.where(changed, 2, 1)[told])
        since, closed, limit = times["since"][slot], times["closed"][slot], self.threshold[kind]
        opens = (since == 0) & (score >= limit) & ((closed == 0) | (at - closed >= COOL_DOWN_MS))
        closes = (since != 0) & (score < limit * CLOSE_SHARE)
        times["episode"][slot[opens]] += 1
        times["since"][slot[opens]] = at[opens]
        times["since"][slot[closes]], times["closed"][slot[closes]] = 0, at[closes]
        self.n_opened += int(opens.sum())
        if opens.any():
            matrix = xgboost.DMatrix(x[rows[opens]], feature_names=self.booster.feature_names)
            shares = self.booster.predict(matrix, pred_contribs=True)[:, :-1]
            self.publish_alerts(slot[opens], at[opens], kind[opens], score[opens], x[rows[opens]], shares)
        if closes.any():
            self.publish_alerts(slot[closes], at[closes], kind[closes], score[closes], None, None)

    def close_ended(self, slots: Ints, when: Ints) -> None:
        """Alerts of customers who left are closed."""
        times = self.customers.times
        open_ones = np.flatnonzero(times["since"][slots] != 0)
        slot, at = slots[open_ones], when[open_ones]
        times["since"][slot], times["closed"][slot] = 0, at
        self.publish_alerts(slot, at, np.zeros(len(slot), np.int64), np.zeros(len(slot), np.float32), None, None)

    def count_bins(self, x: npt.NDArray[np.float32]) -> None:
        """Histograms of tick rows on the reference's bins, for drift."""
        for j, edges in enumerate(self.edges):
            bins = np.where(np.isnan(x[:, j]), 10, np.searchsorted(edges, x[:, j], side="right"))
            self.histograms[j] += np.bincount(bins, minlength=11)

    # ---- out ----
    def publish_scores(
        self, rows: Ints, slot: Ints, at: Ints, kind: Ints, score: npt.NDArray[np.float32], why: Ints
    ) -> None:
        customers, schema, reasons = self.customers, self.score_schema, ("tick", "moved", "band")
        head = bytes.fromhex(self.job["score_header"])
        topics = [self.job["prefix"] + name for name in ("numpy-scores", "numpy-latest")]
        for s, when, k, p, w in zip(
            slot.tolist(), at.tolist(), kind.tolist(), score.tolist(), why.tolist(), strict=True
        ):
            key, out = customers.keys[s], io.BytesIO(head)
            out.seek(5)
            fastavro.schemaless_writer(out, schema, {
                "event_id": f"{key}@{when}/{k}", "customer_id": key, "as_of_ms": when, "row_kind": KINDS[k], "score": p,
                "band": "high" if p >= self.threshold[k] else "low", "model_version": "bench", "workload_hash": "",
                "feature_hash": 0, "stamps": [], "reason": reasons[0 if k == TICK else w],
            })  # fmt: skip
            value, partition = out.getvalue(), int(customers.partition[s])
            for topic in topics:
                self.produce(topic, value, key, partition)
        self.n_published += len(slot)

    def publish_alerts(
        self,
        slot: Ints,
        at: Ints,
        kind: Ints,
        score: npt.NDArray[np.float32],
        x: npt.NDArray[np.float32] | None,
        shares: npt.NDArray[np.float32] | None,
    ) -> None:
        customers = self.customers
        for i, s in enumerate(slot.tolist()):
            key, status = customers.keys[s], "closed" if shares is None else "opened"
            reasons = []
            if shares is not None and x is not None:
                best = np.argsort(-shares[i], kind="stable")[:3].tolist()
                reasons = [
                    {"feature": f"f{j}", "value": float(x[i, j]), "contribution": float(shares[i, j])}
                    for j in best if shares[i, j] > 0
                ]  # fmt: skip
            episode, out = int(customers.times["episode"][s]), io.BytesIO()
            out.write(bytes.fromhex(self.job["alert_header"]))
            fastavro.schemaless_writer(out, self.alert_schema, {
                "event_id": f"churn_risk/{key}/{episode}:{status}", "alert_id": f"churn_risk/{key}/{episode}",
                "customer_id": key, "rule": "churn_risk", "episode": episode, "status": status, "as_of_ms": int(at[i]),
                "row_kind": KINDS[int(kind[i])], "score": float(score[i]), "threshold": float(self.threshold[kind[i]]),
                "model_version": "bench", "reasons": reasons,
            })  # fmt: skip
            self.produce(self.job["prefix"] + "numpy-alerts", out.getvalue(), key, int(customers.partition[s]))

    def checkpoint(self) -> None:
        """Dirty rows to the changelog, and wait for the broker."""
        customers, topic = self.customers, self.job["prefix"] + "numpy-changelog"
        slots = np.flatnonzero(customers.dirty)
        rows, width = customers.rows[slots].tobytes(), customers.rows.shape[1]
        customers.dirty[slots] = False
        for i, (s, p) in enumerate(zip(slots.tolist(), customers.partition[slots].tolist(), strict=True)):
            self.produce(topic, rows[i * width : (i + 1) * width], customers.keys[s], p)
        self.producer.flush()

    def produce(self, topic: str, value: bytes, key: str, partition: int) -> None:
        while True:
            try:
                self.producer.produce(topic, value, key, partition)
                return
            except BufferError:
                self.producer.poll(0.05)


def _long(n: int) -> bytes:
    """A positive Avro long."""
    n, out = n << 1, bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def main() -> None:
    """Run one job."""
    path = Path(sys.argv[1])
    job = json.loads(path.read_text())
    loop = Loop(job)
    loop.restore(job["start"])
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)
    loop.connect()
    loop.run()
    result = {
        "n_events": loop.n_applied, "n_rows": loop.n_rows, "seconds": time.perf_counter() - loop.first_at,
        "cpu_s": time.process_time() - loop.cpu_at, "rss_mb": own_peak_rss_mb(), "published": loop.n_published,
        "opened": loop.n_opened,
    }  # fmt: skip
    np.savez(path.parent / "ticks.npz", **loop.ticks, histograms=loop.histograms)
    (path.parent / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
