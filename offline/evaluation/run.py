"""The full evaluation of a version as a command does it: on the weeks since its training, or on its held-out ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.costs import Costs
from offline.errors import OfflineError
from offline.evaluation.attributes import attributes_of
from offline.evaluation.findings import Questions, find_out
from offline.evaluation.page import evaluation_page
from offline.evaluation.scored import Scored, score_rows
from offline.evaluation.slicing import slicings
from offline.history import read_history
from offline.ladder.segments import find_segments
from offline.oracle_run import version_beside_oracle
from offline.packaging import dump
from offline.passing import Say
from offline.training_run import judge, read_since_training
from offline.training_set import TrainingSet
from offline.transforms import Transform
from schemas.bundle import Bundle
from schemas.lake import Lake, write_atomic
from schemas.settings import Settings
from schemas.workload import Workload
from stream_app.model import BoosterModel

SEED = 0  # of the search for segments


@dataclass(frozen=True)
class Asked:
    """What a user wants to know.

    Parameters
    ----------
    costs
        What a contact costs and brings; None takes those that the threshold was chosen for, if any.
    protected
        Features or event fields by which nobody should be treated worse.
    sliced_by
        More features to slice by.
    show_ids
        Whether customers are named.
    oracle
        ``oracle.parquet`` of a simulated log: how much of its lift the model has.
    html
        Where the page goes, and the same as JSON beside it; None leaves both out.
    """

    costs: Costs | None = None
    protected: tuple[str, ...] = ()
    sliced_by: tuple[str, ...] = ()
    show_ids: bool = False
    oracle: Path | None = None
    html: Path | None = None


def page_path(settings: Settings, workload: Workload, version: str, name: str = "evaluation") -> Path:
    """Where the page of a version goes unless the user says otherwise."""
    return settings.reports_dir / f"{workload.name}-{version}-{name}.html"


def evaluate_in_full(
    settings: Settings, workload: Workload, version: str, asked: Asked, say: Say = lambda _: None
) -> dict[str, Any]:
    """Everything about a version on every matured week after its training, with its own frozen workload."""
    bundle, testing = read_since_training(settings, workload, version, say)
    model = BoosterModel(bundle.manifest.version, bundle.files, testing.plan)
    say("evaluating")
    short = judge(bundle, testing, model)
    if asked.oracle is not None:
        short["oracle"] = version_beside_oracle(settings, workload, version, asked.oracle, say)
    return explore(settings, bundle, testing, model, short, asked, say)


def evaluate_held_out(
    settings: Settings, bundle: Bundle, training: TrainingSet, asked: Asked, say: Say = lambda _: None
) -> dict[str, Any]:
    """Everything about a version on the test block of its own training."""
    model = BoosterModel(bundle.manifest.version, bundle.files, training.plan)
    short = bundle.json("evaluation.json")
    return explore(settings, bundle, training, model, short | {"test": short["split"]["test"]}, asked, say)


def explore(
    settings: Settings,
    bundle: Bundle,
    testing: TrainingSet,
    model: BoosterModel,
    short: dict[str, Any],
    asked: Asked,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """The short evaluation with the full one added, and its page where one is asked for.

    Parameters
    ----------
    testing
        Rows with a test block that the bundle's model has not seen.
    model
        The bundle's, loaded.
    """
    scored = score_rows(testing, testing.fold("test"), model)
    questions = _questions(settings, bundle, testing, scored.ticks, asked)
    found = short | find_out(scored, model.contributions, bundle.manifest.bundle_id, questions, say)
    found |= _beyond_training(bundle, scored.ticks)
    if asked.html is None:
        return found
    say("drawing the page")
    page = evaluation_page(f"{testing.plan.workload.name} {bundle.manifest.version}: evaluation", found)
    found |= {"html": str(page.save(asked.html)), "json": str(asked.html.with_suffix(".json"))}
    write_atomic(Path(found["json"]), dump({name: value for name, value in found.items() if name != "yardstick"}))
    return found


def _questions(settings: Settings, bundle: Bundle, testing: TrainingSet, ticks: Scored, asked: Asked) -> Questions:
    workload = testing.plan.workload
    history = read_history(Lake(settings.lake_dir), workload)
    return Questions(
        slicings=slicings(ticks, asked.sliced_by, _segments(ticks)),
        protected=attributes_of(asked.protected, workload, ticks, history),
        costs=asked.costs or _own_costs(bundle),
        show_ids=asked.show_ids,
    )


def _segments(ticks: Scored) -> Mapping[str, NDArray[Any]]:
    """The segment of each tick row, found without outcomes; none where customers are too few or all alike."""
    last = np.lexsort((ticks.as_of_ms, ticks.customer))
    last = last[np.r_[ticks.customer[last][1:] != ticks.customer[last][:-1], True]] if len(last) else last
    try:
        return {"segment": find_segments(ticks.X[last], ticks.columns, SEED).labels(ticks.X)}
    except OfflineError:
        return {}


def _beyond_training(bundle: Bundle, ticks: Scored) -> dict[str, Any]:
    """How many values lie beyond the caps that were fitted on the training rows; a bundle without them says nothing."""
    if "transform.json" not in bundle.files:
        return {}
    capped = Transform.from_json(bundle.json("transform.json")).n_capped(ticks.X)
    columns = [{"feature": name, "n": n, "share": n / len(ticks)} for name, n in capped.items()]
    return {"capped": {"n": len(ticks), "columns": sorted(columns, key=lambda one: (-one["n"], one["feature"]))}}


def _own_costs(bundle: Bundle) -> Costs | None:
    """The costs that the threshold was chosen for."""
    said = bundle.json("threshold.json").get("costs")
    return None if said is None else Costs(**said)
