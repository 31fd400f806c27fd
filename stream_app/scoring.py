"""From due rows to scores, decisions and records: the part of the corridor behind the features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from schemas.codec import Codec
from stream_app import faults
from stream_app import opcodes as op
from stream_app.decide_kernel import CLOSE_BELOW, CLOSED, COOL_DOWN, OPEN_ABOVE, OPENED, decide
from stream_app.encode_kernel import ID_EXTRA, encode_scores
from stream_app.model import Reason
from stream_app.outputs import OutputBlock, Outputs
from stream_app.plan import Plan
from stream_app.releases import ActiveModel, ModelSchedule
from stream_app.state import DueRows, PartitionState
from stream_app.summary import SummaryBuilder

Int64s = npt.NDArray[np.int64]
MOVED_MICROS = 50_000  # a score that moved by more than 0.05 says something new


@dataclass
class AlertCounts:
    """Alerts opened and closed, and those that opened in silence before ``live_from``."""

    opened: int = 0
    closed: int = 0
    silent: int = 0


class Scorer:
    """Scores due rows of one partition and writes what follows into its outputs.

    Parameters
    ----------
    plan, codec
        Of the workload.
    schedule
        Which model scores which day.
    topic_prefix
        Put before topic names.
    live_from_ms
        Alerts as of an earlier moment change state but are not published.
    """

    def __init__(
        self, plan: Plan, codec: Codec, schedule: ModelSchedule, topic_prefix: str = "", live_from_ms: int = 0
    ) -> None:
        self.plan, self.codec, self.schedule = plan, codec, schedule
        self.prefix, self.live_from_ms = topic_prefix, live_from_ms
        self.alerts = AlertCounts()
        self.n_scored = 0
        self.n_published = 0
        self._active: ActiveModel | None = None
        self._head = np.frombuffer(codec.registry.named("score").header, np.uint8)
        self._workload = np.frombuffer(plan.workload.hash[:16].encode(), np.uint8)

    def run(self, state: PartitionState, due: DueRows, outputs: Outputs, summary: SummaryBuilder) -> None:
        """Score what is due, decide, and put scores and alerts into ``outputs``."""
        if len(due.outcomes):
            summary.outcomes(due.outcomes, self.schedule.version_at)
        for part, model in self._by_model(due):
            self._run(state, part, model, outputs, summary)

    def _by_model(self, due: DueRows) -> Iterator[tuple[DueRows, ActiveModel]]:
        """Runs of rows that one model scores, in order."""
        n = len(due.rows)
        if not n:
            return
        days = due.rows[:, 1] // op.DAY_MS
        models = {day: self.schedule.at(day) for day in np.unique(days).tolist()}
        if len({id(model) for model in models.values()}) == 1:
            yield due, models[int(days[0])]
            return
        which = np.array([id(models[day]) for day in days.tolist()])
        cuts = [0, *(np.flatnonzero(which[1:] != which[:-1]) + 1).tolist(), n]
        for a, b in pairwise(cuts):
            yield DueRows(due.rows[a:b], due.stamps[a:b], due.x[a:b], due.outcomes[:0]), models[int(days[a])]

    def _run(
        self, state: PartitionState, due: DueRows, active: ActiveModel, outputs: Outputs, summary: SummaryBuilder
    ) -> None:
        if active is not self._active:
            if self._active is not None:
                faults.reach("model_swap")
            self._active = active
        kinds = np.where(due.rows[:, 2] == op.ENDED, op.TICK, due.rows[:, 2])
        scores = active.model.score(due.x, kinds)
        self.n_scored += int((due.rows[:, 2] != op.ENDED).sum())
        why = np.zeros(len(scores), np.int64)
        actions = np.zeros((len(scores) * max(1, self.plan.n_rules), 5), np.int64)
        thresholds = active.model.thresholds
        n = decide(
            due.rows, scores, thresholds, self._limits(thresholds), MOVED_MICROS, state.s64, state.s8, state.row64,
            self.plan.rule, why, actions,
        )  # fmt: skip
        self._publish_scores(state, due, scores, why, active, outputs)
        if n:
            self._publish_alerts(state, due, scores, active, actions[:n], outputs)
        summary.scores(due.rows, scores, due.x, active.model.version, active.edges)

    def _limits(self, thresholds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        limits = np.zeros((self.plan.n_rules, 3, 3))
        for r, rule in enumerate(self.plan.workload.alerts):
            above = thresholds if rule.open_above is None else np.full(3, rule.open_above)
            limits[r, :, OPEN_ABOVE] = above
            limits[r, :, CLOSE_BELOW] = above * rule.close_below
            limits[r, :, COOL_DOWN] = rule.cool_down_ms
        return limits

    def _publish_scores(
        self,
        state: PartitionState,
        due: DueRows,
        scores: npt.NDArray[np.float32],
        why: Int64s,
        active: ActiveModel,
        outputs: Outputs,
    ) -> None:
        chosen = np.flatnonzero(why)
        if not len(chosen):
            return
        self.n_published += len(chosen)
        version = np.frombuffer(active.model.version.encode(), np.uint8)
        fixed = 5 + ID_EXTRA + 2 * self.plan.key_bytes + 64 + len(version) + 10 * (self.plan.n_sources + 2)
        out, ends = np.empty(len(chosen) * fixed, np.uint8), np.empty(len(chosen), np.int64)
        size = encode_scores(
            chosen, due.rows, scores, why, active.model.thresholds, due.x, due.stamps, state.s64, state.s8, state.row64,
            self.plan.event_at, self._head, version, self._workload, out, ends,
        )  # fmt: skip
        keys = state.customer_ids(due.rows[chosen, 0])
        key_ends = np.cumsum(np.fromiter(map(len, keys), np.int64, len(keys)))
        joined, values = b"".join(keys), out[:size].tobytes()
        for topic in ("scores", "latest-scores"):
            outputs.add_block(OutputBlock(self.prefix + topic, joined, key_ends, values, ends))

    def _publish_alerts(
        self,
        state: PartitionState,
        due: DueRows,
        scores: npt.NDArray[np.float32],
        active: ActiveModel,
        actions: Int64s,
        outputs: Outputs,
    ) -> None:
        published = actions[actions[:, 4] >= self.live_from_ms]
        is_opening = actions[:, 2] == OPENED
        self.alerts.silent += int((is_opening & (actions[:, 4] < self.live_from_ms)).sum())
        if not len(published):
            return
        keys = state.customer_ids(due.rows[published[:, 0], 0])
        reasons = self._reasons(due, active, published)
        for (i, r, action, episode, _), key, why in zip(published.tolist(), keys, reasons, strict=True):
            row_kind = int(due.rows[i, 2]) if due.rows[i, 2] != op.ENDED else op.TICK
            record = self._alert(key, r, action, episode, int(due.rows[i, 1]), row_kind, float(scores[i]), active, why)
            outputs.add(self.prefix + "alerts", key, self.codec.encode("alert", record))
            outputs.is_awaited |= row_kind != op.TICK
        self.alerts.opened += int((published[:, 2] == OPENED).sum())
        self.alerts.closed += int((published[:, 2] == CLOSED).sum())

    def _reasons(self, due: DueRows, active: ActiveModel, actions: Int64s) -> list[list[Reason]]:
        opened = np.flatnonzero(actions[:, 2] == OPENED)
        reasons: list[list[Reason]] = [[] for _ in actions]
        if len(opened):
            wanted = max(rule.reasons for rule in self.plan.workload.alerts)
            for i, found in zip(opened, active.model.explain(due.x[actions[opened, 0]], wanted), strict=True):
                reasons[i] = found[: self.plan.workload.alerts[int(actions[i, 1])].reasons]
        return reasons

    def _alert(
        self,
        key: bytes,
        r: int,
        action: int,
        episode: int,
        as_of: int,
        row_kind: int,
        score: float,
        active: ActiveModel,
        reasons: list[Reason],
    ) -> dict[str, object]:
        rule, customer = self.plan.workload.alerts[r], key.decode()
        status = "opened" if action == OPENED else "closed"
        alert_id = f"{rule.name}/{customer}/{episode}"
        threshold = float(active.model.thresholds[row_kind]) if rule.open_above is None else rule.open_above
        return {
            "event_id": f"{alert_id}:{status}", "alert_id": alert_id, "customer_id": customer, "rule": rule.name,
            "episode": episode, "status": status, "as_of_ms": as_of, "row_kind": op.ROW_KINDS[row_kind], "score": score,
            "threshold": threshold, "model_version": active.model.version,
            "reasons": [{"feature": w.feature, "value": w.value, "contribution": w.contribution} for w in reasons],
        }  # fmt: skip
