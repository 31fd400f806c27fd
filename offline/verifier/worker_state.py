"""What the worker itself would find on a restart: its own state, read with its own restore, as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from offline.verifier.events import Record
from offline.verifier.outputs import Line, line_of
from schemas.codec import Codec
from schemas.settings import Settings
from schemas.workload import Workload
from stream_app import opcodes as op
from stream_app.feature_kernel import new_frames, take_features
from stream_app.model import RuleModel
from stream_app.partition_task import PartitionTask
from stream_app.plan import Plan
from stream_app.releases import ActiveModel, ModelSchedule
from stream_app.restore import restore
from stream_app.scoring import Scorer

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WorkerState:
    """A partition as its last checkpoint left it.

    Attributes
    ----------
    positions
        Next offset of every source, the clock last; empty before the first checkpoint.
    pending
        (topic, key, value) of what the last checkpoint caused, where a restart would publish it again.
    """

    positions: tuple[int, ...]
    is_sweeping: bool
    accounting: dict[str, Any]
    customers: list[Line]
    pending: list[tuple[str, bytes, bytes]]


def read_worker_state(
    settings: Settings, workload: Workload, codec: Codec, partition: int, topic: str, records: Iterable[Record]
) -> WorkerState:
    """Restore a partition from its state topic.

    Raises
    ------
    RestoreError
        When the state cannot be restored, as it could not by a worker.
    """
    plan = Plan.from_workload(workload)
    scorer = Scorer(plan, codec, ModelSchedule(ActiveModel(RuleModel(plan))), settings.topic_prefix)
    task = PartitionTask(plan, codec, partition, settings.partitions, scorer)
    restored = restore(task, ((record.key or b"", record.value or b"") for record in records), topic)
    return WorkerState(
        () if restored.marker is None else (*task.positions, task.clock_position),
        task.is_sweeping,
        {
            "n_in": task.accounting.n_in, "applied": task.accounting.applied, "duplicate": task.accounting.duplicate,
            "refused": {reason: n for reason, n in task.accounting.refused.items() if n},
        },
        _Rows(task).lines(),
        [(block.topic, key, value) for block in restored.outputs for key, value in block],
    )  # fmt: skip


class _Rows:
    """The rows of a restored task, one after the other."""

    def __init__(self, task: PartitionTask) -> None:
        self.plan, self.state = task.plan, task.state
        self.ageing = np.array([column.type == "tenure" for column in self.plan.columns])
        self.frames: Any = new_frames(self.plan.fops)
        self.x = np.zeros((1, self.plan.n_features), np.float32)

    def lines(self) -> list[Line]:
        """Everybody's line."""
        rows = self.state.s64.reshape(-1, self.state.row64)[: self.state.n_slots]
        taken = np.flatnonzero(rows[:, self.plan.event_at + op.KEY_LEN]).astype(np.int64)
        keys = self.state.customer_ids(taken)
        return [self._line(slot, key, rows[slot]) for slot, key in zip(taken.tolist(), keys, strict=True)]

    def _line(self, slot: int, key: bytes, row: Int64s) -> Line:
        plan, event = self.plan, row[self.plan.event_at :]
        first, newest, start, end, label = (
            None if event[place] == op.NONE else int(event[place])
            for place in (op.FIRST, op.LAST, op.START, op.END, op.LABEL)
        )
        decision = row[plan.decision_at : plan.stamps_at].tolist()
        step = decision[op.STEP]
        memory = self.state.rows[slot, plan.memory_at : plan.memory_at + plan.memory_days].tolist()
        rules = decision[op.N_DECISION :]
        return line_of(
            f"customer {key.decode()}",
            {
                "first_start": first, "newest_event": newest, "newest_start": start, "newest_end": end, "label": label,
                "features": self._features(slot, event, first),
                "stamps": row[plan.stamps_at :][: plan.n_sources].tolist(),
                "tick_day": decision[op.TICK_DAY], "step": None if step == op.NONE else step,
                "last_score_micros": decision[op.SCORE], "is_high": bool(decision[op.BAND]),
                "episodes": [rules[i : i + op.N_RULE] for i in range(0, len(rules), op.N_RULE)],
                "remembered": {str(place): bin_ - 1 for place, bin_ in enumerate(memory) if bin_},
            },
        )  # fmt: skip

    def _features(self, slot: int, event: Int64s, first_start: int | None) -> dict[str, float]:
        """The features just after the customer's newest event: all that the row can say."""
        state, plan, at = self.state, self.plan, slot * self.state.row64
        take_features(
            state.s64, state.s32, at + plan.event_at, at * 2 + plan.i32_at, int(event[op.LAST]) + 1, plan.fops,
            plan.fscale, plan.zone, self.frames, self.x, 0,
        )  # fmt: skip
        row = np.where(self.ageing, np.nan, self.x[0]) if first_start is None else self.x[0]
        return dict(zip(plan.feature_names, row.tolist(), strict=True))
