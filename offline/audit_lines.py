"""An audit as lines for a reader, and as JSON for a program."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from offline.audit import Audit, Recomputed
from offline.audit_scores import PastScore, moment_text
from stream_app import opcodes as op

SHOWN = 10  # audits that are not equal, one by one


def audit_lines(audit: Audit) -> Iterator[str]:
    """Everything about one audit."""
    past = audit.past
    yield f"{past.event_id}: {audit.verdict}" + (f" ({audit.detail})" if audit.detail else "")
    yield f"  {moment_text(past.as_of_ms)} UTC, {op.ROW_KINDS[past.row_kind]}, model {past.model_version}"
    yield f"  recorded    {_score_text(past.score, past.band, past.feature_hash)}"
    if audit.then is not None:
        yield f"  recomputed  {_recomputed_text(audit.then)}"
    if audit.happened is not None:
        yield f"  as happened {_recomputed_text(audit.happened)}"
    if audit.then is not None:
        yield from _reason_lines(audit.then)
        yield from _feature_lines(audit.then, audit.happened)


def _score_text(score: Any, band: str, feature_hash: int) -> str:
    return f"score {float(score):.9f} ({score.tobytes()[::-1].hex()}) {band}, features {feature_hash & 2**64 - 1:016x}"


def _recomputed_text(now: Recomputed) -> str:
    return f"{_score_text(now.score, now.band, now.row.hash)}, from {now.row.n_events} events"


def _reason_lines(now: Recomputed) -> Iterator[str]:
    for reason in now.reasons:
        yield f"  reason      {reason.feature} {reason.value:g} ({reason.contribution:+.4f})"


def _feature_lines(then: Recomputed, happened: Recomputed | None) -> Iterator[str]:
    width = max(map(len, then.features))
    for name, value in then.features.items():
        other = "" if happened is None or _is_same(value, happened.features[name]) else happened.features[name]
        yield f"  {name:{width}}  {value:.9g}" + (f"  as happened {other:.9g}" if other != "" else "")


def _is_same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def summary_lines(audits: Sequence[Audit]) -> Iterator[str]:
    """How many of many are equal, and the first that are not."""
    counts = Counter(audit.verdict for audit in audits)
    others = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()) if verdict != "equal")
    for audit in [audit for audit in audits if audit.verdict != "equal"][:SHOWN]:
        yield f"{audit.past.event_id}: {audit.verdict} ({audit.detail})"
    yield f"{counts['equal']} of {len(audits)} equal" + (f"; {others}" if others else "")


def score_line(past: PastScore) -> str:
    """One score of a list."""
    return f"{moment_text(past.as_of_ms)}  {op.ROW_KINDS[past.row_kind]:6}  {float(past.score):.6f}  {past.event_id}"


def score_json(past: PastScore) -> dict[str, Any]:
    """A score record, plain."""
    return {
        "event_id": past.event_id, "customer_id": past.customer_id, "as_of_ms": past.as_of_ms,
        "row_kind": op.ROW_KINDS[past.row_kind], "score": float(past.score), "band": past.band,
        "model_version": past.model_version, "workload_hash": past.workload_hash, "feature_hash": past.feature_hash,
        "stamps": list(past.stamps),
    }  # fmt: skip


def audit_json(audit: Audit) -> dict[str, Any]:
    """An audit, plain; a missing feature is null."""
    return {
        "verdict": audit.verdict, "detail": audit.detail, "recorded": score_json(audit.past),
        "recomputed": _recomputed_json(audit.then), "as_happened": _recomputed_json(audit.happened),
    }  # fmt: skip


def _recomputed_json(now: Recomputed | None) -> dict[str, Any] | None:
    if now is None:
        return None
    return {
        "score": float(now.score), "band": now.band, "feature_hash": now.row.hash, "stamps": list(now.row.stamps),
        "n_events": now.row.n_events,
        "features": {name: None if math.isnan(value) else value for name, value in now.features.items()},
        "reasons": [[reason.feature, reason.value, reason.contribution] for reason in now.reasons],
    }  # fmt: skip
