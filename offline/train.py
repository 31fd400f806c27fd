"""From a training set to a model with calibration and threshold; of several recipes for old data the best one wins.

Rounds, recipe, calibration and threshold are chosen on the *later* block with a model that has seen the *fit* block
alone; then the model is trained once more on everything before the test block. The test block is not looked at here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from offline.calibrate import Platt, fit_platt
from offline.metrics import Floats, log_loss
from offline.models import BoostedTrees, Logistic, fit_logistic
from offline.threshold import BEST_F1, ThresholdRule
from offline.training_params import TrainingParams
from offline.training_set import ROW_KINDS, Bools, TrainingSet
from schemas.durations import DAY_MS

MIN_KIND_POSITIVES = 15
MIN_RECENT_POSITIVES = 20


@dataclass(frozen=True, eq=False)
class Recipe:
    """How much old rows and event rows count.

    Parameters
    ----------
    name
        As the card says it.
    half_life_days
        A row this much older weighs half; None weighs all alike.
    since_day
        Rows before are left out; None takes all.
    event_weight
        Weight of an event row, where a tick row weighs 1.
    """

    name: str
    half_life_days: float | None = None
    since_day: int | None = None
    event_weight: float = 1.0

    def weights(self, training: TrainingSet, rows: Bools) -> Floats | None:
        """Weight per chosen row, mean 1; None when all weigh alike."""
        if self.half_life_days is None and self.event_weight == 1.0:
            return None
        weight = np.ones(int(rows.sum()))
        if self.half_life_days is not None:
            day = training.rows.as_of_ms[rows] / DAY_MS
            weight = np.exp2((day - day.max()) / self.half_life_days)
        if self.event_weight != 1.0:
            weight = np.where(training.rows.kind[rows] == 0, weight, weight * self.event_weight)
        return np.asarray(weight / weight.mean())

    def rows(self, training: TrainingSet, rows: Bools) -> Bools:
        """The chosen rows that the recipe takes."""
        return rows if self.since_day is None else rows & (training.rows.as_of_ms >= self.since_day * DAY_MS)


ALL = Recipe("all rows alike")


def recipe_of(params: TrainingParams) -> Recipe:
    """The recipe that parameters ask for."""
    return Recipe(params.describe(), half_life_days=params.half_life_days, event_weight=params.event_weight)


def recipes_after_drift(onset_day: int, horizon_days: int) -> tuple[Recipe, ...]:
    """What a retraining tries: everything, everything with old rows fading, and only rows since the onset."""
    return (
        ALL,
        Recipe(f"rows fade with a half-life of {2 * horizon_days} days", half_life_days=2.0 * horizon_days),
        Recipe("rows since the onset of the drift", since_day=onset_day),
    )


@dataclass(frozen=True, eq=False)
class Trained:
    """A model and what was decided on the way.

    Parameters
    ----------
    platt, thresholds
        Per row kind, in the order tick, event, urgent.
    tried
        Recipe name -> log loss of tick rows on the later block; None when it had too few positives.
    params
        What the training was told instead of the defaults; None when nothing.
    """

    trees: BoostedTrees
    n_rounds: int
    platt: tuple[Platt, ...]
    thresholds: tuple[float, ...]
    logistic: Logistic
    recipe: Recipe
    tried: dict[str, float | None]
    notes: tuple[str, ...]
    params: TrainingParams | None = None
    rule: ThresholdRule = BEST_F1

    def calibration(self) -> dict[str, dict[str, float]]:
        """Content of calibration.json."""
        return {kind: {"a": p.a, "b": p.b} for kind, p in zip(ROW_KINDS, self.platt, strict=True)}

    def threshold(self) -> dict[str, Any]:
        """Content of threshold.json."""
        return {**dict(zip(ROW_KINDS, self.thresholds, strict=True)), **self.rule.content()}


NewTrees = Callable[[int, int, Mapping[str, Any]], BoostedTrees]


def train(
    training: TrainingSet,
    recipes: tuple[Recipe, ...] = (ALL,),
    *,
    n_threads: int = 1,
    seed: int = 0,
    params: TrainingParams | None = None,
    rule: ThresholdRule = BEST_F1,
    new_trees: NewTrees = BoostedTrees,
) -> Trained:
    """Train, choose and calibrate.

    Parameters
    ----------
    recipes
        Tried in this order; the first is the one that is always possible.
    n_threads
        Of XGBoost; part of what makes the bytes of the model.
    params
        In place of the default parameters; their recipe is one of `recipes`, see `recipe_of`.
    rule
        What the threshold is chosen for.
    new_trees
        Makes untrained trees of (threads, seed, parameters): those of this process, or of a cluster.
    """
    booster = {} if params is None else params.booster
    tried: dict[str, float | None] = {}
    best: tuple[float, Recipe, int, BoostedTrees] | None = None
    for recipe in recipes:
        attempt = _attempt(training, recipe, new_trees(n_threads, seed, booster))
        tried[recipe.name] = None if attempt is None else attempt[0]
        if attempt is not None and (best is None or attempt[0] < best[0]):
            best = (attempt[0], recipe, *attempt[1:])
    assert best is not None, "the first recipe takes all rows"
    _, recipe, n_rounds, early = best
    platt, thresholds, notes = _calibrated(training, early, rule)
    rows = recipe.rows(training, training.fold("fit", "between", "later"))
    X, y = training.rows.X[rows], training.y[rows]
    return Trained(
        trees=new_trees(n_threads, seed, booster).fit(X, y, n_rounds, recipe.weights(training, rows)),
        n_rounds=n_rounds,
        platt=platt,
        thresholds=thresholds,
        logistic=fit_logistic(X, y, training.plan.columns),
        recipe=recipe,
        tried=tried,
        notes=notes,
        params=params,
        rule=rule,
    )


def _attempt(training: TrainingSet, recipe: Recipe, trees: BoostedTrees) -> tuple[float, int, BoostedTrees] | None:
    """(log loss on the later block's tick rows, rounds, model of the fit block)."""
    rows = recipe.rows(training, training.fold("fit"))
    X, y = training.rows.X[rows], training.y[rows]
    if recipe.since_day is not None and min(y.sum(), len(y) - y.sum()) < MIN_RECENT_POSITIVES:
        return None
    later = training.fold("later")
    weight = recipe.weights(training, rows)
    n_rounds = trees.best_n_rounds(X, y, training.rows.X[later], training.y[later], weight)
    trees.fit(X, y, n_rounds, weight)
    ticks = training.fold("later", row_kind=0)
    margin, outcome = trees.margin(training.rows.X[ticks]), training.y[ticks]
    return log_loss(outcome, fit_platt(outcome, margin).probability(margin)), n_rounds, trees


def _calibrated(
    training: TrainingSet, early: BoostedTrees, rule: ThresholdRule
) -> tuple[tuple[Platt, ...], tuple[float, ...], tuple[str, ...]]:
    """Calibration and threshold of each row kind on the later block; a kind with few positives takes those of ticks."""
    platts: list[Platt] = []
    thresholds: list[float] = []
    notes: list[str] = []
    for kind, name in enumerate(ROW_KINDS):
        rows = training.fold("later", row_kind=kind)
        y = training.y[rows]
        n_positive = int(y.sum())
        if kind and min(n_positive, len(y) - n_positive) < MIN_KIND_POSITIVES:
            platts.append(platts[0])
            thresholds.append(thresholds[0])
            notes.append(f"{name} rows: {n_positive} positives to calibrate on, so those of tick rows are used")
            continue
        margin = early.margin(training.rows.X[rows])
        platts.append(fit_platt(y, margin))
        thresholds.append(rule.choose(y, platts[-1].probability(margin)))
    return tuple(platts), tuple(thresholds), tuple(notes)
