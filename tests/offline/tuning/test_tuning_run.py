"""A study on a real training set: folds keep time, caching changes nothing, a resumed run ends as one in one go."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from offline.calibrate import fit_platt
from offline.errors import OfflineError
from offline.folds import time_folds
from offline.metrics import log_loss
from offline.models import MAX_ROUNDS, PARAMS, PATIENCE
from offline.packaging import core_files
from offline.train import Recipe, recipe_of, train
from offline.training_options import TrainingOptions
from offline.training_run import read_training_set, train_version
from offline.training_set import TrainingSet
from offline.tuning.criterion import CRITERIA
from offline.tuning.errors import ParamsError, StudyError
from offline.tuning.fold_models import FoldModels
from offline.tuning.params_file import load_params
from offline.tuning.space import Params, defaults, training_params
from offline.tuning.trial import Trial
from offline.tuning.tuning_page import tuning_page
from offline.tuning.tuning_run import Study, Tuned, TuningOptions
from schemas.durations import DAY_MS
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload

DATA = TrainingOptions(n_event_rows=2_000)
HORIZON = 30


@pytest.fixture(scope="module")
def home(workload: Workload, company: Any, fill: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("tuning"))
    fill(Lake(settings.lake_dir), workload, company(workload, n_customers=250, n_days=240))
    return settings


@pytest.fixture(scope="module")
def training(home: Settings, workload: Workload) -> TrainingSet:
    return read_training_set(Lake(home.lake_dir), workload, DATA)


def seconds() -> Callable[[], float]:
    times: Iterator[float] = itertools.count()
    return lambda: float(next(times))


def run(home: Settings, workload: Workload, training: TrainingSet, n: int, **more: Any) -> Tuned:
    watch = more.pop("watch", lambda _: None)
    options = TuningOptions(DATA, n_trials=n, n_folds=2, **more)
    return Study(home, workload, options, training).run(seconds(), watch)


def told(done: Tuned) -> Any:
    content = done.result.content()
    return json.loads(json.dumps(content)), done.study.result_path.read_bytes()


def test_no_row_of_a_fold_knows_its_judged_rows_or_the_test_block(training: TrainingSet) -> None:
    folds = time_folds(training, 3)
    models = FoldModels(training, folds, CRITERIA["log_loss"])
    for i, fold in enumerate(folds):
        fit = models.fit_rows(i)
        assert set(np.unique(training.rows.kind[fit])) >= {0, 1} or i == 0
        assert training.rows.as_of_ms[fit].max() + HORIZON * DAY_MS <= training.rows.as_of_ms[fold.judge].min()
        assert not (training.fold("test") & (fit | fold.judge)).any()
        assert not (fit & ~training.fold("fit", "between", "later")).any()


@pytest.mark.parametrize("point", [{}, {"max_bin": 64, "half_life": 1.0, "event_weight": 0.3, "max_depth": 5}])
def test_a_fold_is_judged_as_xgboost_by_hand_judges_it(training: TrainingSet, point: Params) -> None:
    """Whatever was judged before on the same bins."""
    fold = time_folds(training, 2)[-1]
    models = FoldModels(training, [fold], CRITERIA["log_loss"])
    models.judge({"half_life": 4.0, "max_bin": point.get("max_bin", 128), "subsample": 0.5}, 0)
    found = models.judge(point, 0)
    rows, X, y = models.fit_rows(0), training.rows.X, training.y
    matrix = xgb.QuantileDMatrix(X[rows], y[rows], max_bin=point.get("max_bin", 128), nthread=1)
    if "half_life" in point:
        age = (training.rows.as_of_ms[rows].max() - training.rows.as_of_ms[rows]) / DAY_MS
        weight = 0.5 ** (age / HORIZON) * np.where(training.rows.kind[rows] == 0, 1.0, 0.3)
        matrix.set_weight(weight / weight.mean())
    judged = xgb.DMatrix(X[fold.judge], y[fold.judge], nthread=1)
    booster = xgb.train(
        PARAMS | {"max_depth": point.get("max_depth", 3), "max_bin": point.get("max_bin", 128), "seed": 0, "nthread": 1,
                  "base_score": float(y[rows].mean())},
        matrix, MAX_ROUNDS, evals=[(judged, "judged")], early_stopping_rounds=PATIENCE, verbose_eval=False,
    )  # fmt: skip
    assert found.n_rounds == booster.best_iteration + 1
    margin = booster.predict(judged, output_margin=True, iteration_range=(0, found.n_rounds))
    np.testing.assert_array_equal(found.margin, margin)
    probability = fit_platt(y[fold.judge], margin.astype(np.float64)).probability(margin)
    assert found.value == pytest.approx(log_loss(y[fold.judge], probability), rel=1e-12)


def test_a_resumed_study_ends_as_one_run_in_one_go(
    home: Settings, workload: Workload, training: TrainingSet, tmp_path: Path
) -> None:
    apart = Settings(home=tmp_path)  # no lake there: the study needs the training set alone
    whole = run(apart, workload, training, 7)
    journal = tmp_path / "tuning" / workload.name / whole.study.name / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:6]) + lines[6][:30])  # the crash came in the middle of trial 5
    again = run(apart, workload, training, 7)
    assert told(again) == told(whole)
    more = run(apart, workload, training, 12)
    assert more.result.trials[:7] == whole.result.trials
    assert told(run(apart, workload, training, 12, fresh=True)) == told(more)


def test_an_interrupted_study_keeps_what_was_done(
    home: Settings, workload: Workload, training: TrainingSet, tmp_path: Path
) -> None:
    def press(trials: list[Trial]) -> None:
        if len(trials) == 3:
            raise KeyboardInterrupt

    apart = Settings(home=tmp_path)
    done = run(apart, workload, training, 9, method="random", watch=press)
    assert done.was_interrupted
    assert len(done.result.trials) == 3
    assert json.loads(done.study.result_path.read_bytes())["n_trials"] == 3
    assert len(run(apart, workload, training, 4, method="random").result.trials) == 4


def test_an_interruption_before_the_first_trial_keeps_nothing(
    workload: Workload, training: TrainingSet, tmp_path: Path
) -> None:
    study = Study(Settings(home=tmp_path), workload, TuningOptions(DATA, n_trials=2, n_folds=2), training)

    def interrupted(params: Params, fold: int) -> Any:
        raise KeyboardInterrupt

    study.models.judge = interrupted  # type: ignore[method-assign]
    with pytest.raises(StudyError, match="interrupted before its first trial"):
        study.run(seconds())


def test_the_result_says_what_it_was_made_of_and_the_page_shows_it(
    home: Settings, workload: Workload, training: TrainingSet, tmp_path: Path
) -> None:
    done = run(home, workload, training, 5, method="grid", over=("max_depth", "subsample"), metric="roc_auc")
    content = json.loads(done.study.result_path.read_bytes())
    inputs = content["inputs"]
    assert (inputs["workload_hash"], inputs["seed"], inputs["n_folds"]) == (workload.hash, 0, 2)
    assert inputs["data_window"]["last_offsets"]["usage"]["0"] > 0
    assert set(inputs["libraries"]) == {"numpy", "optuna", "xgboost"}
    assert set(content["params"]) == {"max_depth", "subsample"}
    assert content["best"]["value"] >= content["defaults"]["value"]
    judged_to = max(day for fold in content["folds"] for day in fold["judge"])
    assert judged_to < content["labels_until"] <= inputs["data_window"]["test"][0]
    page = tuning_page(done.result, workload.name).html()
    assert done.result.gain.text(CRITERIA["roc_auc"]) in page
    assert page.count("<svg") == 2


def test_the_latest_study_is_what_a_training_takes(home: Settings, workload: Workload, training: TrainingSet) -> None:
    done = run(home, workload, training, 2, method="random")
    tuned = load_params(home, workload, "latest")
    assert tuned == load_params(home, workload, str(done.study.result_path))
    assert tuned.booster.items() >= {("max_depth", done.result.best.params["max_depth"])}
    assert tuned.origin == done.result.name
    assert tuned.labels_until_day is not None
    assert tuned.labels_until_day <= training.cutoffs.test.first_day


def test_parameters_reach_the_trees_and_the_defaults_said_aloud_change_nothing(training: TrainingSet) -> None:
    plain, said = train(training), train(training, params=training_params({}, HORIZON))
    assert core_files(training, plain) == core_files(training, said)
    flat = train(training, params=training_params({"max_depth": 2}, HORIZON)).trees
    depths = [line.count("\t") for tree in flat.booster.get_dump() for line in tree.splitlines()]
    assert max(depths) == 2


def test_parameters_are_recorded_and_so_is_that_they_knew_the_test_block(home: Settings, workload: Workload) -> None:
    seen = training_params({"gamma": 1.0}, HORIZON, "a study", labels_until_day=19_700 + 230)
    bundle = train_version(home, workload, TrainingOptions(n_event_rows=0, params=seen))
    own = bundle.json("evaluation.json")["training"]
    assert own["params"] == seen.as_json()
    assert (own["params"]["gamma"], own["params"]["half_life_days"], own["params"]["origin"]) == (1.0, None, "a study")
    assert "the parameters (a study) were chosen by labels up to 2024-07-26" in own["notes"][-1]
    assert "flatters" in bundle.files["card.md"].decode()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "is not JSON"),
        ("[]", 'has no table "params"'),
        ('{"params": {"depth": 3}}', "'depth' is no parameter; there are learning_rate"),
        ('{"params": {"max_depth": 12}}', "max_depth = 12 is outside the search space: a whole number from 2 to 8"),
        ('{"params": {}, "labels_until": "soon"}', "labels_until: 'soon' is not a date"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(workload: Workload, tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(ParamsError) as error:
        load_params(Settings(home=tmp_path), workload, str(path))
    assert line in str(error.value)
    assert str(error.value).startswith(f"parameters {path}: ")
    with pytest.raises(ParamsError, match="cannot be read: no such file"):
        load_params(Settings(home=tmp_path), workload, str(tmp_path / "none.json"))


def test_a_table_written_by_hand_is_taken(workload: Workload, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"params": {"max_depth": 4.0, "half_life": 2}}')
    found = load_params(Settings(home=tmp_path), workload, str(path))
    assert (found.booster["max_depth"], found.half_life_days, found.origin) == (4, 60.0, "mine.json")
    assert found.booster["learning_rate"] == defaults()["learning_rate"]


def test_event_rows_weigh_what_the_recipe_says(training: TrainingSet) -> None:
    rows = training.fold("fit")
    weight = recipe_of(training_params({"event_weight": 0.5}, HORIZON)).weights(training, rows)
    assert weight is not None
    assert weight.mean() == pytest.approx(1.0)
    kind = training.rows.kind[rows]
    assert weight[kind == 0] * 0.5 == pytest.approx(weight[kind != 0].max())
    assert Recipe("all").weights(training, rows) is None
    assert train(training, (Recipe("all", event_weight=1.0),)).recipe.event_weight == 1.0


def test_an_unknown_method_or_parameter_is_told_before_anything_is_read(workload: Workload, tmp_path: Path) -> None:
    from offline.tuning.tuning_run import prepare

    for options, line in (
        (TuningOptions(method="magic"), "--method 'magic' is not one of bayes, random, grid"),
        (TuningOptions(metric="profit"), "--metric 'profit' is not one of log_loss"),
        (TuningOptions(over=("eta",)), "'eta' is no parameter"),
    ):
        with pytest.raises(OfflineError, match=line):
            prepare(Settings(home=tmp_path), workload, options)
