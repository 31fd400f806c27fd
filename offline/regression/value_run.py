"""A value model trained on the lake and judged on the test cut-offs beside three guesses, with intervals.

The loss and the rounds are chosen on the later block, as `offline.train` chooses; the test block is looked at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from offline.bootstrap import Interval, interval
from offline.errors import LabelError
from offline.evaluate import as_json
from offline.history import BatchHistory
from offline.metrics import Floats
from offline.passing import Say
from offline.regression.target import ValuedHistory, Values, ValueTarget
from offline.regression.value_metrics import mae, r2, rmse
from offline.regression.value_trees import LOSSES, Loss, ValueTrees
from offline.training_options import TrainingOptions
from offline.training_run import read_training_set
from offline.training_set import PURPOSES, Bools, Fold, LocalReading, TrainingSet
from schemas.durations import DAY_MS
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload

METRICS: Final = {"mae": mae, "rmse": rmse, "r2": r2}
MODEL, MEAN, MEDIAN, LAST = "model", "mean", "median", "last horizon"
FEW_CUSTOMERS = 50


@dataclass(frozen=True, eq=False)
class ValueRows:
    """Tick rows at cut-offs with what came after them.

    Parameters
    ----------
    y
        Value within the horizon ahead; NaN where the label is not known; (n,).
    behind
        Value within the horizon behind, as known; (n,).
    """

    training: TrainingSet
    y: Floats
    behind: Floats

    def fold(self, *names: Fold) -> Bools:
        """Tick rows of these blocks whose value is known, (n,)."""
        return np.asarray(self.training.fold(*names, row_kind=0) & np.isfinite(self.y))


def read_values(
    settings: Settings, workload: Workload, target: ValueTarget, options: TrainingOptions, say: Say
) -> ValueRows:
    """The rows of a training, with values in place of labels.

    Raises
    ------
    LabelError
        When a block has no matured row, or nobody is worth more than another.
    """
    lake, values = Lake(settings.lake_dir), Values(workload, target)
    until_ms = None if options.until_day is None else options.until_day * DAY_MS
    history = ValuedHistory(BatchHistory(lake, workload, until_ms, say=say), values)
    ticks = replace(options, n_event_rows=0)
    training = read_training_set(lake, workload, ticks, say, reading=LocalReading(workload, history), purposes={})
    rows = training.rows
    ahead = np.where(np.isfinite(training.y), values.ahead(rows.customer_id, rows.as_of_ms), np.nan)
    found = ValueRows(training, ahead, values.behind(rows.customer_id, rows.as_of_ms))
    for name, purpose in PURPOSES.items():
        y = found.y[found.fold(name)]
        if not len(y):
            raise LabelError(f"no matured rows {purpose}: no eligible customer at those cut-offs")
        if y.min() == y.max():
            raise LabelError(f"one value only {purpose}: {target} is {y[0]:g} for each of {len(y)} rows")
    return found


def judge_value(
    settings: Settings,
    workload: Workload,
    target: ValueTarget,
    options: TrainingOptions,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Train on the lake and judge on the test cut-offs; JSON-able."""
    found = read_values(settings, workload, target, options, say)
    say(f"training on {int(found.fold('fit', 'between', 'later').sum())} rows")
    trees, tried = _trained(found, options)
    test = found.fold("test")
    predicted = guesses(found, test) | {MODEL: trees.predict(found.training.rows.X[test])}
    say("judging on the held-out cut-offs")
    customer = np.unique(found.training.customer[test], return_inverse=True)[1].astype(np.int64)
    return {
        "target": asdict(target) | {"says": str(target), "horizon_days": target.horizon_ms // DAY_MS},
        "split": found.training.cutoffs.describe(),
        "training": {"n_rows": int(found.fold("fit", "between", "later").sum()), "loss": trees.loss, "tried": tried},
        **compare_values(found.y[test], customer, predicted),
    }


def guesses(found: ValueRows, rows: Bools) -> dict[str, Floats]:
    """What one would say without a model, (n,) each: the mean or median of training, or the same as last time."""
    known = found.y[found.fold("fit", "between", "later")]
    n = int(rows.sum())
    return {
        MEAN: np.full(n, known.mean()),
        MEDIAN: np.full(n, np.median(known)),
        LAST: found.behind[rows],
    }


def compare_values(y: Floats, customer: NDArray[np.int64], predicted: dict[str, Floats]) -> dict[str, Any]:
    """Errors of the model and of each guess, and what the model gains, paired by customer.

    Parameters
    ----------
    customer
        Dense customer code per row, (n,).
    predicted
        Name -> values (n,); "model" is one of them.
    """
    errors = {name: {metric: as_json(_error(metric, y, customer, values)) for metric in METRICS}
              for name, values in predicted.items()}  # fmt: skip
    gains = {
        name: {metric: as_json(_gain(metric, y, customer, values, predicted[MODEL])) for metric in ("mae", "rmse")}
        for name, values in predicted.items()
        if name != MODEL
    }
    n_customers = len(np.unique(customer))
    size = {"n": len(y), "n_customers": n_customers, "mean": float(y.mean()), "share_of_zeros": float((y == 0).mean())}
    return {"test": size, "errors": errors, "gain": gains, "skill": skill(n_customers, gains)}


def _error(metric: str, y: Floats, customer: NDArray[np.int64], predicted: Floats) -> Interval:
    return interval(customer, lambda weight: METRICS[metric](y, predicted, weight))


def _gain(metric: str, y: Floats, customer: NDArray[np.int64], guess: Floats, predicted: Floats) -> Interval:
    """How much lower the error of the model is than that of a guess."""
    of = METRICS[metric]
    return interval(customer, lambda weight: of(y, guess, weight) - of(y, predicted, weight))


def skill(n_customers: int, gains: dict[str, Any]) -> dict[str, Any]:
    """Whether the rows show that the model predicts better than every guess, and the sentence that says so."""
    if n_customers < FEW_CUSTOMERS:
        return _says(False, f"too few customers to tell: {n_customers}, at least {FEW_CUSTOMERS} needed")
    for name, gain in gains.items():
        low, high = gain["rmse"]["low"], gain["rmse"]["high"]
        if high is not None and high < 0.0:
            return _says(False, f"the guess {name!r} has a lower RMSE: it is better")
        if low is None or low <= 0.0:
            return _says(False, f"the gain in RMSE over the guess {name!r} covers 0: the guess does as well")
    worse = [name for name, gain in gains.items() if not (gain["mae"]["low"] or 0.0) > 0.0]
    by_mae = f"; by MAE not better than {', '.join(worse)}" if worse else ", and by MAE"
    return _says(True, f"RMSE is lower than that of every guess{by_mae}")


def _says(claimed: bool, text: str) -> dict[str, Any]:
    return {"claimed": claimed, "text": text}


def _trained(found: ValueRows, options: TrainingOptions) -> tuple[ValueTrees, dict[str, float]]:
    """The model of all rows before the test block, and the RMSE of each loss on the later block."""
    X, y, fit, later = found.training.rows.X, found.y, found.fold("fit"), found.fold("later")
    whole = found.fold("fit", "between", "later")
    tried: dict[str, float] = {}
    best: tuple[float, Loss, int] | None = None
    for loss in LOSSES:
        if loss == "Tweedie" and y[whole].min() < 0.0:
            continue  # it knows no value below zero
        trees = ValueTrees(loss, options.n_threads, options.seed)
        n_rounds = trees.best_n_rounds(X[fit], y[fit], X[later], y[later])
        tried[loss] = rmse(y[later], trees.fit(X[fit], y[fit], n_rounds).predict(X[later]))
        if best is None or tried[loss] < best[0]:
            best = (tried[loss], loss, n_rounds)
    assert best is not None, "squared error is always possible"
    return ValueTrees(best[1], options.n_threads, options.seed).fit(X[whole], y[whole], best[2]), tried
