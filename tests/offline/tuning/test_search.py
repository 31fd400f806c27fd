"""Laws of the search, on an objective that is a formula: no model, no file, no clock."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from offline.tuning.bayes import BayesSearch, importance
from offline.tuning.criterion import CRITERIA, Criterion
from offline.tuning.methods import GridSearch, Method, RandomSearch
from offline.tuning.search import Budget, FoldResult, is_hopeless, search
from offline.tuning.space import SPACE, Params, chosen_space, defaults
from offline.tuning.trial import Trial, best_of, complete

LOSS = CRITERIA["log_loss"]
METHODS: dict[str, Callable[[int], Method]] = {
    "random": lambda seed: RandomSearch(SPACE, seed),
    "bayes": lambda seed: BayesSearch(SPACE, seed, LOSS),
    "grid": lambda seed: GridSearch(SPACE, seed, 60),
}


@dataclass
class Bowl:
    """Best at a depth of 5 and a learning rate of 0.1; every fold has its own level."""

    n_folds: int = 3
    asked: list[tuple[Params, int]] = field(default_factory=list)

    def judge(self, params: Params, fold: int) -> FoldResult:
        self.asked.append((params, fold))
        depth, rate, bins = (float(params[name] or 0) for name in ("max_depth", "learning_rate", "max_bin"))
        value = 1.0 + (depth - 5.0) ** 2 + 4.0 * math.log(rate / 0.1) ** 2 + bins / 1e4 + 100.0 * fold
        return FoldResult(value, 10 * (fold + 1), np.full(2, value, np.float32))


def ticking(step: float = 1.0) -> Callable[[], float]:
    """A clock that moves on by a step whenever it is read."""
    times: Iterator[float] = itertools.count(0.0, step)
    return lambda: next(times)


def run(method: Method, n: int, done: list[Trial] | None = None, **more: object) -> list[Trial]:
    options = {"budget": Budget(n), "seconds": ticking()} | more
    found = search(Bowl(), method, LOSS, defaults(), done or [], **options)  # type: ignore[arg-type]
    return [*(done or []), *(trial for trial, _ in found)]


def same(trials: list[Trial]) -> list[tuple[object, ...]]:
    """All but the time it took."""
    return [(t.number, dict(t.params), t.values, t.n_rounds, t.is_pruned) for t in trials]


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_searches_the_same_points_and_another_seed_others(name: str) -> None:
    first, again, other = (run(METHODS[name](seed), 14) for seed in (3, 3, 4))
    assert same(first) == same(again) != same(other)
    assert dict(first[0].params) == defaults(), "the defaults come first"


@pytest.mark.parametrize("cut", [1, 5, 17])
@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_search_finds_what_an_uninterrupted_one_finds(name: str, cut: int) -> None:
    whole = run(METHODS[name](7), 20)
    begun = run(METHODS[name](7), cut)
    read_back = [Trial.decode(trial.encode()) for trial in begun]
    assert same(run(METHODS[name](7), 20, read_back)) == same(whole)


def test_a_grid_visits_each_point_once() -> None:
    space = chosen_space(["max_depth", "half_life", "subsample"])
    method = GridSearch(space, seed=1, most=1000)
    assert method.n_points == 3 * 4 * 3  # the default of subsample, 0.8, is no grid point
    bowl = Bowl(n_folds=1)
    bowl.judge = lambda params, fold: FoldResult(1.0, 1, np.zeros(1, np.float32))  # type: ignore[method-assign]
    trials = [t for t, _ in search(bowl, method, LOSS, defaults(space), [], Budget(), seconds=ticking())]
    visited = [tuple(t.params[p.name] for p in space) for t in trials[1:]]
    assert sorted(visited, key=str) == sorted(itertools.product(*(p.points() for p in space)), key=str)


def test_a_grid_takes_as_many_parameters_as_fit_and_leaves_the_others_alone() -> None:
    method = GridSearch(SPACE, seed=0, most=30)
    assert [axis.name for axis in method.axes] == ["learning_rate", "max_depth", "min_child_weight"]
    point = method.point(1, [])
    assert point is not None
    assert {name: point[name] for name in ("subsample", "half_life")} == {"subsample": 0.8, "half_life": None}


def test_a_grid_does_not_repeat_the_defaults() -> None:
    space = chosen_space(["max_bin", "half_life"])
    assert GridSearch(space, 0, 100).n_points == 3 * 4 - 1


def test_bayes_finds_the_bowl_sooner_than_chance() -> None:
    """Not a law of one seed: the mean over five."""
    best = {
        name: np.mean([best_of(run(METHODS[name](seed), 30, prune=False), LOSS).value for seed in range(5)])
        for name in ("bayes", "random")
    }
    assert best["bayes"] < best["random"]


@pytest.mark.parametrize("name", METHODS)
def test_a_pruned_trial_is_never_the_best_and_pruning_changes_no_value(name: str) -> None:
    trials = run(METHODS[name](0), 50)
    assert 0 < len(trials) - len(complete(trials)) < 40
    assert not best_of(trials, LOSS).is_pruned
    for trial in trials:
        whole = [Bowl().judge(trial.params, fold).value for fold in range(3)]
        assert list(trial.values) == whole[: len(trial.values)]


@pytest.mark.parametrize("name", ["random", "grid"])
def test_where_folds_agree_pruning_keeps_the_same_best(name: str) -> None:
    pruned, whole = (run(METHODS[name](5), 50, prune=prune) for prune in (True, False))
    assert best_of(pruned, LOSS).number == best_of(whole, LOSS).number
    assert len(complete(whole)) == len(whole)


def test_the_median_is_over_the_same_folds() -> None:
    others = [Trial(i, {}, (1.0 + i, 50.0, 50.0), (1, 1, 1), False, 1.0) for i in range(5)]
    assert not is_hopeless([3.0], others, LOSS)
    assert is_hopeless([3.1], others, LOSS)
    assert is_hopeless([2.9], others, CRITERIA["roc_auc"])
    assert not is_hopeless([99.0], others[:4], LOSS), "too few to tell"


@pytest.mark.parametrize("limit", [3.0, 40.0, 100.0])
def test_a_time_budget_is_kept(limit: float) -> None:
    """A trial of this objective lasts two ticks of the clock, and a look at it one more: none begins that would not
    end in time, and none that would is left out.
    """
    clock = ticking()
    trials = [t for t, _ in search(Bowl(), METHODS["random"](0), LOSS, defaults(), [], Budget(seconds=limit),
                                   seconds=clock)]  # fmt: skip
    spent = clock() - 1.0
    assert spent <= limit + 2.0
    assert spent >= limit - 4.0
    assert len(trials) >= 1


def test_of_two_budgets_the_tighter_one_counts() -> None:
    trial = Trial(0, {}, (1.0,), (1,), False, 10.0)
    assert Budget(None, 5.0).allows([], 99.0), "the defaults may always begin"
    assert Budget(3, 100.0).allows([trial] * 2, 90.0)
    assert not Budget(3, 100.0).allows([trial] * 3, 0.0)
    assert not Budget(9, 100.0).allows([trial] * 2, 90.1)


def test_the_parameters_that_matter_are_named_first() -> None:
    trials = run(METHODS["random"](0), 40, prune=False)
    found = importance(trials, SPACE, LOSS)
    assert found is not None
    assert set(list(found)[:2]) == {"max_depth", "learning_rate"}
    assert math.isclose(sum(found.values()), 1.0)
    assert importance(trials[:15], SPACE, LOSS) is None, "too few to tell"


@pytest.mark.parametrize("criterion", CRITERIA.values(), ids=lambda criterion: criterion.name)
def test_the_best_is_the_best_whichever_way_is_better(criterion: Criterion) -> None:
    trials = [Trial(i, {}, (value,), (1,), False, 1.0) for i, value in enumerate([0.5, 0.7, 0.3, 0.7, 0.3])]
    assert best_of(trials, criterion).number == (2 if criterion.sign < 0 else 1)
