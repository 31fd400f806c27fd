"""Rows on which two readings of the same trees would differ if they differed at all.

Every split is reached along its own path and tried at its cut, one float below, one above, and missing. Beside them:
each feature missing, unseen categories, infinities, and random rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from offline.booster_trees import GrownTree
from stream_app.plan import FeatureColumn

Rows32 = NDArray[np.float32]
N_RANDOM = 4_096
N_EACH = 8
"""Random surroundings in which each feature is tried."""


def trying_rows(trees: Sequence[GrownTree], columns: Sequence[FeatureColumn], seed: int = 0) -> dict[str, Rows32]:
    """Rows (n, n_features) by what they try: split, missing, unseen, infinite, random."""
    random = np.random.default_rng(seed)
    cuts = _cuts(trees, len(columns))
    by_feature = {
        "missing": [(j, np.nan) for j in range(len(columns))],
        "unseen": [(j, code) for j, c in enumerate(columns) if c.is_categorical for code in _unseen(c)],
        "infinite": [(j, value) for j in range(len(columns)) for value in (np.inf, -np.inf)],
    }
    found = {"split": _split_rows(trees, cuts, random)}
    for name, tried in by_feature.items():
        rows = _surroundings(cuts, len(tried) * N_EACH, random)
        for i, (j, value) in enumerate(tried):
            rows[i * N_EACH : (i + 1) * N_EACH, j] = value
        found[name] = rows
    found["missing"] = np.vstack([found["missing"], np.full((1, len(columns)), np.nan, np.float32)])
    found["random"] = random.normal(0, 30, (N_RANDOM, len(columns))).astype(np.float32)
    return found


def _unseen(column: FeatureColumn) -> tuple[float, ...]:
    """The slot of the unseen, and codes that no category has."""
    n = len(column.categories)
    return (float(n), n + 1.0, n + 1000.0, -1.0)


def _cuts(trees: Sequence[GrownTree], n_features: int) -> list[Rows32]:
    """Distinct cuts of each feature."""
    found: list[set[np.float32]] = [set() for _ in range(n_features)]
    for tree in trees:
        for node in range(len(tree)):
            if not tree.is_leaf(node):
                found[tree.feature[node]].add(tree.cut[node])
    return [np.array(sorted(cuts), np.float32) for cuts in found]


def _surroundings(cuts: Sequence[Rows32], n: int, random: np.random.Generator) -> Rows32:
    """Random rows near the cuts of their features, a tenth of the values missing; (n, n_features)."""
    rows = random.normal(0, 10, (n, len(cuts))).astype(np.float32)
    for j, cut in enumerate(cuts):
        if len(cut):
            near = random.choice(cut, n)
            side = random.choice(np.array([-np.inf, np.inf], np.float32), n)
            rows[:, j] = np.where(random.random(n) < 0.5, near, np.nextafter(near, side))
    rows[random.random(rows.shape) < 0.1] = np.nan
    return rows


def _split_rows(trees: Sequence[GrownTree], cuts: Sequence[Rows32], random: np.random.Generator) -> Rows32:
    """Four rows for each inner node that lead there: below the cut, at it, above it, missing."""
    paths = [path for tree in trees for path in _paths(tree)]
    rows = _surroundings(cuts, 4 * len(paths), random)
    low, high = np.float32(-np.inf), np.float32(np.inf)
    for i, (bounds, feature, cut) in enumerate(paths):
        four = rows[4 * i : 4 * i + 4]
        for j, (at_least, below) in bounds.items():
            four[:, j] = at_least if at_least > low else np.nextafter(below, low)
        four[:, feature] = np.nextafter(cut, low), cut, np.nextafter(cut, high), np.nan
    return rows


Bounds = dict[int, tuple[np.float32, np.float32]]


def _paths(tree: GrownTree) -> Iterator[tuple[Bounds, int, np.float32]]:
    """(where values must lie to come here, feature, cut) of every inner node; ``at_least <= value < below``."""
    waiting: list[tuple[int, Bounds]] = [(0, {})]
    while waiting:
        node, bounds = waiting.pop()
        if tree.is_leaf(node):
            continue
        feature, cut = tree.feature[node], tree.cut[node]
        yield bounds, feature, cut
        low, high = bounds.get(feature, (np.float32(-np.inf), np.float32(np.inf)))
        waiting.append((tree.left[node], bounds | {feature: (low, min(high, cut))}))
        waiting.append((tree.right[node], bounds | {feature: (max(low, cut), high)}))
