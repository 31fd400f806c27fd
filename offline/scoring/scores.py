"""Scores of all live, eligible customers as of a day: the tick that the stream takes at 00:00, bit for bit.

Columns from end to end: a customer is a position in arrays, never a Python object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.durations import DAY_MS
from schemas.packed import PackedText
from stream_app import opcodes as op
from stream_app.model import BoosterModel
from stream_app.state import ROWS_AT_ONCE, PartitionState

BANDS = ("low", "high")
_TIME = pa.timestamp("ms", tz="UTC")
_REASON = pa.struct([("feature", pa.string()), ("value", pa.float32()), ("contribution", pa.float32())])


@dataclass(frozen=True)
class ScoredAs:
    """What all scores of a run share.

    Parameters
    ----------
    as_of_day
        Days since the epoch; the scores know what was known before its 00:00 UTC.
    threshold
        Of tick rows; a score at or above it is high.
    n_reasons
        How many reasons each customer gets; 0 leaves them out.
    """

    as_of_day: int
    version: str
    workload_hash: str
    threshold: float
    n_reasons: int = 0

    @property
    def as_of_ms(self) -> int:
        """The moment of the scores."""
        return self.as_of_day * DAY_MS


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of n customers.

    Parameters
    ----------
    newest_event_ms
        Event time of the newest event that a score knows of, (n,).
    reasons
        (n,) of Arrow lists, strongest first; None without.
    """

    customers: PackedText
    churn_risk: NDArray[np.float32]
    newest_event_ms: NDArray[np.int64]
    reasons: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.churn_risk)

    def to_arrow(self, shared: ScoredAs) -> pa.Table:
        """The same as a table of `score_schema`."""
        n = len(self)
        is_high = self.churn_risk.astype(np.float64) >= shared.threshold
        columns = [
            self.customers.to_arrow().cast(pa.string()),
            pa.array(np.full(n, shared.as_of_ms)).cast(_TIME),
            pa.array(self.churn_risk),
            pa.DictionaryArray.from_arrays(pa.array(is_high.astype(np.int8)), pa.array(BANDS)),
            _same(shared.version, n),
            _same(shared.workload_hash, n),
            pa.array(self.newest_event_ms).cast(_TIME),
        ]
        if self.reasons is not None:
            columns.append(self.reasons)
        return pa.table(columns, schema=score_schema(shared))


def score_schema(shared: ScoredAs) -> pa.Schema:
    """Columns of a table of scores; ``churn_risk`` is a probability."""
    text = pa.dictionary(pa.int8(), pa.string())
    fields = [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("as_of", _TIME, nullable=False),
        pa.field("churn_risk", pa.float32(), nullable=False),
        pa.field("band", text, nullable=False),
        pa.field("model_version", text, nullable=False),
        pa.field("workload_hash", text, nullable=False),
        pa.field("newest_event_time", _TIME, nullable=False),
    ]
    if shared.n_reasons:
        fields.append(pa.field("reasons", pa.list_(_REASON), nullable=False))
    return pa.schema(fields)


def score_state(state: PartitionState, model: BoosterModel, shared: ScoredAs) -> Iterator[Scores]:
    """Take the day's tick of every customer and score it, some thousand at a time; in the order of the slots.

    Parameters
    ----------
    state
        With everything applied that was known before the day, as `recording.state_before` leaves it; it is changed.
    """
    state.set_clock(shared.as_of_day)
    at = 0
    while at < state.n_slots:
        state.begin()
        at = state.sweep(at, at + ROWS_AT_ONCE)
        due = state.due()
        chosen = np.flatnonzero(due.rows[:, 2] == op.TICK)
        if len(chosen):
            yield _scored(state, model, shared, due.rows[chosen, 0], due.x[chosen])


def _scored(
    state: PartitionState, model: BoosterModel, shared: ScoredAs, slots: NDArray[np.int64], x: NDArray[np.float32]
) -> Scores:
    newest = state.s64.reshape(-1, state.row64)[slots, state.plan.event_at + op.LAST]
    scores = model.score(x, np.full(len(x), op.TICK, np.int64))
    reasons = _reasons(model, x, shared.n_reasons) if shared.n_reasons else None
    return Scores(state.customer_keys(slots), scores, newest, reasons)


def _reasons(model: BoosterModel, x: NDArray[np.float32], n: int) -> pa.Array:
    """What `BoosterModel.explain` says, as Arrow lists."""
    contributions = model.contributions(x)
    best = np.argsort(-contributions, axis=1, kind="stable")[:, :n]
    found = np.take_along_axis(contributions, best, axis=1)
    pushes = found > 0
    names = pa.array(model.names).take(pa.array(best[pushes]))
    values = pa.array(np.take_along_axis(x, best, axis=1)[pushes])
    reasons = pa.StructArray.from_arrays(
        [names, values, pa.array(found[pushes].astype(np.float32))], fields=list(_REASON)
    )
    ends = np.concatenate([[0], np.cumsum(pushes.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), reasons)


def _same(text: str, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int8)), pa.array([text]))


def reasons_as_json(reasons: pa.ChunkedArray) -> pa.Array:
    """Lists of reasons as text, for where there are no lists: ``[{"feature": ..., "value": ..., ...}, ...]``."""
    lines = [json.dumps([_whole(one) for one in found]) for found in reasons.to_pylist()]
    return pa.array(lines, pa.string())


def _whole(reason: dict[str, Any]) -> dict[str, Any]:
    return {name: None if cell != cell else cell for name, cell in reason.items()}
