"""What is counted of one topic while its events go by: accepted, refused, repeated, missing, unseen, late, by day.

Which of it is too much is the business of `offline.validation`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from offline.near_duplicates import NearDuplicates
from offline.pandera_schema import failures, frame_of, frame_schema
from schemas.durations import DAY_MS, HOUR_MS, MINUTE_MS
from schemas.lake_table import batch_of
from schemas.reasons import REASONS
from schemas.workload import EventTopic
from stream_app import opcodes as op
from stream_app.columns import columns_of
from stream_app.plan import Plan

LATENESS_STEPS_MS: Final = (0, MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS, 2 * DAY_MS, 7 * DAY_MS)
LATENESS_NAMES: Final = ("at once", "1 min", "1 h", "6 h", "1 day", "2 days", "7 days", "later")
MAX_EXAMPLES: Final = 5


class TopicCounts:
    """Counts the events of one topic; batches come in ascending days of event time.

    Parameters
    ----------
    plan
        Of the workload.
    topic
        Whose events.
    near_ms
        How close near-duplicates are.
    """

    def __init__(self, plan: Plan, topic: EventTopic, near_ms: int) -> None:
        self.topic = topic
        self._plan, self._schema = plan, frame_schema(plan.workload, topic)
        self.n_rows = 0
        self.refused: Counter[str] = Counter()
        self.failures: Counter[tuple[str, str]] = Counter()
        self.by_day: Counter[int] = Counter()
        self.near = NearDuplicates(near_ms)
        self.lateness = np.zeros(len(LATENESS_NAMES), dtype=np.int64)
        self.n_of_kind = np.zeros(len(topic.kinds), dtype=np.int64)
        self.n_missing = {field.name: self.n_of_kind.copy() for field in topic.fields}
        self.unseen: dict[str, Counter[str]] = {f.name: Counter() for f in topic.fields if f.type == "category"}
        self._ids: list[NDArray[np.int64]] = []

    def update(self, table: pa.Table) -> None:
        """Take a table of `schemas.lake_table.lake_schema`."""
        if not table.num_rows:
            return
        batch = batch_of(self.topic, table)
        columns = columns_of(self._plan, batch, table["offset"].to_numpy())
        accepted = columns.status == op.PENDING
        self.n_rows += len(batch)
        self.refused.update(REASONS[code - op.REFUSED] for code in columns.status[~accepted].tolist())
        self._ids.append(columns.id_hash[accepted])
        days, counts = np.unique(batch.event_time_ms // DAY_MS, return_counts=True)
        self.by_day.update(dict(zip(days.tolist(), counts.tolist(), strict=True)))
        late = np.searchsorted(LATENESS_STEPS_MS, batch.known_time_ms - batch.event_time_ms)
        self.lateness += np.bincount(late, minlength=len(LATENESS_NAMES))
        self.n_of_kind += np.bincount(batch.kind, minlength=len(self.n_of_kind))
        for field in self.topic.fields:
            self._count_field(field.name, field.categories, table[field.name], batch.kind)
        frame = frame_of(table)
        self.failures.update(failures(self._schema, frame))
        self.near.update(frame, [field.name for field in self.topic.fields])

    def _count_field(self, name: str, categories: tuple[str, ...], cells: Any, kind: NDArray[np.int16]) -> None:
        missing = cells.is_null().to_numpy()
        self.n_missing[name] += np.bincount(kind[missing], minlength=len(self.n_of_kind))
        if name in self.unseen:
            known = pc.is_in(cells, pa.array([*categories, None], pa.string()))
            counts = pc.value_counts(cells.filter(pc.invert(known)).combine_chunks())
            self.unseen[name].update({str(pair["values"]): int(pair["counts"]) for pair in counts.to_pylist()})

    @property
    def n_accepted(self) -> int:
        """Events that the stream would take, repeated ones too."""
        return sum(map(len, self._ids))

    @property
    def n_refused(self) -> int:
        """Events that the stream would refuse."""
        return sum(self.refused.values())

    def n_duplicates(self) -> int:
        """Accepted events whose id was there already."""
        return self.n_accepted - len(np.unique(np.concatenate(self._ids))) if self._ids else 0

    def missing(self) -> dict[str, tuple[int, int]]:
        """Field -> (missing, events) of the kinds that carry it at all; of all kinds when none ever does."""
        found = {}
        for field in self.topic.fields:
            missing = self.n_missing[field.name]
            carries = missing < self.n_of_kind
            kinds = carries if carries.any() else np.ones_like(carries)
            found[field.name] = (int(missing[kinds].sum()), int(self.n_of_kind[kinds].sum()))
        return found
