"""Stock Faust as its documentation shows it: agents over topics, one event at a time, a table that keeps the customers.

Features, due rows, scores and alerts as the worker has them, on a prefix of the day that holds no tick. Run as a
process of its own: ``python -m bench.faust_loop job.json`` writes ``result.json`` beside the job.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import fastavro
import faust
import numpy as np
import xgboost
from faust.serializers import codecs

from bench.machine import own_peak_rss_mb
from bench.numpy_columns import DAY_MS, URGENT
from bench.plain_state import features, is_due, new_state, update

MOVED_MICROS = 50_000
COOL_DOWN_MS = 14 * DAY_MS
CLOSE_SHARE = 0.7
LONGEST_S = 60.0


class Avro(codecs.Codec):  # type: ignore[misc]
    """Confluent wire format, without a look at the id."""

    def __init__(self, schema: Any = None, header: bytes = b"\0\0\0\0\0", **kwargs: Any) -> None:
        super().__init__(schema=schema, header=header, **kwargs)
        self.schema, self.header = schema, header

    def _loads(self, data: bytes) -> Any:
        return fastavro.schemaless_reader(io.BytesIO(data[5:]), self.schema, None)

    def _dumps(self, record: Any) -> bytes:
        out = io.BytesIO(self.header)
        out.seek(5)
        fastavro.schemaless_writer(out, self.schema, record)
        return out.getvalue()


class Loop:
    """What the agents share."""

    def __init__(self, job: dict[str, Any], path: Path) -> None:
        self.job, self.path = job, path
        self.booster = xgboost.Booster(params={"nthread": 1})
        self.booster.load_model(job["model"])
        self.codes = {
            name: {c: i for i, c in enumerate(categories)}
            for topic in job["topics"].values() for name, categories in topic["categories"].items() if categories
        }  # fmt: skip
        self.start: dict[str, Any] = pickle.loads(
            Path(job["start"]).read_bytes()
        )  # written by the benchmark a moment ago
        self.n_events = self.n_rows = self.n_opened = 0
        self.scores: dict[str, float] = {}
        self.first_at = self.cpu_at = 0.0
        self.app = self.create_app()

    def create_app(self) -> faust.App:
        job = self.job
        app = faust.App(
            f"{job['prefix']}faust-{os.getpid()}", broker=f"kafka://{job['bootstrap']}", store="memory://",
            topic_partitions=job["partitions"], topic_replication_factor=1, web_enabled=False,
            datadir=str(self.path.parent / "faust"), broker_session_timeout=10, broker_heartbeat_interval=3,
            stream_wait_empty=False, stream_buffer_maxsize=16_384, stream_recovery_delay=0.0,
        )  # fmt: skip
        self.table = app.Table("customers", partitions=job["partitions"])
        self.score_topic = self.topic(app, "faust-scores", job["score_schema"], job["score_header"])
        self.alert_topic = self.topic(app, "faust-alerts", job["alert_schema"], job["alert_header"])
        for name, declared in job["topics"].items():
            self.listen(app, name, self.topic(app, name, declared["schema"]))
        return app

    def topic(self, app: faust.App, name: str, schema: Any, header: str = "") -> Any:
        codecs.register(f"avro-{name}", Avro(fastavro.parse_schema(schema), bytes.fromhex(header) or b"\0\0\0\0\0"))
        return app.topic(
            self.job["prefix"] + name, key_type=str, key_serializer="raw", value_serializer=f"avro-{name}",
            partitions=self.job["partitions"],
        )  # fmt: skip

    def listen(self, app: faust.App, name: str, topic: Any) -> None:
        async def agent(stream: Any) -> None:
            async for key, record in stream.items():
                await self.apply(key, record)

        app.agent(topic, name=f"bench-{name}")(agent)

    async def apply(self, key: str, record: dict[str, Any]) -> None:
        """One event: state, features, score, decisions."""
        if not self.first_at:
            self.first_at, self.cpu_at = time.perf_counter(), time.process_time()
        state = self.table.get(key) or self.start.get(key) or new_state()
        happened, known, kind = record["event_time_ms"], record["known_time_ms"], record["kind"]
        update(state, kind, happened, record)
        if is_due(state, kind, happened, known):
            await self.score(key, state, max(happened, known) + 1, 2 if kind in URGENT else 1)
        elif kind == "cancel" and state["since"]:
            state["since"], state["closed"] = 0, happened
            await self.alert(key, state, happened, "tick", 0.0, self.job["threshold"][0], None)
        self.table[key] = state
        self.n_events += 1
        if self.n_events >= self.job["n_events"] or (
            self.n_events % 64 == 0 and time.perf_counter() - self.first_at > LONGEST_S
        ):
            self.finish()

    async def score(self, key: str, state: dict[str, Any], as_of: int, kind: int) -> None:
        job, row = self.job, np.array([features(state, as_of, self.codes)], np.float32)
        margin = float(self.booster.inplace_predict(row, predict_type="margin")[0])
        score = float(np.float32(1 / (1 + np.exp(-(job["slope"][kind] * margin + job["intercept"][kind])))))
        limit, micros = job["threshold"][kind], int(score * 1e6 + 0.5)
        band, row_kind = int(score >= limit), ("tick", "event", "urgent")[kind]
        self.n_rows += 1
        self.scores[f"{key}@{as_of}/{kind}"] = score
        changed = state["score"] >= 0 and band != state["band"]
        if changed or state["score"] < 0 or abs(micros - state["score"]) > MOVED_MICROS:
            state["score"], state["band"] = micros, band
            await self.score_topic.send(key=key, value={
                "event_id": f"{key}@{as_of}/{kind}", "customer_id": key, "as_of_ms": as_of, "row_kind": row_kind,
                "score": score, "band": "high" if band else "low", "model_version": "bench", "workload_hash": "",
                "feature_hash": 0, "stamps": [], "reason": "band" if changed else "moved",
            })  # fmt: skip
        if state["since"] == 0:
            if score >= limit and (state["closed"] == 0 or as_of - state["closed"] >= COOL_DOWN_MS):
                state["episode"] += 1
                state["since"] = as_of
                self.n_opened += 1
                await self.alert(key, state, as_of, row_kind, score, limit, self.reasons(row))
        elif score < limit * CLOSE_SHARE:
            state["since"], state["closed"] = 0, as_of
            await self.alert(key, state, as_of, row_kind, score, limit, None)

    def reasons(self, row: np.ndarray[Any, np.dtype[np.float32]]) -> list[dict[str, Any]]:
        matrix = xgboost.DMatrix(row, feature_names=self.booster.feature_names)
        shares = self.booster.predict(matrix, pred_contribs=True)[0, :-1]
        best = [j for j in np.argsort(-shares, kind="stable")[:3].tolist() if shares[j] > 0]
        return [{"feature": f"f{j}", "value": float(row[0, j]), "contribution": float(shares[j])} for j in best]

    async def alert(
        self, key: str, state: dict[str, Any], as_of: int, row_kind: str, score: float, limit: float, reasons: Any
    ) -> None:
        alert_id = f"churn_risk/{key}/{state['episode']}"
        status = "closed" if reasons is None else "opened"
        await self.alert_topic.send(key=key, value={
            "event_id": f"{alert_id}:{status}", "alert_id": alert_id, "customer_id": key, "rule": "churn_risk",
            "episode": state["episode"], "status": status, "as_of_ms": as_of, "row_kind": row_kind, "score": score,
            "threshold": limit, "model_version": "bench", "reasons": reasons or [],
        })  # fmt: skip

    def finish(self) -> None:
        """Write the result and end the process: nothing is left to be saved."""
        result = {
            "n_events": self.n_events, "n_rows": self.n_rows, "seconds": time.perf_counter() - self.first_at,
            "cpu_s": time.process_time() - self.cpu_at, "rss_mb": own_peak_rss_mb(), "opened": self.n_opened,
            "scores": self.scores,
        }  # fmt: skip
        (self.path.parent / "result.json").write_text(json.dumps(result))
        os._exit(0)


def main() -> None:
    """Run one job."""
    path = Path(sys.argv[1])
    loop = Loop(json.loads(path.read_text()), path)
    sys.argv = sys.argv[:1]
    worker = faust.Worker(loop.app, loglevel="error")
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
