"""The model as the stream uses it: margins, calibrated probabilities, thresholds, reasons.

The only module of the stream that touches xgboost; it is imported when the first bundle is loaded. Rows of one call
are scored by one version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from stream_app import opcodes as op
from stream_app.errors import ModelError
from stream_app.plan import Plan
from stream_app.tree_paths import Paths, read_paths
from stream_app.trees import Trees, read_trees

Floats32 = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]
SILENT_DAYS = 14.0
RULE_VERSION = "rule"
N_EXPLAINED = 16  # rows on which compiled contributions are compared with the library's


@dataclass(frozen=True)
class Reason:
    """One contribution to a score, in log-odds."""

    feature: str
    value: float
    contribution: float


class Model(Protocol):
    """What scores rows."""

    version: str
    thresholds: npt.NDArray[np.float64]

    def score(self, x: Floats32, kinds: Int64s) -> Floats32:
        """Churn probability (n,) float32 of rows ``x`` (n, n_features) by row kind (n,)."""
        ...

    def explain(self, x: Floats32, n: int) -> list[list[Reason]]:
        """The ``n`` strongest reasons of each row, strongest first."""
        ...


def strongest(x: Floats32, contributions: npt.NDArray[Any], names: tuple[str, ...], n: int) -> list[list[Reason]]:
    """Reasons that push a score up most, from contributions (rows, n_features)."""
    order = np.argsort(-contributions, axis=1, kind="stable")[:, :n]
    return [
        [Reason(names[j], float(x[i, j]), float(contributions[i, j])) for j in best if contributions[i, j] > 0]
        for i, best in enumerate(order)
    ]


class RuleModel:
    """Before the first model: silence. The score is 0.5 after fourteen silent days, by the first recency feature of
    the workload.
    """

    version = RULE_VERSION

    def __init__(self, plan: Plan) -> None:
        self.names = plan.feature_names
        self.column = next((i for i, c in enumerate(plan.columns) if c.type == "recency"), None)
        self.thresholds = np.full(3, 0.5)

    def score(self, x: Floats32, kinds: Int64s) -> Floats32:
        """0 to 1, rising with the days of silence; 0 when the workload has no recency feature."""
        if self.column is None:
            return np.zeros(len(x), np.float32)
        days = np.nan_to_num(x[:, self.column].astype(np.float64), nan=2 * SILENT_DAYS)
        return (1.0 / (1.0 + np.exp(-(days - SILENT_DAYS) / 3.0))).astype(np.float32)

    def explain(self, x: Floats32, n: int) -> list[list[Reason]]:
        """The silence itself."""
        contributions = np.zeros(x.shape)
        if self.column is not None:
            contributions[:, self.column] = 1.0
        return strongest(x, contributions, self.names, min(n, 1))


class BoosterModel:
    """A released bundle.

    Parameters
    ----------
    version
        Name in the registry.
    files
        File name -> bytes, as verified against the manifest.
    plan
        Of the workload the bundle was trained for.

    Raises
    ------
    ModelError
        When a file is missing or does not fit the plan.
    """

    def __init__(self, version: str, files: Mapping[str, bytes], plan: Plan) -> None:
        import xgboost

        self.version, self.names = version, plan.feature_names
        try:
            self.booster = xgboost.Booster(params={"nthread": 1})
            self.booster.load_model(bytearray(files["model.ubj"]))
            calibration = json.loads(files["calibration.json"])
            threshold = json.loads(files["threshold.json"])
            kinds = op.ROW_KINDS
            self.slope = np.array([float(calibration[kind]["a"]) for kind in kinds])
            self.intercept = np.array([float(calibration[kind]["b"]) for kind in kinds])
            self.thresholds = np.array([float(threshold[kind]) for kind in kinds])
        except (KeyError, ValueError, TypeError, xgboost.core.XGBoostError) as cause:
            raise ModelError(version, f"cannot be loaded: {cause!r}") from cause
        if self.booster.num_features() != plan.n_features:
            raise ModelError(version, f"has {self.booster.num_features()} features, the workload {plan.n_features}")
        self.trees = self._compiled_trees()

    def margin(self, x: Floats32) -> Floats32:
        """Log-odds before calibration, (n,) float32: XGBoost's own bits, by the compiled walk where it covers the
        model.
        """
        return self._library_margin(x) if self.trees is None else self.trees.margin(x)

    def _library_margin(self, x: Floats32) -> Floats32:
        return np.asarray(self.booster.inplace_predict(x, predict_type="margin"), np.float32)

    def _compiled_trees(self) -> Trees | None:
        """Tables of the booster's trees that give the library's margins bit by bit; None when there are none."""
        for trees in read_trees(bytes(self.booster.save_raw("json")), self.booster.num_features()):
            rows = trees.probes()
            if np.array_equal(trees.margin(rows), self._library_margin(rows)):
                return trees
        return None

    def score(self, x: Floats32, kinds: Int64s) -> Floats32:
        """Calibrated probability (n,)."""
        return calibrated(self.margin(x), self.slope[kinds], self.intercept[kinds])

    def prepare(self) -> bool:
        """Read what explanations need now, and not when the first alert opens; whether they are compiled."""
        return self.paths is not None

    def explain(self, x: Floats32, n: int) -> list[list[Reason]]:
        """Reasons by TreeSHAP contributions."""
        return strongest(x, self.contributions(x), self.names, n)

    def contributions(self, x: Floats32) -> Floats32:
        """What each feature adds to the margin, (n, n_features); TreeSHAP, compiled where the trees are."""
        return self._library_contributions(x) if self.paths is None else self.paths.contributions(x)

    def _library_contributions(self, x: Floats32) -> Floats32:
        import xgboost

        matrix = xgboost.DMatrix(x, feature_names=self.booster.feature_names)
        return np.asarray(self.booster.predict(matrix, pred_contribs=True)[:, :-1], np.float32)

    @cached_property
    def paths(self) -> Paths | None:
        """Tables of the trees' paths that give the library's contributions to its own precision; None without them."""
        paths = None if self.trees is None else read_paths(bytes(self.booster.save_raw("json")))
        if self.trees is None or paths is None:
            return None
        rows = self.trees.probes()
        rows = rows[~np.isinf(rows).any(axis=1)][:N_EXPLAINED]
        expected = self._library_contributions(rows)
        is_close = np.allclose(
            paths.contributions(rows), expected, rtol=0, atol=1e-5 * max(1.0, np.abs(expected).max())
        )
        return paths if is_close else None


def calibrated(margin: Floats32, slope: npt.NDArray[np.float64], intercept: npt.NDArray[np.float64]) -> Floats32:
    """Platt's sigmoid in float64, rounded once to float32."""
    return (1.0 / (1.0 + np.exp(-(slope * margin.astype(np.float64) + intercept)))).astype(np.float32)
