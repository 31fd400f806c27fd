"""A training run: repeatable, honest about what it knows, and its bundle scores as the stream does."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offline.cutoffs import Cutoffs, choose_cutoffs, choose_short_cutoffs
from offline.errors import HistoryTooShortError, LabelError
from offline.evaluate import evaluate
from offline.history import History
from offline.packaging import core_files, package, scores_of
from offline.registry import Registry
from offline.train import ALL, Recipe, Trained, recipes_after_drift, train
from offline.training_set import Span, TrainingSet, build_training_set
from schemas.durations import DAY_MS
from schemas.lake import Lake
from schemas.workload import Workload
from stream_app.model import BoosterModel
from stream_app.reference import Reference

HORIZON = 30


def _split(span: Span) -> Cutoffs:
    return choose_cutoffs(span.first_day, span.known_until_day, HORIZON)


@pytest.fixture(scope="module")
def lake(workload: Workload, company: Any, fill: Any, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = Lake(tmp_path_factory.mktemp("company") / "lake")
    fill(made, workload, company(workload))
    return made


@pytest.fixture(scope="module")
def training(lake: Lake, workload: Workload) -> TrainingSet:
    return build_training_set(workload, History(lake, workload), _split)


@pytest.fixture(scope="module")
def trained(training: TrainingSet) -> Trained:
    return train(training)


def test_the_same_input_gives_the_same_bundle(
    lake: Lake, workload: Workload, trained: Trained, training: TrainingSet, tmp_path: Path
) -> None:
    registry = Registry(tmp_path, workload.name)
    first = package(registry, lake, training, trained, created_ms=1)
    again = build_training_set(workload, History(lake, workload), _split)
    second = package(registry, lake, again, train(again), created_ms=2)
    assert (first.manifest.version, second.manifest.version) == ("v0001", "v0002")
    assert first.manifest.bundle_id == second.manifest.bundle_id
    assert first.files["evaluation.json"] == second.files["evaluation.json"]


def test_another_seed_gives_another_bundle(training: TrainingSet, trained: Trained) -> None:
    assert core_files(training, train(training, seed=1))["model.ubj"] != core_files(training, trained)["model.ubj"]


def test_a_model_that_knows_more_than_the_rule_claims_skill(training: TrainingSet, trained: Trained) -> None:
    found = _evaluated(training, trained)
    assert found["skill"]["claimed"], found["skill"]["text"]
    assert found["rule"]["model_is_better_by_auc"]["low"] > 0
    tick = found["rows"]["tick"]
    assert tick["log_loss"] < tick["log_loss_prior"]
    assert tick["roc_auc"]["low"] < tick["roc_auc"]["value"] < tick["roc_auc"]["high"]


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_labels_claim_no_skill(training: TrainingSet, seed: int) -> None:
    y = training.y.copy()
    known = np.isfinite(y)
    y[known] = np.random.default_rng(seed).permutation(y[known])
    shuffled = TrainingSet(training.plan, training.rows, y, training.cutoffs, training.span)
    assert not _evaluated(shuffled, train(shuffled))["skill"]["claimed"]


def test_tick_rows_of_the_test_block_are_never_trained_on(training: TrainingSet) -> None:
    seen = training.rows.as_of_ms[training.fold("fit", "between", "later")]
    tested = training.rows.as_of_ms[training.fold("test")]
    assert seen.max() + HORIZON * DAY_MS <= tested.min()
    assert set(np.unique(training.rows.kind[training.fold("fit")])) >= {0, 1}
    np.testing.assert_array_equal(
        training.y[training.rows.as_of_ms + HORIZON * DAY_MS > training.span.last_known_ms], np.nan
    )


def test_the_bundle_carries_what_the_worker_needs(
    lake: Lake, workload: Workload, training: TrainingSet, trained: Trained, tmp_path: Path
) -> None:
    bundle = package(Registry(tmp_path, workload.name), lake, training, trained)
    model = BoosterModel("v0001", bundle.files, training.plan)
    rows = training.fold("test")
    np.testing.assert_allclose(
        scores_of(model, training, rows)[training.rows.kind[rows] == 0],
        trained.platt[0].probability(trained.trees.margin(training.rows.X[rows & (training.rows.kind == 0)])),
        rtol=1e-6,
    )
    reference = Reference.decode(bundle.files["reference.json"])
    assert (reference.last_day - reference.first_day + 1) % 7 == 0
    assert reference.auc.value == pytest.approx(
        _evaluated(training, trained)["rows"]["tick"]["roc_auc"]["value"], abs=0.05
    )
    card = bundle.files["card.md"].decode()
    assert "Skill: AUC" in card
    assert bundle.manifest.data_window["train"][-1] < bundle.manifest.data_window["test"][0]


def test_recipes_are_chosen_on_later_data(training: TrainingSet) -> None:
    onset = training.cutoffs.fit.days[-1]
    made = train(training, (*recipes_after_drift(onset, HORIZON), Recipe("nothing", since_day=1 << 20)))
    assert made.tried["nothing"] is None
    possible = {name: loss for name, loss in made.tried.items() if loss is not None}
    assert made.tried[ALL.name] is not None
    assert made.recipe.name == min(possible, key=lambda name: possible[name])


def test_one_class_and_short_histories_are_refused_in_one_line(
    workload: Workload, company: Callable[..., Any], training: TrainingSet
) -> None:
    batches = company(workload, n_customers=40)
    stayers = [
        batch.take(batch.kind != workload.topic("billing").kind_index["cancel"])
        for batch in batches
        if batch.topic == "billing"
    ]
    with pytest.raises(LabelError, match="one class only to fit on: 0 of"):
        build_training_set(workload, lambda: stayers + [b for b in batches if b.topic == "usage"][-1:], _split)
    with pytest.raises(HistoryTooShortError, match="days there, 130 needed"):
        build_training_set(workload, lambda: company(workload, n_customers=5, n_days=60), _split)
    with pytest.raises(LabelError, match="no event"):
        build_training_set(workload, list, _split)


def _evaluated(training: TrainingSet, trained: Trained) -> dict[str, Any]:
    model = BoosterModel("v", core_files(training, trained), training.plan)
    rows = training.fold("test")
    prior = float(training.y[training.fold("fit", row_kind=0)].mean())
    return evaluate(training, rows, scores_of(model, training, rows), trained.thresholds, trained.logistic, prior)


def test_after_a_drift_the_fit_block_and_the_later_rows_share_no_customer_and_lose_no_row(
    training: TrainingSet,
) -> None:
    onset = training.cutoffs.later.first_day - 10
    after = dataclasses.replace(training, onset_day=onset)
    fit, later, test = after.fold("fit"), after.fold("later"), after.fold("test")
    assert later.any()
    assert not set(after.customer[fit]) & set(after.customer[later])
    assert (after.rows.as_of_ms[later] >= onset * DAY_MS).all()
    assert (after.fold("fit", "between", "later") == training.fold("fit", "between", "later")).all()
    assert (test == training.fold("test")).all()
    assert (after.rows.as_of_ms[fit] >= onset * DAY_MS).any()


def test_a_drift_that_the_fit_block_has_seen_is_split_by_time_as_ever(training: TrainingSet) -> None:
    for onset in (training.cutoffs.fit.last_day, training.cutoffs.test.last_day):
        after = dataclasses.replace(training, onset_day=onset)
        assert (after.fold("later") == training.fold("later")).all()


def test_a_short_history_is_told_apart_by_customer_and_the_test_stays_an_embargo_later(
    workload: Workload, company: Callable[..., Any]
) -> None:
    batches = company(workload, n_customers=300, n_days=120)
    training = build_training_set(
        workload, lambda: batches, lambda span: choose_short_cutoffs(span.first_day, span.known_until_day, HORIZON)
    )
    fit, later, test = training.fold("fit"), training.fold("later"), training.fold("test")
    assert not set(training.customer[fit]) & set(training.customer[later])
    n_fit, n_later = len(set(training.customer[fit])), len(set(training.customer[later]))
    assert n_later / (n_fit + n_later) == pytest.approx(1 / 3, abs=0.1)
    last_label_ms = training.rows.as_of_ms[fit | later].max() + HORIZON * DAY_MS
    assert last_label_ms <= training.rows.as_of_ms[test & (training.rows.kind == 0)].min()
    assert not training.fold("between").any()
    assert np.isfinite(train(training).thresholds).all()
