"""Trees of a booster as tables for the compiled walk, read from XGBoost's JSON; None for what the walk does not cover.

No xgboost here: `model` hands over its JSON and checks the margins against the library before it trusts a table.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_app.tree_kernel import walk_trees

Floats32 = npt.NDArray[np.float32]
LEAST_DEPTH = 3  # what the kernel takes at a time
MOST_DEPTH = 8  # work doubles with each level; beyond it XGBoost's own walk is faster
N_PROBES = 512
NEAR = 4  # floats on either side


@dataclass(frozen=True, eq=False)
class Trees:
    """Complete trees in tables, as `tree_kernel.walk_trees` reads them."""

    source: npt.NDArray[np.int64]
    missing_left: npt.NDArray[np.uint8]
    column: npt.NDArray[np.int32]
    threshold: Floats32
    leaf: Floats32
    base: np.float32
    n_features: int

    def margin(self, x: Floats32) -> Floats32:
        """Log-odds before calibration, (n,) float32."""
        out = np.empty(len(x), np.float32)
        rows = np.ascontiguousarray(x, np.float32)
        walk_trees(rows, self.source, self.missing_left, self.column, self.threshold, self.leaf, self.base, out)
        return out

    def probes(self) -> Floats32:
        """Rows that try every threshold from both sides, missing and infinite values: what a check compares on."""
        random = np.random.default_rng(0)
        rows = random.normal(0, 10, (N_PROBES, self.n_features)).astype(np.float32)
        for c, j in enumerate(self.source.tolist()):
            cuts = np.unique(self.threshold[(self.column == c) & np.isfinite(self.threshold)])
            if len(cuts):
                drawn = random.choice(cuts, N_PROBES)
                aside = np.nextafter(drawn, random.choice(np.array([-np.inf, np.inf], np.float32), N_PROBES))
                rows[:, j] = np.where(random.random(N_PROBES) < 0.5, drawn, aside)
        odd = random.random(rows.shape)
        rows[odd < 0.15] = np.nan
        rows[odd > 0.99] = np.inf
        rows[(odd > 0.98) & (odd <= 0.99)] = -np.inf
        return rows


def read_trees(model: bytes, n_features: int) -> list[Trees]:
    """Candidate tables of a model in XGBoost's JSON, one for each way to read its base score; none when it is not
    covered.

    Covered are boosted trees with one output, numeric splits and a depth of at most 8.
    """
    try:
        learner = json.loads(model)["learner"]
        ensemble = learner["gradient_booster"]["model"]
        shapes = [_Shape(tree) for tree in ensemble["trees"]]
        base = float(str(learner["learner_model_param"]["base_score"]).strip("[]"))
        depth = max([LEAST_DEPTH, *(shape.depth for shape in shapes)])
        is_covered = (
            learner["gradient_booster"]["name"] == "gbtree" and not any(ensemble["tree_info"]) and depth <= MOST_DEPTH
        )
        if not shapes or not is_covered or not all(shape.is_plain for shape in shapes):
            return []
    except (KeyError, ValueError, TypeError, RecursionError):
        return []
    return _tables(shapes, depth, n_features, _base_margins(base))


def _base_margins(base: float) -> list[np.float32]:
    """What the sum may start from: the log-odds of the base score as XGBoost rounds them, its neighbours (its
    logarithm is not ours), or the score.
    """
    found = [np.float32(base)]
    if 0 < base < 1:
        odds = np.float32(1) / np.float32(base) - np.float32(1)
        below = above = np.float32(-math.log(odds))
        found.insert(0, below)
        for _ in range(NEAR):
            below, above = np.nextafter(below, np.float32(-np.inf)), np.nextafter(above, np.float32(np.inf))
            found += [below, above]
    return found


class _Shape:
    """One tree of the JSON."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.left, self.right = tree["left_children"], tree["right_children"]
        self.feature, self.value = tree["split_indices"], tree["split_conditions"]
        self.default_left = tree["default_left"]
        inner = [node for node, child in enumerate(self.left) if child != -1]
        self.is_plain = (
            not any(tree.get("split_type", []))
            and int(tree["tree_param"].get("size_leaf_vector", 1)) <= 1
            and all(math.isfinite(self.value[node]) for node in inner)
        )
        self.depth = self._depth(0)

    def _depth(self, node: int) -> int:
        if self.left[node] == -1:
            return 0
        return 1 + max(self._depth(self.left[node]), self._depth(self.right[node]))

    def fill(
        self, node: int, place: int, inner: list[tuple[int, int, bool, float]], leaves: list[tuple[int, float]], n: int
    ) -> None:
        """Put the subtree at ``node`` at ``place`` of a complete tree with ``n`` inner places; a leaf above the
        bottom is put into all below it.
        """
        if place >= n:
            leaves.append((place - n, self.value[node]))
            return
        if self.left[node] == -1:
            below = (node, node)
        else:
            below = (self.left[node], self.right[node])
            inner.append((place, self.feature[node], bool(self.default_left[node]), self.value[node]))
        self.fill(below[0], 2 * place + 1, inner, leaves, n)
        self.fill(below[1], 2 * place + 2, inner, leaves, n)


def _tables(shapes: list[_Shape], depth: int, n_features: int, bases: list[np.float32]) -> list[Trees]:
    n_inner = (1 << depth) - 1
    column = np.zeros((len(shapes), n_inner), np.int32)
    threshold = np.full((len(shapes), n_inner), np.inf, np.float32)
    leaf = np.zeros((len(shapes), n_inner + 1), np.float32)
    columns: dict[tuple[int, bool], int] = {}
    for t, shape in enumerate(shapes):
        inner: list[tuple[int, int, bool, float]] = []
        leaves: list[tuple[int, float]] = []
        shape.fill(0, 0, inner, leaves, n_inner)
        for place, feature, missing_left, cut in inner:
            column[t, place] = columns.setdefault((feature, missing_left), len(columns))
            threshold[t, place] = cut
        for place, value in leaves:
            leaf[t, place] = value
    used = list(columns) or [(0, False)]
    if max(feature for feature, _ in used) >= n_features:
        return []
    source = np.array([feature for feature, _ in used], np.int64)
    goes_left = np.array([left for _, left in used], np.uint8)
    return [Trees(source, goes_left, column, threshold, leaf, base, n_features) for base in bases]
