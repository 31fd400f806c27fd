"""The trees of a booster as they were grown, node by node, for those who write them in another form.

The stream's own tables are in `stream_app.trees`; they are complete trees and stop at a depth.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from offline.errors import ExportError
from stream_app.model import BoosterModel

LEAF = -1


@dataclass(frozen=True, eq=False)
class GrownTree:
    """One tree; node 0 is the root, a row goes left when ``value < cut``.

    Parameters
    ----------
    left, right
        Children of each node, -1 at a leaf.
    feature, cut
        Split of each inner node; the cut of a leaf is its weight, float32.
    missing_left
        Where a missing value goes.
    """

    left: list[int]
    right: list[int]
    feature: list[int]
    cut: np.ndarray[Any, np.dtype[np.float32]]
    missing_left: list[bool]

    def is_leaf(self, node: int) -> bool:
        """Whether a node has no children."""
        return self.left[node] == LEAF

    def __len__(self) -> int:
        return len(self.left)


def grown_trees(model: BoosterModel) -> tuple[list[GrownTree], np.float32]:
    """(trees, margin that their sum starts from) of a loaded model.

    Raises
    ------
    ExportError
        When it holds anything but numeric splits of boosted trees with one output.
    """
    learner = json.loads(bytes(model.booster.save_raw("json")))["learner"]
    booster = learner["gradient_booster"]
    if booster["name"] != "gbtree" or any(booster["model"]["tree_info"]):
        raise ExportError(model.version, f"is a {booster['name']} with several outputs or none of trees")
    trees = booster["model"]["trees"]
    if any(any(tree.get("split_type", [])) for tree in trees):
        raise ExportError(model.version, "has splits on sets of categories; codes are split as numbers")
    base = _log_odds(learner) if model.trees is None else model.trees.base
    return [_grown(tree) for tree in trees], base


def _grown(tree: dict[str, Any]) -> GrownTree:
    return GrownTree(
        left=[int(child) for child in tree["left_children"]],
        right=[int(child) for child in tree["right_children"]],
        feature=[int(j) for j in tree["split_indices"]],
        cut=np.array(tree["split_conditions"], np.float32),
        missing_left=[bool(default) for default in tree["default_left"]],
    )


def _log_odds(learner: dict[str, Any]) -> np.float32:
    share = float(str(learner["learner_model_param"]["base_score"]).strip("[]"))
    return np.float32(math.log(share / (1.0 - share)))
