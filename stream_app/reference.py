"""What normal looks like: the reference profile of a model, made of tick rows of whole weeks, shipped in the bundle.

Per feature the bins, their counts and a *noise floor*: how far single weeks of the training period itself strayed
from the whole. A seasonal wave that training has seen therefore raises the threshold it is later judged by. For the
scores: counts, mean score per bin, and the AUC with its interval, all from binned counts so that later days compare
like with like. Not inside: the judging (judge.py). Pure NumPy; `save` and `load` touch the one JSON file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from stream_app.bins import N_BINS, N_EDGES, Floats32, equal_mass_edges, histograms, padded_edges, score_bins
from stream_app.drift import DAY_MS, Counts, Floats, jensen_shannon, psi
from stream_app.errors import ReferenceInvalid
from stream_app.performance import N_SCORE_BINS, Interval, Outcomes, auc_interval

FORMAT: Final = 1


class Column(Protocol):
    """What `Reference.build` asks of a feature column (`stream_app.plan.FeatureColumn` has it)."""

    @property
    def name(self) -> str: ...
    @property
    def is_categorical(self) -> bool: ...
    @property
    def is_ageing(self) -> bool: ...
    @property
    def is_calendar(self) -> bool: ...


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Bins and counts of one feature, or of the score (then `edges` is empty: see `bins.score_bins`).

    `psi_floor` and `js_floor` are the largest distances of one week of the reference against all of it.
    """

    name: str
    edges: tuple[float, ...]
    counts: Counts
    psi_floor: float
    js_floor: float
    is_ageing: bool = False
    is_calendar: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The profile that later days of one model version are judged against.

    `outcomes` are the labelled counts behind the expected AUC; empty when no labels were given.
    """

    features: tuple[Profile, ...]
    score: Profile
    score_means: Floats
    outcomes: Outcomes
    horizon_days: int
    first_day: int
    last_day: int
    n_rows: int
    edges: Floats32 = field(init=False)
    auc: Interval = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", padded_edges([profile.edges for profile in self.features]))
        object.__setattr__(self, "auc", auc_interval(self.outcomes, self.horizon_days))

    @classmethod
    def build(
        cls,
        columns: Sequence[Column],
        X: Floats32,
        as_of_ms: NDArray[np.int64],
        scores: NDArray[Any],
        y: NDArray[Any],
        *,
        horizon_days: int,
        held_out: NDArray[np.bool_] | None = None,
    ) -> Reference:
        """Profile these tick rows.

        Parameters
        ----------
        columns
            Feature metadata, in the order of X's columns.
        X
            Features, shape ``(n, n_features)``, NaN is missing.
        as_of_ms
            Cut-off of each row, shape ``(n,)``. Rows before the last whole multiple of seven days are dropped, so
            that every weekday weighs the same (unless all rows span less than a week).
        scores, y
            Calibrated probabilities and outcomes (1 left, 0 stayed, NaN or negative unlabelled), shape ``(n,)``.
        horizon_days
            Label horizon: how many as-of days one leaver shows up in.
        held_out
            Rows that the model has not been fitted on. Scores and outcomes are profiled on these alone: a fitted
            row's score promises too much, and every later day would look like a loss. All rows when None.

        Raises
        ------
        ReferenceInvalid
            Shapes that do not fit, or no rows.
        """
        _check_shapes(len(columns), X, as_of_ms, scores, y)
        days = np.floor_divide(as_of_ms, DAY_MS)
        keep = _whole_weeks(days)
        judged = keep if held_out is None else _whole_weeks(days, held_out)
        if not judged.any():
            raise ReferenceInvalid("no held-out rows to profile the scores on")
        last = int(days[keep].max())
        rows, weeks = X[keep], (last - days[keep]) // 7
        return cls(
            features=tuple(_profile(column, rows[:, i], weeks) for i, column in enumerate(columns)),
            score=_score_profile(scores[judged], days[judged]),
            score_means=_bin_means(scores[judged]),
            outcomes=_outcomes(scores[judged], y[judged], days[judged]),
            horizon_days=horizon_days,
            first_day=int(days[keep].min()),
            last_day=last,
            n_rows=int(keep.sum()),
        )

    def histograms(self, X: Floats32) -> Counts:
        """Counts of these rows in the reference's bins, shape ``(n_features, 11)``."""
        return histograms(self.edges, X)

    def save(self, path: Path) -> None:
        """Write the profile as JSON; the same profile gives the same bytes."""
        path.write_text(json.dumps(self.as_json(), indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Read what `save` wrote; `ReferenceInvalid` when it is not that."""
        return cls.decode(path.read_bytes(), str(path))

    @classmethod
    def decode(cls, raw: bytes, origin: str = "reference.json") -> Reference:
        """Parse the bytes of a reference file, so that a caller may check their hash first."""
        try:
            content = json.loads(raw)
            if content["format"] != FORMAT:
                raise ReferenceInvalid(f"{origin}: format {content['format']}, this version reads {FORMAT}")
            return cls._from_json(content)
        except (ValueError, KeyError, TypeError) as error:
            raise ReferenceInvalid(f"{origin}: not a reference profile ({error!r})") from error

    def as_json(self) -> dict[str, Any]:
        """Plain JSON-able values; float32 edges survive the round trip exactly."""
        return {
            "format": FORMAT,
            "features": [_profile_json(profile) for profile in self.features],
            "score": _profile_json(self.score) | {"means": self.score_means.tolist()},
            "outcomes": {
                "days": list(self.outcomes.days),
                "negatives": self.outcomes.negatives.tolist(),
                "positives": self.outcomes.positives.tolist(),
            },
            "auc": _finite({"value": self.auc.value, "low": self.auc.low, "high": self.auc.high}),
            "base_rate": _finite({"value": self.outcomes.base_rate})["value"],
            "horizon_days": self.horizon_days,
            "first_day": self.first_day,
            "last_day": self.last_day,
            "n_rows": self.n_rows,
        }

    @classmethod
    def _from_json(cls, content: Mapping[str, Any]) -> Reference:
        outcomes = content["outcomes"]
        return cls(
            features=tuple(_profile_from(item, N_BINS) for item in content["features"]),
            score=_profile_from(content["score"], N_SCORE_BINS),
            score_means=np.asarray(content["score"]["means"], dtype=np.float64),
            outcomes=Outcomes(
                tuple(outcomes["days"]),
                _counts(outcomes["negatives"], N_SCORE_BINS),
                _counts(outcomes["positives"], N_SCORE_BINS),
            ),
            horizon_days=content["horizon_days"],
            first_day=content["first_day"],
            last_day=content["last_day"],
            n_rows=content["n_rows"],
        )


def _profile(column: Column, values: Floats32, weeks: NDArray[np.int64]) -> Profile:
    codes = tuple(float(code) for code in range(1, N_EDGES + 1))
    edges = codes if column.is_categorical else equal_mass_edges(values)
    table = padded_edges([edges])
    by_week = np.stack([histograms(table, values[weeks == week, None])[0] for week in np.unique(weeks)])
    return _with_floor(column.name, edges, by_week, column.is_ageing, column.is_calendar)


def _score_profile(scores: NDArray[Any], days: NDArray[np.int64]) -> Profile:
    weeks = (days.max() - days) // 7
    bins = score_bins(scores)
    by_week = np.stack([np.bincount(bins[weeks == week], minlength=N_SCORE_BINS) for week in np.unique(weeks)])
    return _with_floor("score", (), by_week, False, False)


def _with_floor(name: str, edges: tuple[float, ...], by_week: Counts, ageing: bool, calendar: bool) -> Profile:
    whole = by_week.sum(axis=0)
    by_psi, by_js = float(psi(whole, by_week).max()), float(jensen_shannon(whole, by_week).max())
    return Profile(name, edges, whole, by_psi, by_js, ageing, calendar)


def _bin_means(scores: NDArray[Any]) -> Floats:
    bins = score_bins(scores)
    n = np.bincount(bins, minlength=N_SCORE_BINS)
    total = np.bincount(bins, weights=np.asarray(scores, dtype=np.float64), minlength=N_SCORE_BINS)
    middle = ((np.arange(N_SCORE_BINS) + 0.5) / N_SCORE_BINS) ** 2  # bins are steps of the root
    return np.where(n > 0, total / np.maximum(n, 1), middle)


def _outcomes(scores: NDArray[Any], y: NDArray[Any], days: NDArray[np.int64]) -> Outcomes:
    label = np.asarray(y, dtype=np.float64)
    bins, known = score_bins(scores), label >= 0.0
    left, stayed = known & (label > 0.5), known & (label <= 0.5)
    return Outcomes(
        tuple(int(day) for day in np.unique(days[known])),
        np.bincount(bins[stayed], minlength=N_SCORE_BINS),
        np.bincount(bins[left], minlength=N_SCORE_BINS),
    )


def _whole_weeks(days: NDArray[np.int64], among: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    inside = np.ones(days.shape, dtype=bool) if among is None else np.asarray(among, dtype=bool)
    if not inside.any():
        return inside
    first, last = int(days[inside].min()), int(days[inside].max())
    weeks = (last - first + 1) // 7
    return inside if weeks == 0 else inside & (days > last - 7 * weeks)


def _check_shapes(n_features: int, X: Floats32, *columns: NDArray[Any]) -> None:
    if X.ndim != 2 or X.shape[1] != n_features:
        raise ReferenceInvalid(f"features have shape {X.shape}, the plan has {n_features} columns")
    if X.shape[0] == 0:
        raise ReferenceInvalid("no tick rows to make a reference of")
    for values in columns:
        if values.shape != (X.shape[0],):
            raise ReferenceInvalid(f"a column has shape {values.shape}, the features {X.shape}")


def _profile_json(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "edges": list(profile.edges),
        "counts": profile.counts.tolist(),
        "psi_floor": profile.psi_floor,
        "js_floor": profile.js_floor,
        "is_ageing": profile.is_ageing,
        "is_calendar": profile.is_calendar,
    }


def _profile_from(item: Mapping[str, Any], n_bins: int) -> Profile:
    edges = tuple(float(edge) for edge in item["edges"])
    if len(edges) > N_EDGES or list(edges) != sorted(set(edges)):
        raise ValueError(f"{item['name']}: at most {N_EDGES} rising edges")
    return Profile(
        item["name"],
        edges,
        _counts(item["counts"], n_bins),
        float(item["psi_floor"]),
        float(item["js_floor"]),
        bool(item["is_ageing"]),
        bool(item["is_calendar"]),
    )


def _counts(values: Sequence[int], size: int) -> Counts:
    counts = np.asarray(values, dtype=np.int64)
    if counts.shape != (size,) or (counts < 0).any():
        raise ValueError(f"{size} counts expected, none negative")
    return counts


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}
