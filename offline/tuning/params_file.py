"""Parameters for a training read from a file: the result of a study, or a table that somebody wrote by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from offline.cutoffs import day_of
from offline.errors import OfflineError
from offline.retraining import horizon_days
from offline.training_params import TrainingParams
from offline.tuning.errors import ParamsError
from offline.tuning.space import PARAMETERS, Value, training_params
from offline.tuning.study_file import LATEST, latest_result
from schemas.settings import Settings
from schemas.workload import Workload


def tuning_dir(settings: Settings, workload: Workload) -> Path:
    """Where the studies of a workload lie."""
    return settings.home / "tuning" / workload.name


def load_params(settings: Settings, workload: Workload, name: str) -> TrainingParams:
    """The parameters of a file, or of the latest study.

    Parameters
    ----------
    name
        Path of a JSON file with a table "params", or "latest".

    Raises
    ------
    ParamsError, StudyError
        When it cannot be read, or a parameter is unknown or out of its bounds.
    """
    path = latest_result(tuning_dir(settings, workload)) if name == LATEST else Path(name)
    try:
        content = json.loads(path.read_bytes())
    except OSError as cause:
        raise ParamsError(path, f"cannot be read: {(cause.strerror or str(cause)).lower()}") from cause
    except ValueError as cause:
        raise ParamsError(path, f"is not JSON: {cause}") from cause
    if not isinstance(content, dict) or not isinstance(content.get("params"), dict):
        raise ParamsError(path, 'has no table "params"')
    origin = str(content.get("study") or path.name)
    point = {str(key): _value(path, str(key), value) for key, value in content["params"].items()}
    return training_params(point, horizon_days(workload), origin, _labels_until(path, content))


def _value(path: Path, name: str, value: object) -> Value:
    if name not in PARAMETERS:
        raise ParamsError(path, f"{name!r} is no parameter; there are {', '.join(PARAMETERS)}")
    try:
        return PARAMETERS[name].read(value)
    except ValueError as cause:
        raise ParamsError(path, str(cause)) from cause


def _labels_until(path: Path, content: dict[str, Any]) -> int | None:
    if "labels_until" not in content:
        return None
    try:
        return day_of(str(content["labels_until"]))
    except OfflineError as cause:
        raise ParamsError(path, f"labels_until: {cause}") from cause
