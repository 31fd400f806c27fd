"""What the Python engines share: decoding one record, one customer's state as a dict, scores of a batch of due rows,
what is published and which alerts open and close. Plain Python, fastavro and XGBoost, as one writes it by hand.

Needs nothing of the product, so that it runs in the environment of each engine. An engine keeps the feature state; the
decisions (score told last, open alert) are kept here, in memory.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import xgboost

from bench.machine import own_peak_rss_mb
from bench.numpy_columns import DAY_MS, URGENT
from bench.plain_state import State, features, is_due, new_state, update

MOVED_MICROS = 50_000
COOL_DOWN_MS = 14 * DAY_MS
CLOSE_SHARE = 0.7
LONGEST_S = 60.0
DECISIONS = ("score", "band", "episode", "since", "closed")
KINDS = ("tick", "event", "urgent")

Output = tuple[str, str, bytes]  # role of the topic, key, value


@dataclass
class Row:
    """A due row, or the end of a customer (no features)."""

    key: str
    as_of: int
    kind: int
    features: list[float] | None


@dataclass
class Meter:
    """What happened since the first event."""

    n_events: int = 0
    n_rows: int = 0
    n_opened: int = 0
    first_at: float = 0.0
    cpu_at: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        """Start the clock, once."""
        if not self.first_at:
            self.first_at, self.cpu_at = time.perf_counter(), time.process_time()


class PlainJob:
    """The job without an engine."""

    def __init__(self, path: Path) -> None:
        self.path, self.job = path, json.loads(path.read_text())
        self.prefix: str = self.job["prefix"]
        self.partitions: int = self.job["partitions"]
        self.schemas = {n: fastavro.parse_schema(topic["schema"]) for n, topic in self.job["topics"].items()}
        self.outputs = {
            "scores": (fastavro.parse_schema(self.job["score_schema"]), bytes.fromhex(self.job["score_header"])),
            "alerts": (fastavro.parse_schema(self.job["alert_schema"]), bytes.fromhex(self.job["alert_header"])),
        }
        self.codes = {
            name: {c: i for i, c in enumerate(categories)}
            for topic in self.job["topics"].values() for name, categories in topic["categories"].items() if categories
        }  # fmt: skip
        self.booster = xgboost.Booster(params={"nthread": 1})
        self.booster.load_model(self.job["model"])
        self.start: dict[str, State] = pickle.loads(Path(self.job["start"]).read_bytes())  # the benchmark's own
        self.decisions = {key: {name: state[name] for name in DECISIONS} for key, state in self.start.items()}
        self.meter = Meter()

    def topic(self, role: str) -> str:
        """Name of a topic on the broker."""
        return self.prefix + (role if role in self.schemas else f"{self.job['peer']}-{role}")

    def decode(self, topic: str, value: bytes) -> dict[str, Any]:
        """A record of a source, named as in the workload."""
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), self.schemas[topic], None)
        return dict(record)

    def first_state(self, key: str) -> State:
        """A customer before the first event."""
        return self.start.get(key) or new_state()

    def apply(self, key: str, state: State, record: Mapping[str, Any]) -> Row | None:
        """One event: the state, and the row that is due then."""
        happened, known, kind = record["event_time_ms"], record["known_time_ms"], record["kind"]
        update(state, kind, happened, record)
        if is_due(state, kind, happened, known):
            as_of = max(happened, known) + 1
            return Row(key, as_of, 2 if kind in URGENT else 1, features(state, as_of, self.codes))
        return Row(key, happened, 0, None) if kind == "cancel" else None

    def decide(self, rows: Sequence[Row]) -> list[Output]:
        """Scores of rows in their order, and what follows from them."""
        found: list[Output] = []
        scores = iter(self._scores([row for row in rows if row.features is not None]))
        for row in rows:
            now = self.decisions.setdefault(row.key, dict.fromkeys(DECISIONS, 0) | {"score": -1})
            if row.features is not None:
                self._tell(row, next(scores), now, found)
            elif now["since"]:
                now["since"], now["closed"] = 0, row.as_of
                found.append(self._alert(row, 0.0, now, is_open=False))
        return found

    def _scores(self, rows: Sequence[Row]) -> list[float]:
        if not rows:
            return []
        kinds = [row.kind for row in rows]
        x = np.array([row.features for row in rows], np.float32)
        margin = self.booster.inplace_predict(x, predict_type="margin").astype(np.float64)
        slope, intercept = (np.array(self.job[name])[kinds] for name in ("slope", "intercept"))
        scores: list[float] = (1 / (1 + np.exp(-(slope * margin + intercept)))).astype(np.float32).tolist()
        return scores

    def _tell(self, row: Row, score: float, now: dict[str, int], found: list[Output]) -> None:
        limit, micros = self.job["threshold"][row.kind], int(score * 1e6 + 0.5)
        band, name = int(score >= limit), f"{row.key}@{row.as_of}/{row.kind}"
        self.meter.n_rows += 1
        self.meter.scores[name] = score
        changed = now["score"] >= 0 and band != now["band"]
        if changed or now["score"] < 0 or abs(micros - now["score"]) > MOVED_MICROS:
            now["score"], now["band"] = micros, band
            record = {
                "event_id": name, "customer_id": row.key, "as_of_ms": row.as_of, "row_kind": KINDS[row.kind],
                "score": score, "band": "high" if band else "low", "model_version": "bench", "workload_hash": "",
                "feature_hash": 0, "stamps": [], "reason": "band" if changed else "moved",
            }  # fmt: skip
            found.append(("scores", row.key, self._encode("scores", record)))
        if now["since"] == 0:
            if score >= limit and (now["closed"] == 0 or row.as_of - now["closed"] >= COOL_DOWN_MS):
                now["episode"], now["since"] = now["episode"] + 1, row.as_of
                self.meter.n_opened += 1
                found.append(self._alert(row, score, now, is_open=True))
        elif score < limit * CLOSE_SHARE:
            now["since"], now["closed"] = 0, row.as_of
            found.append(self._alert(row, score, now, is_open=False))

    def _alert(self, row: Row, score: float, now: Mapping[str, int], is_open: bool) -> Output:
        alert_id, status = f"churn_risk/{row.key}/{now['episode']}", "opened" if is_open else "closed"
        record = {
            "event_id": f"{alert_id}:{status}", "alert_id": alert_id, "customer_id": row.key, "rule": "churn_risk",
            "episode": now["episode"], "status": status, "as_of_ms": row.as_of, "row_kind": KINDS[row.kind],
            "score": score, "threshold": self.job["threshold"][row.kind], "model_version": "bench",
            "reasons": self._reasons(row) if is_open else [],
        }  # fmt: skip
        return "alerts", row.key, self._encode("alerts", record)

    def _reasons(self, row: Row) -> list[dict[str, Any]]:
        x = np.array([row.features], np.float32)
        matrix = xgboost.DMatrix(x, feature_names=self.booster.feature_names)
        shares = self.booster.predict(matrix, pred_contribs=True)[0, :-1]
        best = [j for j in np.argsort(-shares, kind="stable")[:3].tolist() if shares[j] > 0]
        return [{"feature": f"f{j}", "value": float(x[0, j]), "contribution": float(shares[j])} for j in best]

    def _encode(self, role: str, record: Mapping[str, Any]) -> bytes:
        schema, header = self.outputs[role]
        out = io.BytesIO(header)
        out.seek(5)
        fastavro.schemaless_writer(out, schema, dict(record))
        return out.getvalue()

    @property
    def is_done(self) -> bool:
        """Whether the prefix is applied, or the time is up."""
        meter = self.meter
        is_late = bool(meter.first_at) and time.perf_counter() - meter.first_at > LONGEST_S
        return meter.n_events >= self.job["n_events"] or is_late

    def finish(self) -> None:
        """Write the result and end the process: nothing is left to be saved."""
        meter = self.meter
        result = {
            "n_events": meter.n_events, "n_rows": meter.n_rows, "seconds": time.perf_counter() - meter.first_at,
            "cpu_s": time.process_time() - meter.cpu_at, "rss_mb": own_peak_rss_mb(), "opened": meter.n_opened,
            "scores": meter.scores,
        }  # fmt: skip
        (self.path.parent / "result.json").write_text(json.dumps(result))
        os._exit(0)
