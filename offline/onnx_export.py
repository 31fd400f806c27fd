"""A model's trees as an ONNX graph: float32 features in, margin out. The only module that touches onnx.

Calibration and thresholds stay ours: they travel as metadata, because a graph that calibrates in float32 would answer
with other numbers. Missing values are NaN, categories are their codes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from offline.booster_trees import GrownTree, grown_trees
from schemas.bundle import Bundle
from stream_app.model import BoosterModel
from stream_app.plan import Plan

INPUT, OUTPUT = "features", "margin"
IR_VERSION = 8
OPSET = 15
ML_OPSET = 3
"""Old enough for every runtime; nothing newer is needed."""


def onnx_bytes(bundle: Bundle, model: BoosterModel, plan: Plan) -> bytes:
    """The model of a bundle as ONNX; the same bytes for the same bundle.

    Raises
    ------
    ExportError
        When the booster is not made of numeric splits.
    """
    from onnx import TensorProto, checker, helper

    trees, base = grown_trees(model)
    node = helper.make_node(
        "TreeEnsembleRegressor", [INPUT], [OUTPUT], domain="ai.onnx.ml", n_targets=1, aggregate_function="SUM",
        post_transform="NONE", base_values=[float(base)], **_attributes(trees),
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        bundle.manifest.workload,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", plan.n_features])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", 1])],
        doc_string=f"Margins (log-odds before calibration) of {bundle.manifest.workload} {bundle.manifest.version}",
    )
    made = helper.make_model(
        graph,
        producer_name="driftline",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
    )
    helper.set_model_props(made, _metadata(bundle, plan))
    checker.check_model(made)
    return bytes(made.SerializeToString(deterministic=True))


def _attributes(trees: Sequence[GrownTree]) -> dict[str, Any]:
    """Nodes and leaves of all trees as the operator lists them: true is left, ``value < cut``."""
    names = (
        "treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids",
        "missing_value_tracks_true",
    )  # fmt: skip
    nodes: dict[str, list[Any]] = {f"nodes_{name}": [] for name in names}
    leaves: dict[str, list[Any]] = {f"target_{name}": [] for name in ("treeids", "nodeids", "ids", "weights")}
    for t, tree in enumerate(trees):
        for i in range(len(tree)):
            if tree.is_leaf(i):
                row: tuple[Any, ...] = (t, i, 0, 0.0, "LEAF", 0, 0, 0)
                for values, value in zip(leaves.values(), (t, i, 0, float(tree.cut[i])), strict=True):
                    values.append(value)
            else:
                missing = int(tree.missing_left[i])
                row = (t, i, tree.feature[i], float(tree.cut[i]), "BRANCH_LT", tree.left[i], tree.right[i], missing)
            for values, value in zip(nodes.values(), row, strict=True):
                values.append(value)
    return nodes | leaves


def _metadata(bundle: Bundle, plan: Plan) -> dict[str, str]:
    manifest = bundle.manifest
    features = [
        {"input": f"f{i}", "name": column.name, "categories": list(column.categories)}
        for i, column in enumerate(plan.columns)
    ]
    return {
        "version": manifest.version,
        "bundle_id": manifest.bundle_id,
        "workload": manifest.workload,
        "workload_hash": manifest.workload_hash,
        "features": json.dumps(features),
        "categories": "a category is its index in categories; any other is their number; missing is NaN",
        "calibration": json.dumps(bundle.json("calibration.json"), sort_keys=True),
        "probability": "1 / (1 + exp(-(a * margin + b))) in float64, with a and b of the row kind",
        "threshold": json.dumps(bundle.json("threshold.json"), sort_keys=True),
    }
