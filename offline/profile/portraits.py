"""Each feature alone: its values among leavers and stayers, what is missing, and how well it tells them apart.

All figures are of rows at cut-offs; AUCs compare customers of the same cut-off (`offline.profile.ranking`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from offline.bootstrap import Interval, interval
from offline.evaluate import as_json as interval_json
from offline.evaluate import number
from offline.metrics import Floats
from offline.profile.ranking import Ranking, binned_score, bins_of, edges_of
from offline.profile.rates import Rate, many_rates
from offline.profile.snapshots import Snapshots
from stream_app.plan import FeatureColumn

N_REPLICATES = 100
N_DECILES = 10
MAX_CATEGORIES = 12
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)
class Portrait:
    """One feature.

    Parameters
    ----------
    missing_share
        Of all rows; `missing_by_cutoff` has it per cut-off.
    mean_left, mean_stayed
        Of known values; NaN for a category.
    quantiles_left, quantiles_stayed
        At `QUANTILES`.
    auc
        Of the known values, above 0.5 when leavers have the larger ones, with interval.
    binned_auc
        Of the churn rate of the value's bin, whatever the shape, missing values included; never much below 0.5.
    missing_auc
        Of being missing.
    earlier_auc
        Days before -> (`binned_auc` of rows that were there then, the same of the feature so many days earlier).
    near_auc
        Known values against ends in the first tenth of the horizon, direction left out (0.5 and above); NaN without.
    rates
        Churn rate by decile or category, missing values last.
    """

    column: FeatureColumn
    missing_share: float
    missing_by_cutoff: tuple[float, ...]
    n_values: int
    mean_left: float
    mean_stayed: float
    quantiles_left: tuple[float, ...]
    quantiles_stayed: tuple[float, ...]
    auc: Interval
    binned_auc: float
    missing_auc: float
    earlier_auc: dict[int, tuple[float, float]]
    near_auc: float
    rates: tuple[Rate, ...]

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.column.name

    @property
    def strength(self) -> float:
        """How far from 0.5 the AUC is that serves it best."""
        return max(abs(v - 0.5) if np.isfinite(v) else 0.0 for v in (self.auc.value, self.binned_auc))

    def as_json(self) -> dict[str, Any]:
        """Plain values, None for what does not exist."""
        return {
            "name": self.name,
            "type": self.column.type,
            "unit": self.column.unit,
            "missing_share": self.missing_share,
            "missing_by_cutoff": [number(share) for share in self.missing_by_cutoff],
            "n_values": self.n_values,
            "mean_left": number(self.mean_left),
            "mean_stayed": number(self.mean_stayed),
            "quantiles_left": [number(value) for value in self.quantiles_left],
            "quantiles_stayed": [number(value) for value in self.quantiles_stayed],
            "auc": interval_json(self.auc),
            "auc_of_bins": number(self.binned_auc),
            "auc_of_missing": number(self.missing_auc),
            "auc_days_earlier": {
                str(days): {"now": number(now), "then": number(then)} for days, (now, then) in self.earlier_auc.items()
            },
            "auc_near_the_end": number(self.near_auc),
            "rates": [rate.as_json() for rate in self.rates],
        }


def portraits_of(snapshots: Snapshots, analysed: Snapshots) -> tuple[Portrait, ...]:
    """Portraits of all feature columns.

    Parameters
    ----------
    snapshots
        All rows: for missing shares.
    analysed
        The rows of some customers: for everything else.
    """
    deciles = [_deciles(analysed.X[:, j].astype(np.float64), column) for j, column in enumerate(analysed.columns)]
    groups = np.stack([group for group, _ in deciles], axis=1)
    rates = many_rates(groups, [names for _, names in deciles], analysed.y, analysed.customer)
    by_cutoff = np.array([np.isnan(snapshots.X[snapshots.day == day]).mean(axis=0) for day in snapshots.cutoff_days])
    return tuple(_portrait(snapshots, analysed, j, by_cutoff[:, j], rates[j]) for j in range(len(snapshots.columns)))


def _portrait(
    snapshots: Snapshots, analysed: Snapshots, j: int, by_cutoff: Floats, rates: tuple[Rate, ...]
) -> Portrait:
    column, y = analysed.columns[j], analysed.y
    values = analysed.X[:, j].astype(np.float64)
    known = np.isfinite(values)
    left, stayed = values[known & (y == 1.0)], values[known & (y == 0.0)]
    ranking = Ranking(y, values, analysed.day)
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    return Portrait(
        column=column,
        missing_share=float(np.isnan(snapshots.X[:, j]).mean()),
        missing_by_cutoff=tuple(by_cutoff.tolist()),
        n_values=len(np.unique(values[known])),
        mean_left=_mean(left, column),
        mean_stayed=_mean(stayed, column),
        quantiles_left=_quantiles(left),
        quantiles_stayed=_quantiles(stayed),
        auc=nothing if column.is_categorical else interval(analysed.customer, ranking.auc, N_REPLICATES),
        binned_auc=binned_auc(analysed, values, column),
        missing_auc=Ranking(y, (~known).astype(np.float64), analysed.day).auc(),
        earlier_auc={days: _earlier(analysed, j, days) for days in analysed.earlier},
        near_auc=_near(analysed, values, column),
        rates=rates,
    )


def binned_auc(rows: Snapshots, values: Floats, column: FeatureColumn) -> float:
    """AUC of the churn rate that the other half of the customers has at the value; NaN without both classes."""
    score = binned_score(values, rows.y, rows.customer, is_categorical=column.is_categorical)
    return Ranking(rows.y, score, rows.day).auc()


def _earlier(rows: Snapshots, j: int, days: int) -> tuple[float, float]:
    """(now, then) on the rows of customers that had a row then."""
    there = rows.was_there[days]
    y, customer, day, column = rows.y[there], rows.customer[there], rows.day[there], rows.columns[j]
    if not there.any():
        return float("nan"), float("nan")
    found = []
    for X in (rows.X, rows.earlier[days]):
        score = binned_score(X[there, j].astype(np.float64), y, customer, is_categorical=column.is_categorical)
        found.append(Ranking(y, score, day).auc())
    return found[0], found[1]


def _near(rows: Snapshots, values: Floats, column: FeatureColumn) -> float:
    if rows.near is None or column.is_categorical:
        return float("nan")
    taken = rows.near | (rows.y == 0.0)
    auc = Ranking(rows.near[taken].astype(np.float64), values[taken], rows.day[taken]).auc()
    return max(auc, 1.0 - auc)


def _deciles(values: Floats, column: FeatureColumn) -> tuple[np.ndarray[Any, np.dtype[np.int64]], list[str]]:
    """(group per row, names of the groups); the last group is "missing" when there is any."""
    group = bins_of(values, N_DECILES, is_categorical=column.is_categorical)
    if column.is_categorical:
        names = [*column.categories, "other"][: int(group.max(initial=-1)) + 1]
        if not np.isfinite(values).all():
            names = [*names[: int(group.max())], "missing"]
        return _few(group, names)
    known = values[np.isfinite(values)]
    edges = [float(known.min()), *edges_of(values, N_DECILES).tolist(), float(known.max())] if len(known) else []
    names = [_range(low, high, at == len(edges) - 2) for at, (low, high) in enumerate(pairwise(edges))]
    if len(known) < len(values):
        group = np.where(np.isfinite(values), group, len(names))
        names.append("missing")
    return group, names


def _few(
    group: np.ndarray[Any, np.dtype[np.int64]], names: list[str]
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], list[str]]:
    """The most frequent categories; the others together."""
    counts = np.bincount(group, minlength=len(names))
    if len(names) <= MAX_CATEGORIES:
        return group, names
    kept = np.sort(np.argsort(-counts, kind="stable")[: MAX_CATEGORIES - 1])
    place = np.full(len(names), len(kept))
    place[kept] = np.arange(len(kept))
    return place[group], [*(names[i] for i in kept), "all others"]


def _range(low: float, high: float, is_last: bool) -> str:
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}" if is_last else f"{low:.4g} to < {high:.4g}"


def _mean(values: Floats, column: FeatureColumn) -> float:
    return float(values.mean()) if len(values) and not column.is_categorical else float("nan")


def _quantiles(values: Floats) -> tuple[float, ...]:
    return tuple(np.quantile(values, QUANTILES).tolist()) if len(values) else (float("nan"),) * len(QUANTILES)
