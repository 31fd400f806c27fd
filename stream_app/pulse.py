"""The fast loop: do events still come as they used to? Volumes, refused and missing shares, values, scores, by step.

Every series is compared with itself: the same steps of the week over up to four weeks before, so that nights and
Sundays are no news. Steps are pooled into one observation until `MIN_EVENTS` are expected (an hour of logins, ten
days of cancellations). From the residual the median of its last week is taken (a season moves that median along, an
incident cannot for days); it is measured in units of its own spread, at least of a tolerance (10 % of a volume or
mean, one point of a share), and a sequential detector decides. Findings of this loop never open a retrain signal.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from schemas.reasons import REASONS
from schemas.workload import Workload
from stream_app.drift import DAY_MS, Counts, Finding, Floats, Scope, Verdict

WEEK_MS: Final = 7 * DAY_MS
BASE_WEEKS: Final = 4
MIN_EVENTS: Final = 50.0
TOLERANCE: Final = 0.1
SHARE_TOLERANCE: Final = 0.01
CLIP: Final = 8.0
MEMORY: Final = 200
WARM_UP: Final = 10
TREND_VALUES: Final = 8


class Detector(Protocol):
    """What the loop asks of a detector (`stream_app.detectors` has them)."""

    n_seen: int

    @property
    def verdict(self) -> Verdict: ...
    def update(self, value: float) -> Any: ...


@dataclass(frozen=True, slots=True)
class Shape:
    """What a summary's arrays mean: names in the order of the workload.

    `fields` are ``topic.field``; `horizon_days` is the label's.
    """

    workload: str
    n_partitions: int
    kinds: tuple[str, ...]
    fields: tuple[str, ...]
    n_reasons: int
    step_ms: int
    horizon_days: int

    @classmethod
    def from_workload(cls, workload: Workload, n_partitions: int) -> Shape:
        """Shape of the summaries that this workload's workers write."""
        return cls(
            workload=workload.name,
            n_partitions=n_partitions,
            kinds=tuple(kind.name for topic in workload.topics for kind in topic.kinds),
            fields=tuple(f"{topic.name}.{field.name}" for topic in workload.topics for field in topic.fields),
            n_reasons=len(REASONS),
            step_ms=workload.watch.step_ms,
            horizon_days=-(-workload.label.horizon_ms // DAY_MS),
        )

    @property
    def width(self) -> int:
        """Length of what `flat` gives."""
        return len(self.kinds) + self.n_reasons + 3 * len(self.fields) + 2

    def flat(self, step: Mapping[str, Any]) -> Counts:
        """All integers of a Step in one array, so that partitions add up."""
        parts = [step["n_events"], step["n_refused"], step["n_null"], step["sums"], step["n_values"]]
        sizes = [len(self.kinds), self.n_reasons, len(self.fields), len(self.fields), len(self.fields)]
        for part, size in zip(parts, sizes, strict=True):
            if len(part) != size:
                raise ValueError(f"a step has {len(part)} counts where the workload has {size}")
        return np.array([*(n for part in parts for n in part), step["n_scores"], step["score_micros"]], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Series:
    """One watched series and how its residual is measured."""

    scope: Scope
    name: str


class Trend:
    """Median of the residuals of the week before (at least of the last eight): the slow part of a series."""

    def __init__(self) -> None:
        self._past: deque[tuple[int, float]] = deque()
        self._sorted: list[float] = []

    def update(self, at_ms: int, residual: float) -> float:
        """The level before this residual, which then joins."""
        while len(self._past) > TREND_VALUES and self._past[0][0] < at_ms - WEEK_MS:
            del self._sorted[bisect_left(self._sorted, self._past.popleft()[1])]
        n = len(self._sorted)
        level = (self._sorted[(n - 1) // 2] + self._sorted[n // 2]) / 2.0 if n else 0.0
        self._past.append((at_ms, residual))
        insort(self._sorted, residual)
        return level


class Pulse:
    """All series of one workload; fed with whole steps (all partitions) in order, without holes."""

    def __init__(self, shape: Shape, detector: Callable[[], Detector]) -> None:
        self._shape, self._create = shape, detector
        self.series = _series(shape)
        n = len(self.series)
        self._is_volume = np.array([series.scope == "volume" for series in self.series])
        self._slots = max(1, WEEK_MS // shape.step_ms)
        self._past = np.zeros((BASE_WEEKS, self._slots, 2, n))
        self._since = np.full(n, -1, dtype=np.int64)
        self._now, self._base = np.zeros((2, n)), np.zeros((2, n))
        self._detectors = [detector() for _ in self.series]
        self._spread = np.zeros(n)
        self._version: str | None = None
        self._trends = [Trend() for _ in self.series]
        self._day, self._alarmed = -1, set[int]()

    def update(self, start_ms: int, totals: Counts, model_version: str) -> list[Finding]:
        """Take the step that starts at `start_ms`: alarms at once, every other series' state at the end of its day."""
        day = start_ms // DAY_MS
        found = self._close_day() if self._day not in (-1, day) else []
        self._day = day
        self._follow(model_version)
        self._add(start_ms, totals)
        for i in np.flatnonzero(self._is_full()):
            alarm = self._observe(int(i), start_ms)
            found += [alarm] if alarm else []
        return found

    def _follow(self, model_version: str) -> None:
        """Another model has another mean score: forget the old one's. A day without ticks ("") is the last one's."""
        if not model_version:
            return
        if self._version not in (None, model_version):
            i = len(self.series) - 1
            self._past[:, :, :, i], self._now[:, i], self._base[:, i] = 0.0, 0.0, 0.0
            self._since[i], self._spread[i], self._detectors[i] = -1, 0.0, self._create()
            self._trends[i] = Trend()
        self._version = model_version

    def _add(self, start_ms: int, totals: Counts) -> None:
        step = self._fractions(totals)
        number = start_ms // self._shape.step_ms
        week, slot = number // self._slots % BASE_WEEKS, number % self._slots
        self._since = np.where(self._since < 0, number, self._since)
        weeks = np.clip((number - self._since) // self._slots, 0, BASE_WEEKS)
        known = weeks > 0
        self._now += np.where(known, step, 0.0)
        self._base += np.where(known, self._past[:, slot].sum(axis=0) / np.maximum(weeks, 1), 0.0)
        self._past[week, slot] = step

    def _fractions(self, totals: Counts) -> Floats:
        """Numerators and denominators of all series, shape ``(2, n_series)``; a volume's denominator is not used."""
        k, r, f = len(self._shape.kinds), self._shape.n_reasons, len(self._shape.fields)
        events, refused, rest = totals[:k], totals[k : k + r].sum(), totals[k + r :]
        null, sums, values, scores = rest[:f], rest[f : 2 * f], rest[2 * f : 3 * f], rest[3 * f :]
        step = np.zeros((2, len(self.series)))
        step[0, :k], step[0, k], step[1, k] = events, refused, refused + events.sum()
        step[0, k + 1 : k + 1 + f], step[0, k + 1 + f : -1] = null, sums
        step[1, k + 1 : k + 1 + f], step[1, k + 1 + f : -1] = null + values, values
        step[:, -1] = scores[1] / 1e6, scores[0]
        return step

    def _is_full(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        volume = np.maximum(self._now[0], self._base[0])
        ratio = np.minimum(self._now[1], self._base[1])
        return np.asarray(np.where(self._is_volume, volume, ratio) >= MIN_EVENTS)

    def _observe(self, i: int, start_ms: int) -> Finding | None:
        residual, tolerance = _residual(self.series[i].scope, self._now[:, i].tolist(), self._base[:, i].tolist())
        self._now[:, i], self._base[:, i] = 0.0, 0.0
        residual -= self._trends[i].update(start_ms, residual)
        detector = self._detectors[i]
        scale = max(float(np.sqrt(self._spread[i])), tolerance)
        distance = min(max(residual / scale, -CLIP), CLIP)
        self._learn(i, residual, detector.n_seen, tolerance)
        detector.update(distance)
        if detector.verdict != "drifted":
            return None
        self._alarmed.add(i)
        detail, end_ms = f"moved by {residual:+.4g}", start_ms + self._shape.step_ms
        return self._finding(i, end_ms, "drifted", abs(distance), detail, str(start_ms))

    def _learn(self, i: int, residual: float, n_seen: int, tolerance: float) -> None:
        """Running mean square of the residuals; a single outlier counts at most as three times the spread so far."""
        square, before = residual**2, float(self._spread[i])
        if n_seen >= WARM_UP:
            square = min(square, 9.0 * max(before, tolerance**2))
        self._spread[i] = before + (square - before) / min(n_seen + 1, MEMORY)

    def _close_day(self) -> list[Finding]:
        quiet = [i for i in range(len(self.series)) if i not in self._alarmed]
        self._alarmed = set()
        return [self._finding(i, (self._day + 1) * DAY_MS, self._quiet(i), 0.0, "", "day") for i in quiet]

    def _quiet(self, i: int) -> Verdict:
        return "too_few" if self._detectors[i].verdict == "too_few" else "steady"

    def _finding(self, i: int, as_of_ms: int, verdict: Verdict, distance: float, detail: str, mark: str) -> Finding:
        series, detector = self.series[i], self._detectors[i]
        return Finding(
            day=self._day,
            as_of_ms=as_of_ms,
            scope=series.scope,
            name=series.name,
            statistic=type(detector).__name__.lower(),
            distance=distance,
            threshold=1.0,
            verdict=verdict,
            n=detector.n_seen,
            model_version=self._version or "",
            detail=detail,
            mark=mark,
        )


def _series(shape: Shape) -> tuple[Series, ...]:
    """In the order of `Pulse._fractions`; the score is last."""
    return (
        *(Series("volume", kind) for kind in shape.kinds),
        Series("refused", "events"),
        *(Series("missing", field) for field in shape.fields),
        *(Series("value", field) for field in shape.fields),
        Series("score", "mean"),
    )


def _residual(scope: Scope, now: list[float], base: list[float]) -> tuple[float, float]:
    """How far the observation is from its past, and what is tolerated, in the series' unit (volumes: log ratio)."""
    if scope == "volume":
        return float(np.log((now[0] + 0.5) / (base[0] + 0.5))), TOLERANCE
    current, past = now[0] / now[1], base[0] / base[1]
    if scope in ("refused", "missing"):
        return current - past, SHARE_TOLERANCE
    return current - past, max(TOLERANCE * abs(past), 1e-9)
