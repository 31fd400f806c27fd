"""How category codes become numbers: one column for each code, the mean outcome of a code, or the code itself.

A code is the place in the workload's list of categories; the one after the last stands for any other. A code that the
fitted rows never had, and a missing one, get no column of their own (one_hot), the overall mean (target), -1 if missing
(ordinal). Target means are those of the rows they were fitted on: never fit them on rows that a model is judged on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offline.errors import OfflineError
from offline.metrics import Floats
from offline.transforms.options import Encoder
from offline.transforms.step import Names, Numbers, numbers
from stream_app.plan import FeatureColumn

MISSING_CODE = -1.0


@dataclass(frozen=True)
class Encoding:
    """What each input column becomes.

    Parameters
    ----------
    columns
        Output names.
    encoder
        One of the three ways.
    codes
        Per input column: the codes with a number of their own; None passes the column through.
    means
        target: mean outcome of each of those codes, smoothed; else empty.
    overall
        target: what every other code and a missing one becomes.
    """

    columns: Names
    encoder: Encoder
    codes: tuple[tuple[int, ...] | None, ...]
    means: tuple[Numbers, ...]
    overall: float

    def matrix(self, X: Floats) -> Floats:
        """Input columns in their order, categories replaced by their numbers."""
        parts = [
            X[:, j : j + 1] if codes is None else self._encoded(X[:, j], j, np.array(codes, np.float64))
            for j, codes in enumerate(self.codes)
        ]
        return np.hstack(parts) if parts else np.zeros((len(X), 0))

    def _encoded(self, code: Floats, j: int, codes: Floats) -> Floats:
        if self.encoder == "ordinal":
            return np.where(np.isnan(code), MISSING_CODE, code)[:, None]
        if self.encoder == "one_hot":
            return np.asarray(code[:, None] == codes[None, :], dtype=np.float64)
        known = np.append(np.array(self.means[j], np.float64), self.overall)
        return np.asarray(known[_places(code, codes)][:, None])


def fit_encoding(
    X: Floats, y: Floats, names: Names, features: tuple[FeatureColumn, ...], encoder: Encoder, smoothing: float
) -> Encoding:
    """Fit on rows (n, k) with outcomes (n,); the first columns are the features', what follows passes through.

    Raises
    ------
    OfflineError
        encoder target: when an outcome is not known.
    """
    if encoder == "target" and not np.isfinite(y).all():
        raise OfflineError("target means need the outcome of every row that they are fitted on")
    overall = float(y.mean()) if encoder == "target" else 0.0
    columns: list[str] = []
    codes: list[tuple[int, ...] | None] = []
    means: list[Numbers] = []
    for j, name in enumerate(names):
        feature = features[j] if j < len(features) else None
        if feature is None or not feature.is_categorical:
            columns.append(name)
            codes.append(None)
            means.append(())
            continue
        seen = _codes_of(X[:, j])
        columns += [f"{name} = {_category(feature, code)}" for code in seen] if encoder == "one_hot" else [name]
        codes.append(tuple(seen))
        means.append(_means(X[:, j], y, seen, overall, smoothing) if encoder == "target" else ())
    return Encoding(tuple(columns), encoder, tuple(codes), tuple(means), overall)


def _codes_of(code: Floats) -> list[int]:
    known: NDArray[np.float64] = np.unique(code[~np.isnan(code)])
    return [int(value) for value in known]


def _category(feature: FeatureColumn, code: int) -> str:
    return feature.categories[code] if code < len(feature.categories) else "other"


def _means(code: Floats, y: Floats, codes: list[int], overall: float, smoothing: float) -> Numbers:
    """(positives + smoothing * overall) / (rows + smoothing) of each code."""
    place = _places(code, np.array(codes, np.float64))
    n = np.bincount(place, minlength=len(codes) + 1)[:-1]
    n_positive = np.bincount(place, weights=y, minlength=len(codes) + 1)[:-1]
    return numbers((n_positive + smoothing * overall) / (n + smoothing))


def _places(code: Floats, codes: Floats) -> NDArray[np.int64]:
    """Where each code stands among ascending codes; after the last when it is not there or missing, (n,)."""
    place = np.searchsorted(codes, code)
    there = place < len(codes)
    there[there] = codes[place[there]] == code[there]
    return np.where(there, place, len(codes)).astype(np.int64)
