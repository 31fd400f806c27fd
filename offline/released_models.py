"""The models that score or have scored: bundles by version, and which of them scores which day.

The worker's `stream_app.release_reader` follows the same topic; here it is read once.
"""

from __future__ import annotations

import numpy as np

from offline.release import past_releases
from schemas.bundle import Bundle, bundle_dir, read_bundle, released_bundle_dir
from schemas.settings import Settings
from schemas.signatures import Trust
from schemas.workload import Workload
from stream_app.model import BoosterModel, RuleModel
from stream_app.plan import Plan
from stream_app.reference import Reference
from stream_app.releases import ActiveModel, ModelSchedule


class ReleasedModels:
    """What the topic of releases says, as of now.

    Parameters
    ----------
    settings, workload
        Where the topic and the bundles are.
    """

    def __init__(self, settings: Settings, workload: Workload) -> None:
        self._models_dir, self._workload_name = settings.models_dir, workload.name
        self._trust = Trust.of(settings)
        self.records = past_releases(settings, workload)

    def bundle(self, version: str) -> Bundle:
        """The verified bundle of a version: the released one, else the one in the registry.

        Raises
        ------
        BundleError
            When it is missing or changed.
        """
        for record in reversed(self.records):
            if record["version"] == version:
                path = released_bundle_dir(self._models_dir, record["path"])
                return read_bundle(path, record["bundle_id"], self._trust)
        return read_bundle(bundle_dir(self._models_dir, self._workload_name, version), trust=self._trust)

    def schedule(self, plan: Plan) -> tuple[ModelSchedule, list[str]]:
        """Which model scores which day, and the versions left out: they were trained for another workload hash.

        Raises
        ------
        BundleError
            When a released bundle is missing or changed.
        """
        schedule, left_out = ModelSchedule(ActiveModel(RuleModel(plan))), []
        for record in self.records:
            bundle = self.bundle(record["version"])
            if bundle.manifest.workload_hash == plan.workload.hash:
                schedule.add(int(record["activate_day"]), active_model(bundle, plan))
            else:
                left_out.append(str(record["version"]))
        return schedule, left_out


def active_model(bundle: Bundle, plan: Plan) -> ActiveModel:
    """A bundle's model with the bin edges of its reference.

    Raises
    ------
    ModelError
        When the files do not fit the plan.
    """
    model = BoosterModel(bundle.manifest.version, bundle.files, plan)
    edges = Reference.decode(bundle.files["reference.json"]).edges
    return ActiveModel(model, np.ascontiguousarray(edges, np.float32))
