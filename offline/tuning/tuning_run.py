"""A study from the lake to its result file: what `driftline tune` does. The time comes from the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version as version_of
from typing import Any

from offline.errors import OfflineError
from offline.folds import time_folds
from offline.packaging import data_window
from offline.passing import Say
from offline.training_options import TrainingOptions
from offline.training_run import read_training_set
from offline.training_set import TrainingSet
from offline.tuning.bayes import BayesSearch, importance
from offline.tuning.criterion import CRITERIA, Criterion
from offline.tuning.errors import StudyError
from offline.tuning.fold_models import FoldModels
from offline.tuning.gain import gain_over_defaults
from offline.tuning.methods import GridSearch, Method, RandomSearch
from offline.tuning.params_file import tuning_dir
from offline.tuning.result import StudyResult, fold_content
from offline.tuning.search import Budget, Seconds, search
from offline.tuning.space import Parameter, chosen_space, defaults
from offline.tuning.study_file import StudyFile
from offline.tuning.trial import Trial, complete
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload

METHODS = ("bayes", "random", "grid")
N_TRIALS = 50
LIBRARIES = ("numpy", "optuna", "xgboost")

Watch = Callable[[list[Trial]], None]


@dataclass(frozen=True)
class TuningOptions:
    """What a user may say about a study.

    Parameters
    ----------
    data
        Which history and cut-offs; its seed is also that of the search, its threads those of XGBoost.
    n_trials
        Trials of the study, the defaults included; None with `minutes` sets no limit, without it fifty.
    minutes
        Of this run; None sets no limit.
    over
        Parameters to search; empty takes all.
    fresh
        Forget what an earlier run of the same study has found.
    """

    data: TrainingOptions = field(default_factory=TrainingOptions)
    method: str = "bayes"
    n_trials: int | None = None
    minutes: float | None = None
    n_folds: int = 3
    metric: str = "log_loss"
    over: tuple[str, ...] = ()
    prune: bool = True
    fresh: bool = False

    @property
    def budget(self) -> Budget:
        """When to stop."""
        n_trials = N_TRIALS if self.n_trials is None and self.minutes is None else self.n_trials
        return Budget(n_trials, None if self.minutes is None else 60.0 * self.minutes)


@dataclass(frozen=True, eq=False)
class Tuned:
    """A finished study and where its result lies."""

    result: StudyResult
    study: StudyFile
    was_interrupted: bool


class Study:
    """A study that is ready to run.

    Parameters
    ----------
    training
        Rows, labels and split; the test block is not looked at.
    """

    def __init__(self, settings: Settings, workload: Workload, options: TuningOptions, training: TrainingSet) -> None:
        self.training, self.options = training, options
        self.criterion = CRITERIA[options.metric]
        self.folds = time_folds(training, options.n_folds)
        has_event_rows = bool((training.fold("fit", "between", "later") & (training.rows.kind != 0)).any())
        self.space = chosen_space(options.over, has_event_rows)
        self.method = _method(options, self.space, self.criterion)
        self.models = FoldModels(
            training, self.folds, self.criterion, n_threads=options.data.n_threads, seed=options.data.seed
        )
        self.inputs = self._inputs(data_window(Lake(settings.lake_dir), training))
        self.file = StudyFile(tuning_dir(settings, workload), self.inputs)

    @property
    def n_trials(self) -> int | None:
        """Trials when the budget of trials is used up; None when only time is limited."""
        limits = [self.options.budget.n_trials, None if self.method.n_points is None else 1 + self.method.n_points]
        return min((limit for limit in limits if limit is not None), default=None)

    def run(self, seconds: Seconds, watch: Watch = lambda _: None, say: Say = lambda _: None) -> Tuned:
        """Search until the budget is used up or the user interrupts, and write the result.

        Parameters
        ----------
        seconds
            The time, in seconds since any moment.
        watch
            Told all trials after each one.

        Raises
        ------
        StudyError
            When interrupted before the first trial was done.
        """
        with self.file.owned():
            trials, was_interrupted = self._search(seconds, watch, say)
            if not trials:
                raise StudyError(self.file.name, "interrupted before its first trial was done; nothing is kept")
            say("comparing the best with the defaults")
            result = self._result(trials)
            self.file.save_result(result.content())
        return Tuned(result, self.file, was_interrupted)

    def _search(self, seconds: Seconds, watch: Watch, say: Say) -> tuple[list[Trial], bool]:
        if self.options.fresh:
            self.file.clear()
        trials = self.file.load()
        if trials:
            say(f"going on with {self.file.name}: {len(trials)} trials are done (--fresh begins again)")
        watch(trials)
        found = search(
            self.models, self.method, self.criterion, defaults(self.space), trials, self.options.budget,
            prune=self.options.prune, seconds=seconds,
        )  # fmt: skip
        try:
            for trial, margin in found:
                self.file.append(trial, margin)
                trials.append(trial)
                watch(trials)
        except KeyboardInterrupt:
            return trials, True
        return trials, False

    def _result(self, trials: list[Trial]) -> StudyResult:
        judged = self.models.judged
        margins = {trial.number: self.file.margin(trial).astype(float) for trial in complete(trials)}
        if wrong := [number for number, margin in margins.items() if len(margin) != len(judged.y)]:
            raise StudyError(self.file.name, f"margins of trial {wrong[0]} are of other rows; begin again with --fresh")
        return StudyResult(
            self.file.name,
            self.inputs,
            self.criterion,
            tuple(trials),
            [
                fold_content(self.training, fold, int(self.models.fit_rows(i).sum()))
                for i, fold in enumerate(self.folds)
            ],
            gain_over_defaults(self.criterion, judged, margins),
            importance(trials, self.space, self.criterion),
            self.training.cutoffs.train_days[-1] + self.training.cutoffs.horizon_days,
        )

    def _inputs(self, window: dict[str, Any]) -> dict[str, Any]:
        options = self.options
        axes = self.method.axes if isinstance(self.method, GridSearch) else self.space
        return {
            "workload_hash": self.training.plan.workload.hash,
            "data_window": window,
            "method": options.method,
            "metric": options.metric,
            "n_folds": len(self.folds),
            "prune": options.prune,
            "seed": options.data.seed,
            "n_threads": options.data.n_threads,
            "n_event_rows": options.data.n_event_rows,
            "space": {axis.name: list(axis.points()) if axis.choices else [axis.low, axis.high] for axis in axes},
            "libraries": {name: version_of(name) for name in LIBRARIES},
        }


def prepare(settings: Settings, workload: Workload, options: TuningOptions, say: Say = lambda _: None) -> Study:
    """Read the lake and make the study ready.

    Raises
    ------
    OfflineError
        When an option is not one, or the history allows no fold.
    """
    for name, value, allowed in (("method", options.method, METHODS), ("metric", options.metric, tuple(CRITERIA))):
        if value not in allowed:
            raise OfflineError(f"--{name} {value!r} is not one of {', '.join(allowed)}")
    chosen_space(options.over)  # told before the history is read
    study = Study(settings, workload, options, read_training_set(Lake(settings.lake_dir), workload, options.data, say))
    if len(study.folds) < options.n_folds:
        say(f"the history allows {len(study.folds)} of {options.n_folds} folds")
    if isinstance(study.method, GridSearch):
        axes = ", ".join(axis.name for axis in study.method.axes)
        say(f"a grid of {study.method.n_points} points beside the defaults, over {axes}")
    return study


def _method(options: TuningOptions, space: tuple[Parameter, ...], criterion: Criterion) -> Method:
    seed = options.data.seed
    if options.method == "grid":
        return GridSearch(space, seed, (options.n_trials or N_TRIALS) - 1)
    return BayesSearch(space, seed, criterion) if options.method == "bayes" else RandomSearch(space, seed)
