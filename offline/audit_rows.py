"""The heart run over one customer's events: the feature row of a past moment.

The event part of a row depends on which events it holds, not on their order; with one exception. A customer silent for
longer than ``forget_after`` is forgotten at a tick, unless an alert is still open then, which only the decisions of
that time know. So a row after such a silence can have begun at two places, and `rows_of` gives each in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from offline.audit_events import SourceEvents
from offline.audit_scores import PastScore
from schemas.reasons import REASON_INDEX
from stream_app import opcodes as op
from stream_app.columns import Columns, hash_texts
from stream_app.encode_kernel import feature_hash
from stream_app.feature_kernel import new_frames, take_features
from stream_app.merge_kernel import merge_by_known_time
from stream_app.opcodes import RULE_FORGET
from stream_app.plan import Plan
from stream_app.state import PartitionState

Int64s = NDArray[np.int64]
TOO_LATE = op.REFUSED + REASON_INDEX["too_late"]
NEVER = 1 << 62


@dataclass(frozen=True, eq=False)
class PastRow:
    """A feature row and the offset stamps of the state it was taken from.

    Parameters
    ----------
    n_events
        Events in the state.
    """

    x: NDArray[np.float32]
    stamps: tuple[int, ...]
    n_events: int

    @property
    def hash(self) -> int:
        """As the score record carries it."""
        return int(feature_hash(self.x))


def known_then(score: PastScore, events: Sequence[SourceEvents]) -> list[Columns]:
    """The accepted events below the score's stamps, by topic."""
    chosen = []
    for source, stamp in zip(events, score.stamps, strict=True):
        columns = source.columns
        rows = (columns.offset <= stamp) & (columns.status == op.PENDING)
        chosen.append(columns.take(np.flatnonzero(rows).astype(np.int64)))
    return chosen


def happened_before(plan: Plan, score: PastScore, events: Sequence[SourceEvents]) -> list[Columns]:
    """All events that happened before the score's moment, those refused as too late with them, as if known at once."""
    key_hash = hash_texts(np.array([score.customer_id], object))[0]
    chosen = []
    for topic, source in zip(plan.workload.topics, events, strict=True):
        columns = source.columns
        rows = (columns.event_time < score.as_of_ms) & np.isin(columns.status, [op.PENDING, TOO_LATE])
        if topic.deduplicate:  # a refused event is no reason to call its copy a duplicate; here both would count
            rows &= _is_first(columns.id_hash, rows)
        taken = columns.take(np.flatnonzero(rows).astype(np.int64))
        taken.status[:], taken.key_hash[:] = op.PENDING, key_hash
        order = np.argsort(taken.event_time, kind="stable").astype(np.int64)
        taken = taken.take(order)
        chosen.append(replace(taken, known_time=taken.event_time.copy()))
    return chosen


def _is_first(ids: Int64s, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where an id stands for the first time ``among`` some rows."""
    first = np.zeros(len(ids), np.bool_)
    rows = np.flatnonzero(among)
    first[rows[np.unique(ids[rows], return_index=True)[1]]] = True
    return first


def rows_of(plan: Plan, score: PastScore, chosen: Sequence[Columns]) -> Iterator[PastRow]:
    """The row at the score's moment from these events; the likeliest first, others where the customer fell silent."""
    columns, order = _merged(chosen)
    if not len(order):
        return
    yield _row(plan, score, columns, order)
    remembering = _remembering(plan)
    for begin in _beginnings(plan, columns, order):
        yield _row(remembering, score, columns, order[begin:])


def _merged(chosen: Sequence[Columns]) -> tuple[Columns, Int64s]:
    """The events of all topics and the order in which a stream without lag takes them."""
    ends = np.cumsum([len(columns) for columns in chosen]).astype(np.int64)
    begins = ends - [len(columns) for columns in chosen]
    whole = Columns.concat(list(chosen))
    order, runs = np.empty(len(whole), np.int64), np.empty((len(whole), 2), np.int64)
    n, _, _ = merge_by_known_time(
        whole.known_time, whole.status, np.zeros(len(whole)), begins, ends, np.full(len(chosen), np.inf),
        NEVER, 0.0, np.inf, False, order, runs,
    )  # fmt: skip
    return whole, order[:n]


def _remembering(plan: Plan) -> Plan:
    """The same plan without forgetting."""
    rule = plan.rule.copy()
    rule[RULE_FORGET] = NEVER
    return replace(plan, rule=rule)


def _beginnings(plan: Plan, columns: Columns, order: Int64s) -> list[int]:
    """Positions in ``order`` where a row can have begun anew, newest first, then 0; none without a long silence."""
    newest = np.maximum.accumulate(columns.event_time[order])
    silence = columns.known_time[order][1:] - newest[:-1]
    found = np.flatnonzero(silence > plan.workload.forget_after_ms - 2 * op.DAY_MS) + 1
    return [*found[::-1].tolist(), 0] if len(found) else []


def _row(plan: Plan, score: PastScore, columns: Columns, order: Int64s) -> PastRow:
    state = PartitionState(plan, tick_days=np.zeros(0, np.int64), event_share=0.0, capacity=32)
    mine, done = replace(columns, status=columns.status.copy()), 0
    while done < len(order):
        state.begin()
        done = state.apply(mine, order, done)
    return _taken(plan, state, score.as_of_ms, len(order))


def _taken(plan: Plan, state: PartitionState, as_of_ms: int, n_events: int) -> PastRow:
    """The features of the only customer."""
    slot = state.n_slots - 1
    x = np.empty((1, plan.n_features), np.float32)
    event_at, i32_at = slot * state.row64 + plan.event_at, slot * state.row64 * 2 + plan.i32_at
    frames = new_frames(plan.fops)
    take_features(
        state.s64, state.s32, event_at, i32_at, as_of_ms, plan.fops, plan.fscale, plan.zone, frames, x, 0,
    )  # fmt: skip
    stamps = state.s64[slot * state.row64 + plan.stamps_at :][: plan.n_sources]
    return PastRow(x[0], tuple(stamps.tolist()), n_events)
