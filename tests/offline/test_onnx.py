"""The ONNX file answers as the stream does, and the parity report notices when it does not."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import xgboost
from click.testing import CliRunner

from driftline import cli as front
from driftline.cli import Entry, cli
from offline.booster_trees import GrownTree, grown_trees
from offline.boundary_rows import trying_rows
from offline.errors import MissingExtraError
from offline.export import export_onnx, onnx_with_parity
from offline.extras import check_extra
from offline.onnx_parity import LIMIT, compare_onnx
from schemas.bundle import Bundle, write_bundle
from schemas.settings import Settings
from schemas.workload import Workload
from stream_app.model import BoosterModel
from stream_app.plan import Plan

KINDS = ("tick", "event", "urgent")


@pytest.fixture(scope="module")
def plan(workload: Workload) -> Plan:
    return Plan.from_workload(workload)


def random_rows(plan: Plan, n: int, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    random = np.random.default_rng(seed)
    X = random.exponential(5, (n, plan.n_features)).astype(np.float32)
    for j, column in enumerate(plan.columns):
        if column.is_categorical:
            X[:, j] = random.integers(0, len(column.categories) + 1, n)
    X[random.random(X.shape) < 0.2] = np.nan
    return X


def written(models_dir: Path, plan: Plan, version: str, depth: int, n_rounds: int = 40) -> Bundle:
    X = random_rows(plan, 3_000, seed=depth)
    risk = np.nansum(X[:, ::3], axis=1) - np.nansum(X[:, 1::3], axis=1) + 8.0 * np.isnan(X[:, 2])
    y = (risk > np.quantile(risk, 0.8)).astype(float)
    params = {"objective": "binary:logistic", "max_depth": depth, "nthread": 1, "base_score": 0.2}
    booster = xgboost.train(params, xgboost.DMatrix(X, y), n_rounds)
    files = {
        "model.ubj": bytes(booster.save_raw("ubj")),
        "calibration.json": json.dumps({kind: {"a": 1.1, "b": -0.2} for kind in KINDS}).encode(),
        "threshold.json": json.dumps(dict.fromkeys(KINDS, 0.3)).encode(),
        "workload.toml": plan.workload.text.encode(),
    } | dict.fromkeys(("reference.json", "evaluation.json", "card.md"), b"{}")
    return write_bundle(
        models_dir, files, workload=plan.workload.name, version=version, workload_hash=plan.workload.hash,
        data_window={},
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("onnx"))


@pytest.fixture(scope="module")
def bundle(plan: Plan, home: Settings) -> Bundle:
    return written(home.models_dir, plan, "v0001", depth=4)


@pytest.fixture(scope="module")
def model(plan: Plan, bundle: Bundle) -> BoosterModel:
    return BoosterModel("v0001", bundle.files, plan)


def in_onnxruntime(data: bytes, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"features": X})[0][:, 0])


@pytest.mark.parametrize("depth", [1, 3, 10])
def test_the_file_gives_xgboosts_own_margins(plan: Plan, tmp_path: Path, depth: int) -> None:
    made = written(tmp_path, plan, "v0001", depth, n_rounds=15)
    data, parity = onnx_with_parity(made)
    X = random_rows(plan, 2_000, seed=99)
    booster = xgboost.Booster(model_file=None, params={"nthread": 1})
    booster.load_model(bytearray(made.files["model.ubj"]))
    expected = booster.inplace_predict(X, predict_type="margin")
    np.testing.assert_allclose(in_onnxruntime(data, X), expected, rtol=0, atol=LIMIT)
    assert parity.is_equal, parity.line()


def test_the_report_says_what_was_tried_and_how_far_apart(plan: Plan, bundle: Bundle, home: Settings) -> None:
    file, report = home.home / "m.onnx", home.home / "parity.json"
    parity = export_onnx(home, plan.workload, "v0001", file, report)
    said = json.loads(report.read_bytes())
    assert said == parity.as_json()
    assert said["verdict"] == "equal"
    assert said["max_abs_difference"]["margin"] <= LIMIT
    assert said["n_splits"] * 4 == said["tried"]["split"]["n_rows"]
    assert set(said["tried"]) == {"split", "missing", "unseen", "infinite", "random"}
    assert min(part["n_rows"] for part in said["tried"].values()) > 0
    assert said["onnx_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_file_carries_calibration_and_names_and_is_the_same_bytes_again(plan: Plan, bundle: Bundle) -> None:
    data, _ = onnx_with_parity(bundle)
    assert data == onnx_with_parity(bundle)[0]
    props = {p.key: p.value for p in onnx.load_from_string(data).metadata_props}
    assert json.loads(props["calibration"])["tick"] == {"a": 1.1, "b": -0.2}
    assert [feature["name"] for feature in json.loads(props["features"])] == list(plan.workload.columns())
    assert props["bundle_id"] == bundle.manifest.bundle_id


def inner_nodes(tree: GrownTree, node: int, missing_stays: dict[int, bool]) -> Iterator[tuple[int, bool]]:
    """Inner nodes, and whether a row whose value of their feature is missing can come there."""
    if tree.is_leaf(node):
        return
    feature = tree.feature[node]
    yield node, missing_stays.get(feature, True)
    for child, is_left in ((tree.left[node], True), (tree.right[node], False)):
        stays = missing_stays.get(feature, True) and tree.missing_left[node] == is_left
        yield from inner_nodes(tree, child, missing_stays | {feature: stays})


def test_every_split_is_reached_from_both_sides_and_missing(plan: Plan, model: BoosterModel) -> None:
    trees, _ = grown_trees(model)
    rows = trying_rows(trees, plan.columns)["split"]
    at = 0
    for tree in trees:
        reached: dict[int, set[str]] = {}
        for row in rows[at : at + 4 * sum(not tree.is_leaf(i) for i in range(len(tree)))]:
            node = 0
            while not tree.is_leaf(node):
                value = row[tree.feature[node]]
                left = tree.missing_left[node] if np.isnan(value) else bool(value < tree.cut[node])
                side = "missing" if np.isnan(value) else "left" if left else "right"
                reached.setdefault(node, set()).add(side)
                node = tree.left[node] if left else tree.right[node]
        for node, can_be_missing in inner_nodes(tree, 0, {}):
            assert reached[node] == {"left", "right"} | ({"missing"} if can_be_missing else set())
            at += 4
    assert at == len(rows)


def wrong_missing(node: Any) -> None:
    tracks = next(a for a in node.attribute if a.name == "nodes_missing_value_tracks_true")
    tracks.ints[0] = 1 - tracks.ints[0]


def at_most(node: Any) -> None:
    modes = next(a for a in node.attribute if a.name == "nodes_modes")
    modes.strings[:] = [b"BRANCH_LEQ" if mode == b"BRANCH_LT" else mode for mode in modes.strings]


def one_float_higher(node: Any) -> None:
    values = next(a for a in node.attribute if a.name == "nodes_values")
    values.floats[0] = float(np.nextafter(np.float32(values.floats[0]), np.float32(np.inf)))


def another_leaf(node: Any) -> None:
    weights = next(a for a in node.attribute if a.name == "target_weights")
    weights.floats[-1] += 1e-4


def another_base(node: Any) -> None:
    next(a for a in node.attribute if a.name == "base_values").floats[0] += 1e-4


@pytest.mark.parametrize("plant", [wrong_missing, at_most, one_float_higher, another_leaf, another_base])
def test_a_planted_difference_is_noticed(
    plan: Plan, bundle: Bundle, model: BoosterModel, plant: Callable[[Any], None]
) -> None:
    made = onnx.load_from_string(onnx_with_parity(bundle)[0])
    plant(made.graph.node[0])
    parity = compare_onnx(made.SerializeToString(), bundle, model, plan)
    assert not parity.is_equal
    assert parity.as_json()["verdict"] == "different"


def test_a_model_that_would_answer_otherwise_is_not_written(
    plan: Plan, bundle: Bundle, home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(home.home))
    monkeypatch.setitem(front.COMMANDS, "export", Entry("offline.export_cli:export", ""))
    written_well = CliRunner().invoke(cli, ["export", "v0001", "--onnx", str(tmp_path / "m.onnx"), "--json"])
    assert written_well.exit_code == 0, written_well.output
    assert json.loads(written_well.stdout)["verdict"] == "equal"
    (tmp_path / "m.onnx").unlink()
    monkeypatch.setattr("offline.onnx_parity.LIMIT", -1.0)
    refused = CliRunner().invoke(cli, ["export", "v0001", "--onnx", str(tmp_path / "m.onnx")])
    assert refused.exit_code == 2
    assert "would answer otherwise than the stream" in refused.stderr
    assert not (tmp_path / "m.onnx").exists()
    assert json.loads((tmp_path / "onnx_parity.json").read_bytes())["verdict"] == "different"


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offline.extras.find_spec", lambda name: None if name == "onnxruntime" else sys)
    with pytest.raises(MissingExtraError, match=r"needs onnxruntime, .* run `pip install 'driftline\[onnx\]'`"):
        check_extra("onnx", "an export to ONNX")
