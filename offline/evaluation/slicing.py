"""Which slice a row belongs to: by category, tenure band, volume decile, test day, row kind, or the caller's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from offline.cutoffs import date_text
from offline.errors import OfflineError
from offline.evaluation.scored import Scored
from offline.training_set import ROW_KINDS, Bools
from schemas.durations import DAY_MS

MISSING: Final = "missing"
TENURE_DAYS: Final = (30, 90, 180, 365)
VOLUME_TYPES: Final = ("count", "distinct_days", "sum")


@dataclass(frozen=True, eq=False)
class Slicing:
    """Rows told apart.

    Parameters
    ----------
    names
        Of the slices, in the order in which they are shown.
    place
        Index into the names per row, (n,).
    """

    names: tuple[str, ...]
    place: NDArray[np.int64]

    def rows(self, i: int) -> Bools:
        """Rows of one slice, (n,)."""
        return np.asarray(self.place == i)

    def take(self, rows: Bools | NDArray[np.int64]) -> Slicing:
        """The same slices of some of the rows."""
        return Slicing(self.names, self.place[rows])


def slicings(
    scored: Scored, features: Sequence[str] = (), given: Mapping[str, NDArray[Any]] | None = None
) -> dict[str, Slicing]:
    """Every way to tell the rows apart, by name.

    Parameters
    ----------
    features
        More features to slice by; numbers by quartile.
    given
        Labels that the caller has made, such as segments; (n,) each.
    """
    found = {"test day": by_day(scored)}
    for j, column in enumerate(scored.columns):
        if column.is_categorical:
            found[column.name] = by_category(scored.X[:, j], column.categories)
        elif column.type == "tenure":
            found[column.name] = by_band(scored.X[:, j], TENURE_DAYS, " days")
    volume = _volume_column(scored)
    if volume is not None:
        found[f"{scored.columns[volume].name} (volume)"] = by_quantile(scored.X[:, volume], 10)
    found |= {name: by_feature(scored, name) for name in features if name not in found}
    return found | {name: by_label(labels) for name, labels in (given or {}).items()}


def by_kind(scored: Scored) -> Slicing:
    """Row kinds."""
    return Slicing(ROW_KINDS, scored.kind.astype(np.int64))


def by_day(scored: Scored) -> Slicing:
    """Days as of which rows were taken, in order of time."""
    days, place = np.unique(scored.as_of_ms // DAY_MS, return_inverse=True)
    return Slicing(tuple(date_text(int(day)) for day in days), place.astype(np.int64))


def by_feature(scored: Scored, name: str) -> Slicing:
    """A feature's categories, or quartiles of a number.

    Raises
    ------
    OfflineError
        When there is no such feature.
    """
    names = [column.name for column in scored.columns]
    if name not in names:
        raise OfflineError(f"no feature {name!r} to slice by; there are {', '.join(names)}")
    j = names.index(name)
    if scored.columns[j].is_categorical:
        return by_category(scored.X[:, j], scored.columns[j].categories)
    return by_quantile(scored.X[:, j], 4)


def by_label(labels: NDArray[Any]) -> Slicing:
    """Labels of any kind, in their own order."""
    names, place = np.unique(labels.astype(str), return_inverse=True)
    return Slicing(tuple(str(name) for name in names), place.astype(np.int64))


def by_category(codes: NDArray[Any], categories: tuple[str, ...]) -> Slicing:
    """Category codes; those beyond the list are "unseen", NaN is "missing"."""
    known = np.isfinite(codes)
    place = np.where(known, np.clip(np.where(known, codes, 0), 0, len(categories)), len(categories) + 1)
    return Slicing((*categories, "unseen", MISSING), place.astype(np.int64))


def by_band(values: NDArray[Any], edges: Sequence[float], unit: str = "") -> Slicing:
    """Bands between ascending edges, the lower one included; NaN is "missing"."""
    shown = [f"{edge:g}" for edge in edges]
    between = [f"{low} to {high}{unit}" for low, high in pairwise(shown)]
    names = (f"below {shown[0]}{unit}", *between, f"{shown[-1]}{unit} and more", MISSING)
    place = np.searchsorted(np.array(edges), values, side="right")
    return Slicing(names, np.where(np.isfinite(values), place, len(names) - 1).astype(np.int64))


def by_quantile(values: NDArray[Any], n: int) -> Slicing:
    """Bands with about equally many rows; fewer when many values are tied."""
    known = values[np.isfinite(values)].astype(np.float64)
    if not len(known):
        return Slicing((MISSING,), np.zeros(len(values), np.int64))
    edges = np.unique(np.quantile(known, np.arange(1, n) / n, method="inverted_cdf"))
    edges = edges[edges > known.min()]
    return by_band(values, edges.tolist() if len(edges) else [float(known.min())])


def _volume_column(scored: Scored) -> int | None:
    """The feature of events counted (or days, or amounts) that is highest on average."""
    for type_ in VOLUME_TYPES:
        means = {j: _mean(scored.X[:, j]) for j, column in enumerate(scored.columns) if column.type == type_}
        if means:
            return max(means, key=lambda j: means[j])
    return None


def _mean(values: NDArray[Any]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0
