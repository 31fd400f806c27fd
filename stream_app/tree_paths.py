"""Why a score is what it is: Shapley contributions of a booster's features, from the paths to its leaves.

Read from XGBoost's JSON, as `trees` is; `model` checks the contributions against the library's before it uses them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_app.reason_kernel import add_contributions

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
MOST_FEATURES = 8  # on one path: beyond it four points are not exact
_ABSCISSAE, _HALVES = np.polynomial.legendre.leggauss(4)
POINTS, WEIGHTS = (_ABSCISSAE + 1) / 2, _HALVES / 2

# what a path asks of one feature: at least, below, whether missing goes along, and the share of training rows that did
Asked = tuple[float, float, bool, float]
_NOTHING: Asked = (-math.inf, math.inf, True, 1.0)
Path = dict[int, Asked]


@dataclass(frozen=True, eq=False)
class Paths:
    """The leaves' paths as tables, as `reason_kernel.add_contributions` reads them."""

    first: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    low: Floats32
    high: Floats32
    missing: npt.NDArray[np.int64]
    factor: Floats
    share: Floats

    def contributions(self, x: Floats32) -> Floats32:
        """Contributions to the margin, (n, n_features)."""
        out = np.zeros(x.shape)
        tables = (self.first, self.feature, self.low, self.high, self.missing, self.factor, self.share)
        add_contributions(np.ascontiguousarray(x, np.float32), *tables, out)
        return out.astype(np.float32)


def read_paths(model: bytes) -> Paths | None:
    """Paths of a model in XGBoost's JSON; None when one asks too many features, or a share is not between 0 and 1."""
    leaves: list[tuple[float, Path]] = []
    try:
        for tree in json.loads(model)["learner"]["gradient_booster"]["model"]["trees"]:
            _walk(tree, 0, {}, leaves)
    except (KeyError, ValueError, TypeError, ZeroDivisionError, RecursionError):
        return None
    if not leaves or max(len(path) for _, path in leaves) > MOST_FEATURES:
        return None
    entries = [(j, *asked) for _, path in leaves for j, asked in path.items()]
    feature, low, high, missing, z = np.array(entries, np.float64).reshape(-1, 5).T
    if not ((z > 0) & (z <= 1)).all():
        return None
    n = np.array([len(path) for _, path in leaves])
    value = np.repeat([value for value, _ in leaves], n)
    along, share = np.array([0.0, 1.0])[None, :, None], z[:, None, None]
    factor = along * POINTS + share * (1 - POINTS)
    return Paths(
        np.concatenate([[0], np.cumsum(n)]).astype(np.int64),
        feature.astype(np.int64),
        low.astype(np.float32),
        high.astype(np.float32),
        missing.astype(np.int64),
        factor,
        value[:, None, None] * (along - share) * WEIGHTS / factor,
    )


def _walk(tree: dict[str, Any], node: int, path: Path, leaves: list[tuple[float, Path]]) -> None:
    left, right = tree["left_children"][node], tree["right_children"][node]
    cut = tree["split_conditions"][node]
    if left == -1:
        leaves.append((cut, path))
        return
    j, covers, default_left = tree["split_indices"][node], tree["sum_hessian"], bool(tree["default_left"][node])
    low, high, missing, share = path.get(j, _NOTHING)
    for_left = (low, min(high, cut), missing and default_left, share * covers[left] / covers[node])
    for_right = (max(low, cut), high, missing and not default_left, share * covers[right] / covers[node])
    _walk(tree, left, path | {j: for_left}, leaves)
    _walk(tree, right, path | {j: for_right}, leaves)
