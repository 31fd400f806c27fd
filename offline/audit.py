"""Past scores computed again from the log, bit for bit: which events, which features, which model.

As known then: the events below the offset stamps that the score carries. As it happened: all events known now that
happened before. A score that cannot be computed says why: its events are not retained, or were erased, or its model's
bundle is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from offline.audit_events import PartitionEvents, SourceEvents
from offline.audit_rows import PastRow, happened_before, known_then, rows_of
from offline.audit_scores import PastScore
from offline.lake_before import load_lake_before
from offline.released_models import ReleasedModels, active_model
from schemas.codec import Codec
from schemas.errors import DriftlineError
from schemas.partition import partition_of
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.workload import Workload
from schemas.workload_parse import parse_workload
from stream_app.columns import Columns
from stream_app.model import RULE_VERSION, Model, Reason, RuleModel
from stream_app.plan import Plan

Verdict = Literal["equal", "differs", "not retained", "erased", "model bundle missing"]
BANDS = ("low", "high")


@dataclass(frozen=True, eq=False)
class Recomputed:
    """A score as it comes out now.

    Parameters
    ----------
    row
        Its feature row.
    features
        Name -> value; NaN is missing.
    """

    row: PastRow
    features: dict[str, float]
    score: np.float32
    band: str
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, eq=False)
class Audit:
    """What became of one past score.

    Parameters
    ----------
    detail
        Why it is not equal; "" when it is.
    then
        Recomputed as known then; None when it cannot be.
    happened
        Recomputed as it happened; None when not asked for.
    """

    past: PastScore
    verdict: Verdict
    detail: str = ""
    then: Recomputed | None = None
    happened: Recomputed | None = None


@dataclass(frozen=True, eq=False)
class _Judge:
    """The model of a score and the plan of the workload it was trained for."""

    plan: Plan
    model: Model

    def recompute(self, past: PastScore, row: PastRow, n_reasons: int) -> Recomputed:
        x, kinds = np.ascontiguousarray(row.x.reshape(1, -1)), np.array([past.row_kind], np.int64)
        score = np.float32(self.model.score(x, kinds)[0])
        band = BANDS[int(score >= self.model.thresholds[past.row_kind])]
        reasons = tuple(self.model.explain(x, n_reasons)[0]) if n_reasons else ()
        features = dict(zip(self.plan.feature_names, row.x.tolist(), strict=True))
        return Recomputed(row, features, score, band, reasons)

    @cached_property
    def codec(self) -> Codec:
        return Codec(FileRegistry.for_workload(self.plan.workload))


class Auditor:
    """Recomputes past scores.

    Parameters
    ----------
    settings, workload
        Where events, releases and bundles are; a score of an earlier version of the workload takes that of its bundle.
    n_reasons
        How many reasons to give, 0 for none.
    as_happened
        Compute each score as it happened, too.
    """

    def __init__(
        self, settings: Settings, workload: Workload, *, n_reasons: int = 0, as_happened: bool = False
    ) -> None:
        self._settings, self._workload = settings, workload
        self._n_reasons, self._as_happened = n_reasons, as_happened
        self._models = ReleasedModels(settings, workload)
        self._before = load_lake_before(settings)
        self._judges: dict[tuple[str, str], _Judge | str] = {}

    def audit(self, scores: Sequence[PastScore]) -> list[Audit]:
        """Audits in the order of ``scores``; every partition is read once."""
        done: dict[int, Audit] = {}
        groups: dict[tuple[str, int], list[int]] = {}
        for i, past in enumerate(scores):
            judge = self._judge(past)
            if isinstance(judge, str):
                done[i] = Audit(past, "model bundle missing", judge)
            else:
                partition = partition_of(past.customer_id.encode(), self._settings.partitions)
                groups.setdefault((past.workload_hash, partition), []).append(i)
        for (_, partition), members in groups.items():
            audits = self._audit_partition(partition, [scores[i] for i in members])
            done |= dict(zip(members, audits, strict=True))
        return [done[i] for i in range(len(scores))]

    def _audit_partition(self, partition: int, scores: Sequence[PastScore]) -> Iterable[Audit]:
        """Audits of scores of one partition and one version of the workload."""
        first = self._judge(scores[0])
        assert not isinstance(first, str)
        customers = {past.customer_id.encode() for past in scores}
        events = PartitionEvents(self._settings, first.plan, first.codec, partition, customers)
        for past in scores:
            judge = self._judge(past)
            assert not isinstance(judge, str)
            yield self._audit(judge, past, events.of(past.customer_id.encode()))

    def _audit(self, judge: _Judge, past: PastScore, events: Sequence[SourceEvents]) -> Audit:
        then = self._as_known(judge, past, known_then(past, events))
        detail = "its stamps name no event" if then is None else differences(past, then)
        gone = missing_events(judge.plan, past, events) if detail else None
        if gone is not None:
            return Audit(past, *gone)
        if detail and self._before is not None:
            return Audit(
                past, "not retained", f"the state began with the lake {self._before}, which has no offsets here"
            )
        happened = self._as_it_happened(judge, past, events) if self._as_happened else None
        return Audit(past, "differs" if detail else "equal", detail, then, happened)

    def _as_known(self, judge: _Judge, past: PastScore, chosen: Sequence[Columns]) -> Recomputed | None:
        best = None
        for row in rows_of(judge.plan, past, chosen):
            best = row if best is None or row.hash == past.feature_hash else best
            if row.hash == past.feature_hash and row.stamps == past.stamps:
                break
        return None if best is None else judge.recompute(past, best, self._n_reasons)

    def _as_it_happened(self, judge: _Judge, past: PastScore, events: Sequence[SourceEvents]) -> Recomputed | None:
        row = next(rows_of(judge.plan, past, happened_before(judge.plan, past, events)), None)
        return None if row is None else judge.recompute(past, row, self._n_reasons)

    def _judge(self, past: PastScore) -> _Judge | str:
        """The model that scored, or why there is none."""
        name = past.model_version, past.workload_hash
        if name not in self._judges:
            self._judges[name] = self._load(past)
        return self._judges[name]

    def _load(self, past: PastScore) -> _Judge | str:
        try:
            if past.model_version == RULE_VERSION:
                return self._rule(past)
            bundle = self._models.bundle(past.model_version)
            text = bundle.files["workload.toml"].decode()
            workload = parse_workload(text, bundle.path / "workload.toml")
            if not workload.hash.startswith(past.workload_hash):
                return f"the bundle of {past.model_version} is of workload {workload.hash[:16]}"
            plan = Plan.from_workload(workload)
            return _Judge(plan, active_model(bundle, plan).model)
        except DriftlineError as error:
            return str(error)

    def _rule(self, past: PastScore) -> _Judge | str:
        if not self._workload.hash.startswith(past.workload_hash):
            return f"scored by the rule for workload {past.workload_hash}; this one is {self._workload.hash[:16]}"
        plan = Plan.from_workload(self._workload)
        return _Judge(plan, RuleModel(plan))


def missing_events(
    plan: Plan, past: PastScore, events: Sequence[SourceEvents]
) -> tuple[Literal["not retained", "erased"], str] | None:
    """Why the events below a score's stamps are not all there; None when they are."""
    erased = None
    for topic, stamp, source in zip(plan.workload.topics, past.stamps, events, strict=True):
        if stamp < 0:
            continue
        if not source.is_whole(stamp):
            return "not retained", f"neither lake nor topic {topic.name} holds every offset up to {stamp}"
        if stamp not in source.columns.offset:
            erased = f"{topic.name} holds no event of {past.customer_id} at offset {stamp} any more"
    return None if erased is None else ("erased", erased)


def differences(past: PastScore, now: Recomputed) -> str:
    """In which fields the record differs from what comes out; "" for none."""
    pairs = {
        "event_id": (past.event_id, past.id_that_follows),
        "stamps": (list(past.stamps), list(now.row.stamps)),
        "feature_hash": (past.feature_hash, now.row.hash),
        "score": (past.score, now.score),
        "band": (past.band, now.band),
    }
    wrong = [f"{name} {said} is {found}" for name, (said, found) in pairs.items() if not _is_same(said, found)]
    return "; ".join(wrong)


def _is_same(said: object, found: object) -> bool:
    if isinstance(said, np.float32) and isinstance(found, np.float32):
        return said.tobytes() == found.tobytes()
    return said == found
