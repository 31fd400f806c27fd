"""What scikit-learn fits for an evaluation: isotonic calibration, and a shallow tree; nothing of it is ever released.

The only module of this folder that imports scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offline.metrics import Floats


def isotonic_probability(y: Floats, margin: Floats, asked: Floats) -> Floats:
    """Probabilities of the margins ``asked``, (m,), by the monotone step function that fits the outcomes best.

    Steps at 0 and 1 are drawn in by half a row, so that a single surprise does not cost an infinite log loss.
    """
    from sklearn.isotonic import IsotonicRegression

    found = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(margin, y).predict(asked)
    edge = 0.5 / (len(y) + 1.0)
    return np.clip(np.asarray(found, dtype=np.float64), edge, 1.0 - edge)


@dataclass(frozen=True)
class Split:
    """One question on the way to a leaf.

    Parameters
    ----------
    column
        Of the matrix.
    at
        Threshold.
    is_above
        Whether the leaf lies on the side of values above it.
    takes_missing
        Whether rows without a value go to that side.
    """

    column: int
    at: float
    is_above: bool
    takes_missing: bool


@dataclass(frozen=True, eq=False)
class ShallowTree:
    """A tree as its leaves.

    Parameters
    ----------
    leaves
        Leaf number -> the questions that lead there, from the top.
    """

    leaves: dict[int, tuple[Split, ...]]
    _model: object

    def leaf_of(self, X: Floats) -> NDArray[np.int64]:
        """Leaf number of each row, (n,)."""
        return np.asarray(self._model.apply(X.astype(np.float32)), dtype=np.int64)  # type: ignore[attr-defined]


def fit_shallow_tree(X: Floats, target: Floats, max_depth: int, min_rows: int) -> ShallowTree:
    """The tree that tells rows with a high target, (n,), from others; NaN in X is missing.

    Parameters
    ----------
    min_rows
        In every leaf.
    """
    from sklearn.tree import DecisionTreeRegressor

    model = DecisionTreeRegressor(max_depth=max_depth, min_samples_leaf=min_rows, random_state=0)
    model.fit(X.astype(np.float32), target)
    tree, found = model.tree_, dict[int, tuple[Split, ...]]()
    has_missing = [bool(np.isnan(column).any()) for column in X.T]

    def walk(node: int, questions: tuple[Split, ...]) -> None:
        if tree.children_left[node] < 0:
            found[node] = questions
            return
        column, at, left = int(tree.feature[node]), float(tree.threshold[node]), bool(tree.missing_go_to_left[node])
        some = has_missing[column]
        walk(int(tree.children_left[node]), (*questions, Split(column, at, False, some and left)))
        walk(int(tree.children_right[node]), (*questions, Split(column, at, True, some and not left)))

    walk(0, ())
    return ShallowTree(found, model)
