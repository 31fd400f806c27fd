"""What a demo run amounts to, measured from what it published: ``demo-summary.json``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.children import Children
from offline.cutoffs import date_text
from offline.topic_reader import read_to_end
from schemas.codec import Codec
from schemas.durations import DAY_MS
from schemas.registry import FileRegistry
from schemas.topics import topic_for

if TYPE_CHECKING:
    from driftline.demo import Loop

HORIZON_DAYS = 30


def summarise(loop: Loop, trained: dict[str, Any], children: Children) -> dict[str, Any]:
    """All stages of a finished loop as plain numbers."""
    status, story = loop.status, loop.story
    drift_day = loop.config.first_day + story.drift_after_days
    life = [
        {"status": s["status"], "day": date_text(s["as_of_ms"] // DAY_MS), "reason": s["reason"]} for s in loop.signals
    ]
    opened = next((s for s in loop.signals if s["status"] == "open"), None)
    released = next((s for s in loop.signals if s["status"] == "released"), None)
    activation = {r["version"]: int(r["activate_day"]) for r in loop.releases}
    new = str(released["released_version"]) if released else None
    judged = _judged(loop)
    swap_day = activation.get(new) if new else None
    models = {
        "first": _model(trained["version"], judged, _periods(loop, activation[trained["version"]], drift_day, swap_day))
    }
    if swap_day is not None:
        last = loop.config.first_day + story.total_days - HORIZON_DAYS
        models["new"] = _model(new, judged, {"after the swap": (swap_day, last)})
    models["first"]["evaluation"] = _evaluation(trained)
    if swap_day is not None:
        models["new"]["evaluation"] = _evaluation(loop.evaluation(str(new)))
    return {
        "events": {
            "produced": loop.feeder.n_events,
            "in": status["in"],
            "applied": status["applied"],
            "duplicate": status["duplicate"],
            "late": status["late"],
            "refused": status["refused"],
            "adds_up": status["adds_up"] and status["in"] == loop.feeder.n_events,
        },
        "customers": status["customers"],
        "scores_published": status["scores_published"],
        "alerts": {"opened": status["alerts_opened"], "closed": status["alerts_closed"]},
        "drift": {
            "kind": "concept",
            "planted_day": date_text(drift_day),
            "detected_day": date_text(opened["as_of_ms"] // DAY_MS) if opened else None,
            "delay_days": opened["as_of_ms"] // DAY_MS - drift_day if opened else None,
        },
        "signal": {
            "id": opened["signal_id"] if opened else None,
            "evidence": opened["evidence"] if opened else [],
            "life": life,
        },
        "models": models,
        "swap": {
            "version": new,
            "activate_day": date_text(swap_day) if swap_day is not None else None,
            "s": loop.swap_s.get(new or ""),
        },
        "report": _report(loop, released, children, trained),
    }


def _periods(loop: Loop, first: int, drift_day: int, swap_day: int | None) -> dict[str, tuple[int, int]]:
    """Days on which the first model scored: before the drift, labels too, and after it."""
    last = swap_day or loop.config.first_day + loop.story.total_days - HORIZON_DAYS
    periods = {"before the drift": (first, drift_day - HORIZON_DAYS + 1), "after the drift": (drift_day, last)}
    return {name: span for name, span in periods.items() if span[0] < span[1]}


def _model(version: Any, judged: dict[int, Any], periods: dict[str, tuple[int, int]]) -> dict[str, Any]:
    auc = {}
    for name, (first, last) in periods.items():
        parts = [judged[day] for day in judged if first <= day < last]
        if parts:
            left, score, oracle = (np.concatenate([part[i] for part in parts]) for i in range(3))
            if 0 < left.sum() < len(left):
                auc[name] = {
                    "model": _auc(left, score), "oracle": _auc(left, oracle),
                    "n": len(left), "n_positive": int(left.sum()), "n_days": len(parts),
                }  # fmt: skip
    return {"version": version, "auc": auc}


def _evaluation(found: dict[str, Any]) -> dict[str, Any]:
    """Held-out figures of a bundle's tick rows."""
    tick = found["rows"]["tick"]
    return {key: tick[key] for key in ("n", "n_positive", "roc_auc", "pr_auc", "lift_10", "log_loss", "log_loss_prior")}


def _auc(left: Any, score: Any) -> float:
    from sklearn.metrics import roc_auc_score

    return round(float(roc_auc_score(left, score)), 4)


def _judged(loop: Loop) -> dict[int, tuple[Any, Any, Any]]:
    """Oracle day -> (left within the horizon, score of the tick, true probability) of every customer scored then."""
    last = loop.config.first_day + loop.story.total_days - HORIZON_DAYS
    truth = {
        o.day: dict(zip(o.customer_id.tolist(), o.p_churn.tolist(), strict=True))
        for o in loop.feeder.oracle
        if o.day <= last
    }
    found: dict[int, list[tuple[float, float, float]]] = {}
    for day, customer, score in _tick_scores(loop, set(truth)):
        p = truth[day].get(customer)
        if p is not None:
            at = day * DAY_MS
            left = any(at < t <= at + HORIZON_DAYS * DAY_MS for t in loop.feeder.cancelled.get(customer, ()))
            found.setdefault(day, []).append((float(left), score, p))
    return {day: tuple(np.array(rows).T) for day, rows in found.items()}


def _tick_scores(loop: Loop, days: set[int]) -> Iterator[tuple[int, str, float]]:
    """(day, customer, score) of the published ticks of some days; others are passed over undecoded."""
    codec = Codec(FileRegistry.fixed())
    wanted = {b"@%d/0" % (day * DAY_MS): day for day in days}
    topic = topic_for("scores", loop.workload, loop.settings)
    seen: set[tuple[int, str]] = set()
    for messages in read_to_end(loop.settings, topic):
        for message in messages:
            value = message.value() or b""
            at = value.find(b"@")
            day = wanted.get(value[at : value.find(b"/", at) + 2])
            if day is None:
                continue
            record = codec.decode(value)
            if (day, record["customer_id"]) not in seen:
                seen.add((day, record["customer_id"]))
                yield day, record["customer_id"], record["score"]


def _report(loop: Loop, released: dict[str, Any] | None, children: Children, trained: dict[str, Any]) -> str:
    if released and released["report"]:
        return str(loop.settings.reports_dir / released["report"])
    return children.run("report", "report", str(trained["version"])).strip().splitlines()[-1]
