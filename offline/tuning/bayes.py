"""Bayesian search by Optuna's TPE, and Optuna's answer to which parameter mattered.

The only module that touches Optuna. Its storage is not used: trials live in our own journal, and each proposal comes
from a sampler seeded by study and number, so that a resumed search proposes what an uninterrupted one would.
Nothing is sent anywhere, and its log is silent below warnings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from offline.tuning.criterion import Criterion
from offline.tuning.space import Parameter, Params
from offline.tuning.trial import Trial, complete

if TYPE_CHECKING:
    import optuna

N_STARTUP = 10
ENOUGH_TRIALS = 20


class BayesSearch:
    """Tree-structured Parzen estimator: looks where good trials were denser than others (Bergstra et al. 2011)."""

    n_points = None

    def __init__(self, space: Sequence[Parameter], seed: int, criterion: Criterion) -> None:
        self._space, self._seed = space, seed
        self._study = _study(criterion)
        self._n_told = 0

    def point(self, number: int, done: Sequence[Trial]) -> Params:
        """TPE's proposal; drawn at random while fewer than ten trials are done."""
        import optuna

        for trial in done[self._n_told :]:
            self._study.add_trial(_told(trial, self._space))
        self._n_told = len(done)
        seed = int(np.random.SeedSequence((self._seed, number)).generate_state(1)[0])
        self._study.sampler = optuna.samplers.TPESampler(n_startup_trials=N_STARTUP, seed=seed)
        asked = self._study.ask({parameter.name: _distribution(parameter) for parameter in self._space})
        # given up at once, which TPE passes over: what comes of it is told as a trial like those of an earlier run
        self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return dict(asked.params)


def importance(trials: Sequence[Trial], space: Sequence[Parameter], criterion: Criterion) -> dict[str, float] | None:
    """Share of the criterion's variance over the space that each parameter explains by itself, largest first (fANOVA).

    None with fewer than twenty complete trials, or when all came out alike: a forest fitted to those says nothing.
    """
    import optuna

    judged = complete(trials)
    if len(judged) < ENOUGH_TRIALS or len({trial.value for trial in judged}) == 1:
        return None
    study = _study(criterion)
    study.add_trials([_told(trial, space) for trial in judged])
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    names = [parameter.name for parameter in space if len({trial.params[parameter.name] for trial in judged}) > 1]
    found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=names)
    return {name: float(share) for name, share in found.items()}


def _study(criterion: Criterion) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize" if criterion.sign > 0 else "minimize")


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.kind == "choice":
        return CategoricalDistribution(parameter.choices)
    if parameter.kind == "int":
        return IntDistribution(int(parameter.low), int(parameter.high))
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def _told(trial: Trial, space: Sequence[Parameter]) -> optuna.trial.FrozenTrial:
    """The trial as Optuna knows it; a pruned one by its value after the last fold it saw."""
    from optuna.trial import TrialState, create_trial

    means: dict[int, float] = {i: float(np.mean(trial.values[: i + 1])) for i in range(len(trial.values))}
    told: dict[str, Any] = {"state": TrialState.PRUNED} if trial.is_pruned else {"value": trial.value}
    return create_trial(
        params={parameter.name: trial.params[parameter.name] for parameter in space},
        distributions={parameter.name: _distribution(parameter) for parameter in space},
        intermediate_values=means,
        **told,
    )
