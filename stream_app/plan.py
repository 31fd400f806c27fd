"""A workload turned into tables of numbers: what the compiled kernels read instead of being compiled for it.

``Plan.from_workload`` is the only place where features, label and liveness of the workload file meet the row layout.
No state and no events here. Long because the tables' columns are described where they are filled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from schemas.workload import Feature, Workload
from stream_app import opcodes as op
from stream_app.layout import Layout, Ring, tile_days_of
from stream_app.time_zone import offset_table

Int64s = npt.NDArray[np.int64]

_WINDOWED = {"count": op.F_COUNT, "sum": op.F_SUM, "mean": op.F_MEAN, "max": op.F_MAX, "distinct_days": op.F_DAYS}
_PAIRED = {"ratio": op.F_RATIO, "trend": op.F_TREND}
_PARTS = {"weekday": op.WEEKDAY, "day_of_month": op.DAY_OF_MONTH, "month": op.MONTH}
_LABELS = {"cancel": op.CANCEL, "lapse": op.LAPSE, "inactivity": op.INACTIVITY}
_CODES = {"count": (op.ADD_COUNT,), "sum": (op.ADD_SUM,), "mean": (op.ADD_SUM, op.ADD_PRESENT), "max": (op.MAX_TILE,)}


@dataclass(frozen=True)
class FeatureColumn:
    """One column of the feature matrix and what a reader of it must know."""

    name: str
    type: str
    unit: str
    is_categorical: bool
    categories: tuple[str, ...]
    is_ageing: bool
    is_calendar: bool


@dataclass(frozen=True, eq=False)
class Plan:
    """Descriptor tables of a workload.

    ``kind_ptr``/``ops`` are update ops in compressed rows by global kind; ``rings`` is (n, 5): region, at, length,
    tile days, clear value; ``fops`` is (n_features, 10) and ``fscale`` its scales; ``rule`` holds the scalars of
    `opcodes` RULE_*.
    """

    workload: Workload
    columns: tuple[FeatureColumn, ...]
    kind_ptr: Int64s
    ops: Int64s
    rings: Int64s
    fops: Int64s
    fscale: npt.NDArray[np.float64]
    initial: Int64s
    n_i64: int
    n_i32: int
    rule: Int64s
    urgent: npt.NDArray[np.uint8]
    zone: Int64s

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the feature columns, in matrix order."""
        return tuple(column.name for column in self.columns)

    @property
    def n_features(self) -> int:
        """Number of feature columns."""
        return len(self.columns)

    @property
    def n_sources(self) -> int:
        """Number of event topics."""
        return len(self.workload.topics)

    @cached_property
    def fields(self) -> tuple[tuple[int, str], ...]:
        """Every value field as (topic index, name), in plan order."""
        return tuple((i, field.name) for i, topic in enumerate(self.workload.topics) for field in topic.fields)

    @cached_property
    def first_kind(self) -> tuple[int, ...]:
        """Global index of the first kind of each topic."""
        starts = np.cumsum([0] + [len(topic.kinds) for topic in self.workload.topics])
        return tuple(int(s) for s in starts[:-1])

    @property
    def n_kinds(self) -> int:
        """Number of kinds over all topics."""
        return len(self.urgent)

    # ---- the row, in bytes ----
    @cached_property
    def key_bytes(self) -> int:
        """Bytes kept for the customer id, a multiple of eight."""
        return -(-self.workload.customer_id_max_bytes // 8) * 8

    @property
    def event_at(self) -> int:
        """First int64 of the event part."""
        return self.key_bytes // 8

    @property
    def i32_at(self) -> int:
        """First int32 of the event part's int32 tiles."""
        return (self.event_at + self.n_i64) * 2

    @property
    def decision_at(self) -> int:
        """First int64 of the decision part."""
        return (self.i32_at + self.n_i32 + 1) // 2

    @property
    def n_rules(self) -> int:
        """Number of alert rules."""
        return len(self.workload.alerts)

    @property
    def stamps_at(self) -> int:
        """First int64 of the offset stamps, one for each event topic."""
        return self.decision_at + op.N_DECISION + op.N_RULE * self.n_rules

    @property
    def memory_at(self) -> int:
        """First byte of the remembered score bins."""
        return (self.stamps_at + self.n_sources) * 8

    @cached_property
    def memory_days(self) -> int:
        """Days over which tick scores are remembered: the label horizon and one."""
        return int(-(-self.workload.label.horizon_ms // op.DAY_MS)) + 1

    @property
    def row_bytes(self) -> int:
        """Bytes of one customer's row."""
        return -(-(self.memory_at + self.memory_days) // 8) * 8

    def event_part(self) -> slice:
        """Byte range of the event part in a row (offset stamps aside)."""
        return slice(0, self.decision_at * 8)

    @classmethod
    def from_workload(cls, workload: Workload) -> Plan:
        """Derive every table from a checked workload."""
        return _Planner(workload).plan()


class _Planner:
    """Builds a plan: first the longest windows that share tiles, then places and ops."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.kinds = dict(workload.kind_index)
        self.field_of = {
            (kind.name, field.name): (i, field)
            for topic in workload.topics
            for i, field in enumerate(topic.fields)
            for kind in topic.kinds
        }
        self.layout = Layout(
            len(self.kinds), {(self.kinds[kind], name): i for (kind, name), (i, _) in self.field_of.items()}
        )
        self.longest: dict[tuple[object, ...], int] = {}

    def plan(self) -> Plan:
        for feature in self.workload.features:
            self._note_windows(feature)
        self._fixed_columns()
        rows = [row for feature in self.workload.features for row in self._columns(feature)]
        layout = self.layout
        initial = np.zeros(layout.n_i64, np.int64)
        for place, value in layout.initial.items():
            initial[place] = value
        flat = [entry for ops in layout.ops for entry in ops]
        draft = Plan(
            workload=self.workload,
            columns=tuple(column for column, _, _ in rows),
            kind_ptr=np.cumsum([0] + [len(ops) for ops in layout.ops]).astype(np.int64),
            ops=np.array(flat, np.int64).reshape(-1, 6),
            rings=np.array(
                [
                    (r.region, r.at, r.length, r.tile_days, c)
                    for r, c in zip(layout.rings, layout.ring_clear, strict=True)
                ],
                np.int64,
            ).reshape(-1, 5),
            fops=np.array([code for _, code, _ in rows], np.int64).reshape(-1, 10),
            fscale=np.array([scale for _, _, scale in rows], np.float64),
            initial=initial,
            n_i64=layout.n_i64,
            n_i32=layout.n_i32,
            rule=np.zeros(16, np.int64),
            urgent=np.array([k.urgent for t in self.workload.topics for k in t.kinds], np.uint8),
            zone=offset_table(self.workload.timezone),
        )
        draft.rule[:] = self._scalars(draft)
        return draft

    def _scalars(self, plan: Plan) -> list[int]:
        w = self.workload
        return [
            w.score_every_ms,
            w.forget_after_ms,
            w.live.idle_after_ms or 0,
            w.eligible.min_tenure_ms,
            _LABELS[w.label.type],
            plan.memory_days - 1,
            w.label.grace_ms or 0,
            plan.event_at,
            plan.i32_at,
            plan.decision_at,
            plan.stamps_at,
            plan.memory_at,
            plan.memory_days,
            plan.key_bytes,
            plan.n_rules,
            w.lateness_ms,
        ]

    def _ids(self, kinds: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(sorted(self.kinds[kind] for kind in kinds))

    def _field(self, feature: Feature) -> str:
        return feature.field or ""

    def _scale(self, feature: Feature) -> float:
        return float(self.field_of[feature.of[0], feature.field][1].scale) if feature.field else 1.0

    def _codes(self, feature: Feature) -> tuple[int, ...]:
        if feature.type in _PAIRED:
            return (op.ADD_SUM,) if feature.field else (op.ADD_COUNT,)
        return _CODES.get(feature.type, ())

    def _key(self, code: int, feature: Feature, window: int) -> tuple[object, ...]:
        value = "" if code == op.ADD_COUNT else self._field(feature)
        return (code, self._ids(feature.of), value, tile_days_of(window))

    def _note_windows(self, feature: Feature) -> None:
        for window in feature.windows:
            for code in self._codes(feature):
                key = self._key(code, feature, window)
                self.longest[key] = max(self.longest.get(key, 0), window)
            if feature.type == "distinct_days":
                days = ("days", self._ids(feature.of))
                self.longest[days] = max(self.longest.get(days, 0), window)

    def _fixed_columns(self) -> None:
        w = self.workload
        everything = tuple(range(len(self.kinds)))
        ends = self._ids(w.live.end)
        starts = self._ids(w.live.start) if w.live.start else tuple(k for k in everything if k not in ends)
        self.layout.fixed(op.LAST, op.MAX_TIME, everything)
        self.layout.fixed(op.FIRST, op.MIN_TIME, starts)
        self.layout.fixed(op.START, op.MAX_TIME, starts)
        self.layout.fixed(op.END, op.MAX_TIME, ends)
        if w.label.type == "lapse":
            for kind in w.label.of:
                self.layout.fixed(op.LABEL, op.MAX_VALUE, (self.kinds[kind],), str(w.label.field))
        else:
            self.layout.fixed(op.LABEL, op.MAX_TIME, self._ids(w.label.of))

    def _ring(self, code: int, feature: Feature, window: int) -> Ring:
        key = self._key(code, feature, window)
        return self.layout.tiles(code, self._ids(feature.of), str(key[2]), self.longest[key], tile_days_of(window))

    def _columns(self, feature: Feature) -> Iterator[tuple[FeatureColumn, list[int], float]]:
        if feature.type in _WINDOWED:
            for window in feature.windows:
                name = f"{feature.name}_{window}d"
                yield self._column(feature, name), self._windowed(feature, window), self._scale(feature)
        else:
            yield self._column(feature, feature.name), self._plain(feature), self._scale(feature)

    def _column(self, feature: Feature, name: str) -> FeatureColumn:
        field = self.field_of[feature.of[0], feature.field][1] if feature.field else None
        categories = field.categories if field is not None and feature.type == "last" else ()
        units = {
            "count": "1",
            "distinct_days": "days",
            "recency": "days",
            "tenure": "days",
            "delay": "days",
            "until": "days",
        }
        unit = units.get(feature.type, field.unit if field is not None else "1")
        ageing = feature.type == "tenure"
        return FeatureColumn(name, feature.type, unit, bool(categories), categories, ageing, feature.type == "calendar")

    def _windowed(self, feature: Feature, window: int) -> list[int]:
        code = _WINDOWED[feature.type]
        if feature.type == "distinct_days":
            ring = self.layout.days(self._ids(feature.of), self.longest["days", self._ids(feature.of)])
            return _padded(code, ring.at, ring.length, 1, window)
        ring = self._ring(self._codes(feature)[0], feature, window)
        present = self._ring(op.ADD_PRESENT, feature, window).at if feature.type == "mean" else 0
        return _padded(code, ring.at, ring.length, ring.tile_days, window, present)

    def _plain(self, feature: Feature) -> list[int]:
        layout, of = self.layout, self._ids(feature.of)
        if feature.type in _PAIRED:
            code = self._codes(feature)[0]
            short, long = (self._ring(code, feature, w) for w in feature.windows)
            a, b = feature.windows
            return [
                _PAIRED[feature.type],
                *(short.at, short.length, short.tile_days, a),
                *(long.at, long.length, long.tile_days, b),
                int(code == op.ADD_SUM),
            ]
        if feature.type == "recency":
            return _padded(op.F_RECENCY, layout.newest(of))
        if feature.type == "tenure":
            return _padded(op.F_TENURE)
        if feature.type in ("last", "until"):
            code = op.F_LAST if feature.type == "last" else op.F_UNTIL
            return _padded(code, layout.last(of, self._field(feature)))
        if feature.type == "delay":
            return _padded(op.F_DELAY, layout.newest(self._ids(feature.from_)), layout.newest(self._ids(feature.to)))
        if feature.type == "open":
            return _padded(op.F_OPEN, layout.open_items(of, self._ids(feature.closed_by)))
        return _padded(op.F_CALENDAR, _PARTS[str(feature.part)])


def _padded(*numbers: int) -> list[int]:
    return [*numbers, *([0] * (10 - len(numbers)))]
