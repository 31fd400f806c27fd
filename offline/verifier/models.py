"""The models by day, scored by XGBoost's own prediction. The only module here that touches xgboost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from offline.release import past_releases
from offline.verifier.decisions import ROW_KINDS
from schemas.bundle import Bundle, read_bundle, released_bundle_dir
from schemas.settings import Settings
from schemas.signatures import Trust
from schemas.workload import Workload

Floats32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
SILENT_DAYS = 14.0


class Model(Protocol):
    """What scores rows; ``thresholds`` are by row kind."""

    version: str
    thresholds: tuple[float, ...]

    def score(self, x: Floats32, kinds: list[int]) -> Floats32:
        """Probabilities (n,) of rows (n, n_features)."""
        ...

    def contributions(self, x: Floats32) -> Floats:
        """What each feature adds to a row's score, (n, n_features)."""
        ...


class Rule:
    """Before the first release: 0.5 after fourteen silent days."""

    version = "rule"
    thresholds: tuple[float, ...] = (0.5, 0.5, 0.5)

    def __init__(self, workload: Workload) -> None:
        types = [feature.type for feature in workload.features for _ in feature.columns()]
        self.column = types.index("recency") if "recency" in types else None

    def score(self, x: Floats32, kinds: list[int]) -> Floats32:
        if self.column is None:
            return np.zeros(len(x), np.float32)
        days = x[:, self.column].astype(np.float64)
        days = np.where(np.isnan(days), 2 * SILENT_DAYS, days)
        return np.asarray(1.0 / (1.0 + np.exp(-(days - SILENT_DAYS) / 3.0)), np.float32)

    def contributions(self, x: Floats32) -> Floats:
        """The silence alone."""
        found = np.zeros(x.shape)
        if self.column is not None:
            found[:, self.column] = 1.0
        return found


class ReleasedModel:
    """The model of a bundle."""

    def __init__(self, bundle: Bundle) -> None:
        import xgboost

        self.version = bundle.manifest.version
        self._booster = xgboost.Booster(params={"nthread": 1})
        self._booster.load_model(bytearray(bundle.files["model.ubj"]))
        calibration, threshold = bundle.json("calibration.json"), bundle.json("threshold.json")
        self.slope = np.array([float(calibration[kind]["a"]) for kind in ROW_KINDS])
        self.intercept = np.array([float(calibration[kind]["b"]) for kind in ROW_KINDS])
        self.thresholds = tuple(float(threshold[kind]) for kind in ROW_KINDS)

    def score(self, x: Floats32, kinds: list[int]) -> Floats32:
        margin = np.asarray(self._booster.predict(self._matrix(x), output_margin=True), np.float64)
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope[kinds] * margin + self.intercept[kinds]))), np.float32)

    def contributions(self, x: Floats32) -> Floats:
        """TreeSHAP, in log-odds."""
        return np.asarray(self._booster.predict(self._matrix(x), pred_contribs=True), np.float64)[:, :-1]

    def _matrix(self, x: Floats32) -> Any:
        import xgboost

        return xgboost.DMatrix(x, feature_names=self._booster.feature_names, nthread=1)


@dataclass(frozen=True)
class ModelsByDay:
    """Releases in the order of their log."""

    rule: Model
    releases: tuple[tuple[int, Model], ...] = ()

    def at(self, day: int) -> Model:
        """The last release in the log whose activation day has come; before the first, the rule."""
        active = [model for activate_day, model in self.releases if activate_day <= day]
        return active[-1] if active else self.rule


def load_models(settings: Settings, workload: Workload) -> ModelsByDay:
    """All released models, every byte of their bundles checked.

    Raises
    ------
    BundleError
        When one is missing or damaged.
    """
    releases: list[tuple[int, Model]] = []
    trust = Trust.of(settings)
    for record in past_releases(settings, workload):
        path = released_bundle_dir(settings.models_dir, record["path"])
        bundle = read_bundle(path, record["bundle_id"], trust)
        if bundle.manifest.workload_hash != workload.hash:
            continue  # workers pass over it, too
        releases.append((int(record["activate_day"]), ReleasedModel(bundle)))
    return ModelsByDay(Rule(workload), tuple(releases))
