"""A trained model as a bundle of files under the next version name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from offline.card import card_text
from offline.card_page import card_page
from offline.cutoffs import date_text
from offline.evaluate import evaluate
from offline.provenance import git_revision, libraries, machine
from offline.registry import Registry
from offline.stretches import Offsets
from offline.threshold import BEST_F1
from offline.train import Trained
from offline.training_set import Bools, TrainingSet
from offline.transforms import fit_cleaning
from schemas.bundle import Bundle, write_bundle
from schemas.lake import Lake
from schemas.workload import Workload
from stream_app.model import BoosterModel
from stream_app.reference import Reference


def package(
    registry: Registry,
    lake: Lake,
    training: TrainingSet,
    trained: Trained,
    *,
    created_ms: int | None = None,
    held_out: dict[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    upto: Offsets | None = None,
) -> Bundle:
    """Evaluate on the test block and write the next version.

    Parameters
    ----------
    created_ms
        Wall-clock time for the manifest; outside the bundle id.
    held_out
        More to say in the evaluation, such as the comparison with the champion.
    options
        With what `offline.repetition` can train the same model again.
    upto
        The last offsets that were read, when the lake goes on behind them.
    """
    workload, version = training.plan.workload, registry.next_version()
    files = core_files(training, trained)
    model = BoosterModel(version, files, training.plan)
    evaluation = _evaluation(training, trained, model) | (held_out or {})
    evaluation["training"]["options"] = dict(options or {})
    window = data_window(lake, training, upto)
    files["reference.json"] = dump(_reference(training, model).as_json())
    taught = training.fold("fit", "between", "later")
    files["transform.json"] = dump(fit_cleaning(training.rows.X[taught], training.plan.columns).as_json())
    files["evaluation.json"] = dump(evaluation)
    made_with = {**libraries(), **machine(), "git revision": git_revision()}
    card = card_text(version, workload, window, evaluation, made_with)
    files |= {"card.md": card.encode(), "card.html": card_page(card).html().encode()}
    return write_bundle(
        registry.models_dir,
        files,
        workload=workload.name,
        version=version,
        workload_hash=workload.hash,
        data_window=window,
        libraries=libraries(),
        architecture=machine()["architecture"],
        git_revision=git_revision(),
        created_ms=created_ms,
        signer=registry.signer,
    )


def core_files(training: TrainingSet, trained: Trained) -> dict[str, bytes]:
    """The files that scoring needs, without the reference."""
    return {
        "model.ubj": trained.trees.save(),
        "calibration.json": dump(trained.calibration()),
        "threshold.json": dump(trained.threshold()),
        "workload.toml": training.plan.workload.text.encode(),
    }


def scores_of(model: BoosterModel, training: TrainingSet, rows: Bools) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Calibrated probabilities as the stream would compute them, (n,)."""
    if not rows.any():
        return np.zeros(0)
    return model.score(training.rows.X[rows], training.rows.kind[rows].astype(np.int64)).astype(np.float64)


def last_offsets(lake: Lake, workload: Workload) -> dict[str, dict[str, int]]:
    """Topic -> partition -> the last offset in the lake."""
    offsets: dict[str, dict[str, int]] = {}
    for topic in workload.topics:
        for one in lake.slices(topic.name):
            offsets.setdefault(topic.name, {})[str(one.partition)] = one.last
    return offsets


def data_window(lake: Lake, training: TrainingSet, upto: Offsets | None = None) -> dict[str, Any]:
    """What the model was made of: days, cut-offs, and the last offset of every partition that was read."""
    offsets = last_offsets(lake, training.plan.workload) if upto is None else upto
    return {
        "first_day": date_text(training.span.first_day),
        "known_until_day": date_text(training.span.known_until_day),
        "known_until_ms": training.span.last_known_ms,
        "n_events": training.span.n_events,
        "last_offsets": offsets,
        **training.cutoffs.describe(),
    }


def dump(content: Any) -> bytes:
    """JSON with sorted keys, the same bytes for the same content."""
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _evaluation(training: TrainingSet, trained: Trained, model: BoosterModel) -> dict[str, Any]:
    test = training.fold("test")
    y = training.y[training.fold("fit", "between", "later")]
    prior = float(training.y[training.fold("fit", "between", "later", row_kind=0)].mean())
    found = evaluate(training, test, scores_of(model, training, test), trained.thresholds, trained.logistic, prior)
    told = {} if trained.params is None else {"params": trained.params.as_json()}
    return found | {
        "training": told
        | {
            "n_rows": len(y),
            "n_positive": int(y.sum()),
            "prior": prior,
            "n_rounds": trained.n_rounds,
            "recipe": trained.recipe.name,
            "tried": trained.tried,
            "notes": list(trained.notes),
            **({} if trained.rule == BEST_F1 else {"threshold_rule": trained.rule.text()}),
        },
        "split": training.cutoffs.describe(),
        "yardstick": asdict(trained.logistic),
    }


def _reference(training: TrainingSet, model: BoosterModel) -> Reference:
    rows = training.reference_rows
    return Reference.build(
        training.plan.columns,
        training.rows.X[rows],
        training.rows.as_of_ms[rows],
        scores_of(model, training, rows),
        training.y[rows],
        horizon_days=training.cutoffs.horizon_days,
        held_out=training.held_out[rows],
    )
