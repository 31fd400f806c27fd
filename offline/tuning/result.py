"""What a study found, as JSON and as lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offline.bootstrap import Interval
from offline.cutoffs import date_text
from offline.evaluate import as_json
from offline.folds import TimeFold
from offline.training_set import TrainingSet
from offline.tuning.criterion import Criterion
from offline.tuning.gain import Gain
from offline.tuning.space import PARAMETERS, Params, Value
from offline.tuning.trial import Trial, best_of, complete


@dataclass(frozen=True, eq=False)
class StudyResult:
    """A study with at least one complete trial.

    Parameters
    ----------
    inputs
        All that decided what the trials are.
    importance
        Parameter -> share of variance; None when there were too few trials to tell.
    """

    name: str
    inputs: Mapping[str, Any]
    criterion: Criterion
    trials: Sequence[Trial]
    folds: Sequence[Mapping[str, Any]]
    gain: Gain
    importance: Mapping[str, float] | None
    labels_until_day: int

    @property
    def best(self) -> Trial:
        """The best complete trial."""
        return best_of(self.trials, self.criterion)

    def content(self) -> dict[str, Any]:
        """The result file."""
        return {
            "study": self.name,
            "inputs": dict(self.inputs),
            "params": dict(self.best.params),
            "labels_until": date_text(self.labels_until_day),
            "folds": [dict(fold) for fold in self.folds],
            "n_trials": len(self.trials),
            "n_pruned": len(self.trials) - len(complete(self.trials)),
            "best": _judged(self.best),
            "defaults": _judged(self.trials[0]),
            "gain": {
                "on_folds": as_json(self.gain.on_folds),
                "expected": as_json(self.gain.expected),
                "is_worth_it": self.gain.is_worth_it,
                "text": self.gain.text(self.criterion),
            },
            "importance": None if self.importance is None else dict(self.importance),
            "trials": [_judged(trial) | {"params": dict(trial.params)} for trial in self.trials],
        }

    def lines(self) -> list[str]:
        """The result in a terminal, short."""
        best, default, n_pruned = self.best, self.trials[0], len(self.trials) - len(complete(self.trials))
        share = self.importance or {}
        return [
            f"{self.name}: {len(self.trials)} trials ({n_pruned} pruned), {len(self.folds)} folds in time",
            f"{self.criterion.words}: {best.value:.4f} by trial {best.number}, {default.value:.4f} by the defaults",
            "",
            f"{'parameter':<18}{'best':>10}{'default':>10}{'matters':>10}",
            *(
                f"{name:<18}{value_text(value):>10}{value_text(PARAMETERS[name].default):>10}"
                f"{f'{share[name]:.0%}' if name in share else '-':>10}"
                for name, value in _by_share(best.params, share)
            ),
            "",
            f"Gain on the folds that chose it: {span_text(self.gain.on_folds)}.",
            self.gain.text(self.criterion),
        ]


def fold_content(training: TrainingSet, fold: TimeFold, n_fit: int) -> dict[str, Any]:
    """A fold as dates and counts.

    Parameters
    ----------
    n_fit
        Rows it trains on, event rows included.
    """
    return {
        "fit": [date_text(day) for day in fold.fit_days],
        "judge": [date_text(day) for day in fold.judge_days],
        "n_fit": n_fit,
        "n_judged": int(fold.judge.sum()),
        "n_positive": int(training.y[fold.judge].sum()),
    }


def value_text(value: Value) -> str:
    """A parameter's value, short.

    Examples
    --------
    >>> [value_text(value) for value in (None, 3, 0.0512345)]
    ['none', '3', '0.0512']
    """
    return "none" if value is None else f"{value:.3g}"


def span_text(found: Interval) -> str:
    """An interval, four digits."""
    return f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"


def _judged(trial: Trial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "value": trial.value,
        "by_fold": list(trial.values),
        "n_rounds": list(trial.n_rounds),
        "pruned": trial.is_pruned,
    }


def _by_share(params: Params, share: Mapping[str, float]) -> list[tuple[str, Value]]:
    return sorted(params.items(), key=lambda item: -share.get(item[0], 0.0))
