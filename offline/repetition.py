"""Making a version again: its options, what the lake must still hold, and why the bytes differ if they do.

Training itself is the business of `offline.training_run`, which leaves out what came into the lake since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from offline.costs import Costs
from offline.errors import RepetitionError
from offline.provenance import libraries, machine
from offline.threshold import ThresholdRule
from offline.training_options import TrainingOptions
from offline.training_params import TrainingParams
from schemas.bundle import CORE_FILES, Bundle


def options_of(bundle: Bundle) -> TrainingOptions:
    """The options that a version was trained with.

    Raises
    ------
    RepetitionError
        When it does not say, or says something that this release of driftline does not know.
    """
    version = bundle.manifest.version
    said = bundle.json("evaluation.json").get("training", {}).get("options")
    if not said:
        raise RepetitionError(version, "it does not say with which options it was trained")
    if unknown := sorted(set(said) - {field.name for field in fields(TrainingOptions)}):
        raise RepetitionError(version, f"it was trained with {', '.join(unknown)}, which this release does not know")
    options = {name: _as_tuple(value) for name, value in said.items()}
    if options.get("params") is not None:
        options["params"] = TrainingParams(**options["params"])
    if "rule" in options:
        rule = options["rule"]
        options["rule"] = ThresholdRule(**rule | {"costs": None if rule["costs"] is None else Costs(**rule["costs"])})
    return TrainingOptions(**options)


def check_same_window(window: Mapping[str, Any], like: Bundle) -> None:
    """Refuse when the lake, read up to the same offsets, gives another data window than the bundle's.

    Raises
    ------
    RepetitionError
        With the first difference.
    """
    then = like.manifest.data_window
    for name in sorted({*then, *window}, key=lambda name: (name != "n_events", name)):
        if window.get(name) != then.get(name):
            detail = f"up to its offsets the lake gives {name} {window.get(name)}, it was {then.get(name)}"
            raise RepetitionError(like.manifest.version, detail)


def differences(bundle: Bundle, like: Bundle) -> list[str]:
    """What differs between a repetition and its pattern, in words; empty when they have the same id."""
    if bundle.manifest.bundle_id == like.manifest.bundle_id:
        return []
    then, now = dict(like.manifest.libraries), libraries()
    then["architecture"], now["architecture"] = like.manifest.architecture, machine()["architecture"]
    files = [name for name in CORE_FILES if bundle.manifest.files[name] != like.manifest.files[name]]
    moved = [f"{name} {then[name]} then, {now.get(name)} now" for name in then if then[name] != now.get(name)]
    return [*files, *moved]


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list) else value
