"""A value model beside simple guesses: it claims what the rows show, and nothing where there is nothing to know."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from offline.errors import LabelError
from offline.regression.target import target_of
from offline.regression.value_run import LAST, MEAN, MEDIAN, compare_values, judge_value, read_values
from offline.regression.value_trees import ValueTrees
from offline.training_options import TrainingOptions
from offline.value_cli import value, value_lines
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload

Company = Callable[..., list[EventBatch]]


def with_minutes(batches: list[EventBatch], seed: int) -> list[EventBatch]:
    """Sessions of 20 to 40 minutes; the longer ones belong to customers of even number."""
    rng = np.random.default_rng(seed)
    found = []
    for batch in batches:
        if batch.topic == "usage":
            even = np.array([int(str(name).rpartition("-")[2]) % 2 == 0 for name in batch.customer_id])
            minutes = np.where(even, 40.0, 20.0) * rng.uniform(0.8, 1.2, len(batch))
            batch = replace(batch, values={"minutes": minutes})
        found.append(batch)
    return found


@pytest.fixture(scope="module")
def home(workload: Workload, company: Company, fill: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("values"))
    fill(Lake(settings.lake_dir), workload, with_minutes(company(workload, n_days=220), 0))
    return settings


@pytest.fixture(scope="module")
def judged(home: Settings, workload: Workload) -> dict[str, Any]:
    return judge_value(home, workload, target_of(workload), TrainingOptions())


def test_a_value_that_can_be_known_is_known(judged: dict[str, Any]) -> None:
    found, errors = judged, judged["errors"]
    assert found["skill"]["claimed"], found["skill"]["text"]
    assert errors["model"]["r2"]["low"] > 0.2 > errors[MEAN]["r2"]["high"]
    assert errors["model"]["mae"]["low"] < errors["model"]["mae"]["value"] < errors["model"]["mae"]["high"]
    assert found["gain"][LAST]["rmse"]["low"] > 0
    assert found["target"]["horizon_days"] == 30
    assert set(found["training"]["tried"]) == {"squared error", "Tweedie"}
    assert errors[MEDIAN]["mae"]["value"] <= errors[MEAN]["mae"]["value"] * 1.05


def test_the_rows_are_those_of_the_label_and_the_test_block_comes_last(home: Settings, workload: Workload) -> None:
    found = read_values(home, workload, target_of(workload), TrainingOptions(), lambda _: None)
    training = found.training
    assert (np.isfinite(found.y) == np.isfinite(training.y)).all()
    trained, tested = found.fold("fit", "between", "later"), found.fold("test")
    end = training.rows.as_of_ms[trained].max() + 30 * DAY_MS
    assert end <= training.rows.as_of_ms[tested].min()
    assert training.rows.as_of_ms[np.isfinite(found.y)].max() + 30 * DAY_MS <= training.span.last_known_ms
    assert set(np.unique(training.rows.kind[trained | tested])) == {0}
    leavers = tested & (training.y == 1)
    stayers = tested & (training.y == 0)
    assert found.y[leavers].mean() < found.y[stayers].mean(), "who left counts with what came before"


def test_where_nothing_can_be_known_no_skill_is_claimed() -> None:
    rng = np.random.default_rng(0)
    n = 600
    y = rng.gamma(0.5, 40.0, n)
    X = rng.normal(size=(n, 6)).astype(np.float32)
    trees = ValueTrees("squared error").fit(X[:300], y[:300], 40)
    customer = np.arange(300)
    predicted = {"model": trees.predict(X[300:]), MEAN: np.full(300, y[:300].mean())}
    found = compare_values(y[300:], customer, predicted)
    assert not found["skill"]["claimed"]
    assert "the guess does as well" in found["skill"]["text"]
    knowing = compare_values(y[300:], customer, predicted | {"oracle": y[300:] + 1.0})
    assert not knowing["skill"]["claimed"]
    better = compare_values(y[300:], customer, {"model": predicted["model"], "oracle": y[300:] + 1.0})
    assert better["skill"]["text"] == "the guess 'oracle' has a lower RMSE: it is better"
    few = compare_values(y[300:320], customer[:20], {name: values[:20] for name, values in predicted.items()})
    assert "too few customers to tell: 20" in few["skill"]["text"]


@pytest.mark.parametrize("loss", ["squared error", "Tweedie"])
def test_a_currency_does_not_change_the_model(loss: Any) -> None:
    """A hundred times the value is a hundred times the prediction."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(400, 3)).astype(np.float32)
    y = np.exp(X[:, 0]) * rng.gamma(1.0, 1.0, 400) * (rng.random(400) < 0.7)
    euros, cents = (ValueTrees(loss).fit(X, k * y, 30).predict(X) for k in (1.0, 128.0))
    np.testing.assert_allclose(cents, 128.0 * euros, rtol=1e-5)
    assert np.corrcoef(euros, np.exp(X[:, 0]))[0, 1] > 0.8


def test_values_that_teach_nothing_are_one_line(workload: Workload, company: Company, fill: Any, tmp_path: Any) -> None:
    settings = Settings(home=tmp_path)
    fill(Lake(settings.lake_dir), workload, company(workload, n_customers=60))  # sessions without minutes
    with pytest.raises(LabelError, match="one value only to fit on: sum of minutes over session is 0 for each of"):
        judge_value(settings, workload, target_of(workload), TrainingOptions())


def test_the_command_says_what_was_judged_and_the_same_run_twice_is_the_same(
    home: Settings, judged: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(home.home))
    asked = CliRunner().invoke(value, ["--of", "session", "--field", "minutes", "--json"], catch_exceptions=False)
    assert json.loads(asked.stdout) == json.loads(json.dumps(judged))
    assert "training on " in asked.stderr
    lines = value_lines(judged)
    assert lines[0].startswith("sum of minutes over session within 30 days, in min; ")
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:] == ["model", MEAN, MEDIAN, LAST]
    assert lines[-1].startswith("Skill: RMSE is lower than that of every guess")
