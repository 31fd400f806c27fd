"""The answer to one retrain signal whose time has come: train, compare with the champion on later data, judge.

No topics are followed here; `offline.retrain_worker` does that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from offline.cutoffs import Cutoffs, choose_cutoffs, date_text, day_of
from offline.evaluate import Judged
from offline.history import History
from offline.packaging import core_files, package, scores_of
from offline.promotion import Verdict, compare
from offline.registry import Registry
from offline.threshold import BEST_F1, ThresholdRule, rule_of
from offline.train import Trained, recipe_of, recipes_after_drift, train
from offline.training_params import TrainingParams
from offline.training_set import Span, TrainingSet, build_training_set
from schemas.bundle import Bundle
from schemas.durations import DAY_MS
from schemas.lake import Lake
from schemas.workload import Workload
from stream_app.model import RULE_VERSION, BoosterModel, RuleModel

BLOCK_DAYS = 6
"""Later and test block of a week: after a drift, training must reach as close to the present as the embargo allows."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The challenger and the verdict on it."""

    bundle: Bundle
    verdict: Verdict


def onset_day(signal: Any, horizon: int) -> int:
    """The day on which the change that a signal speaks of began, as far as its evidence tells.

    What labels say on a day is about the label horizon that ends there: the change lies somewhere inside, so its
    middle is taken. Other evidence is about the day itself. Without evidence it is the signal's own day.

    Parameters
    ----------
    horizon
        Label horizon in days.
    """
    late = ("performance", "calibration")
    days = [int(item["day"]) - (horizon // 2 if item["scope"] in late else 0) for item in signal["evidence"]]
    return min(days, default=int(signal["as_of_ms"]) // DAY_MS)


def horizon_days(workload: Workload) -> int:
    """Label horizon in whole days, rounded up."""
    return -(-workload.label.horizon_ms // DAY_MS)


def default_matured_days(workload: Workload) -> int:
    """Days of matured cut-offs after the onset that a retraining waits for.

    A label horizon for the embargo, a week to test on, and a week to learn what is new.
    """
    return horizon_days(workload) + 2 * (BLOCK_DAYS + 1)


def answer(
    lake: Lake,
    registry: Registry,
    workload: Workload,
    signal: Any,
    known_until_day: int,
    *,
    n_threads: int = 1,
    created_ms: int | None = None,
) -> Answer:
    """Train a challenger on what was known before a day and compare it with the signal's model.

    Parameters
    ----------
    signal
        Record of the signal.
    known_until_day
        The clock: every event known before this day is in the lake.
    """
    until_ms = known_until_day * DAY_MS

    def split(span: Span) -> Cutoffs:
        return choose_cutoffs(span.first_day, known_until_day, horizon_days(workload), longest_block_days=BLOCK_DAYS)

    horizon = horizon_days(workload)
    onset = onset_day(signal, horizon)
    history = History(lake, workload, until_ms)
    training = build_training_set(workload, history, split, known_until_ms=until_ms, onset_day=onset)
    recipes = recipes_after_drift(onset, horizon)
    rule, params = (
        _champion_rule(registry, signal["model_version"]),
        _champion_params(registry, signal["model_version"]),
    )
    if params is not None:
        recipes = (recipe_of(params), *recipes[1:])
    trained = train(training, recipes, n_threads=n_threads, rule=rule, params=params)
    verdict = _verdict(registry, training, trained, signal["model_version"])
    comparison = {"champion": verdict.details | {"released": verdict.is_better, "reason": verdict.reason}}
    options = {  # of `offline.training_options.TrainingOptions`; the others have their defaults
        "until_day": known_until_day,
        "longest_block_days": BLOCK_DAYS,
        "onset_day": onset,
        "n_threads": n_threads,
        "params": None if params is None else asdict(params),
    }
    bundle = package(registry, lake, training, trained, created_ms=created_ms, held_out=comparison, options=options)
    return Answer(bundle, verdict)


def _champion_rule(registry: Registry, version: str) -> ThresholdRule:
    """What the champion's threshold was chosen for: the challenger's is chosen for the same."""
    return BEST_F1 if version == RULE_VERSION else rule_of(registry.load(version).json("threshold.json"))


def _champion_params(registry: Registry, version: str) -> TrainingParams | None:
    """The parameters that the champion was given: the challenger learns with them, too; None for the defaults."""
    if version == RULE_VERSION:
        return None
    said = registry.load(version).json("evaluation.json").get("training", {}).get("options", {}).get("params")
    return None if said is None else TrainingParams(**said)


def _verdict(registry: Registry, training: TrainingSet, trained: Trained, champion_version: str) -> Verdict:
    rows = training.fold("test", row_kind=0)
    judged = Judged(training.y[rows], training.customer[rows], prior=float(training.y[rows].mean()))
    challenger = scores_of(BoosterModel("challenger", core_files(training, trained), training.plan), training, rows)
    if champion_version == RULE_VERSION:
        kinds = training.rows.kind[rows].astype("int64")
        rule = RuleModel(training.plan).score(training.rows.X[rows], kinds).astype("float64")
        return compare(judged, challenger, rule, champion_version)
    bundle = registry.load(champion_version)
    if bundle.manifest.workload_hash != training.plan.workload.hash:
        return Verdict(
            False, f"{champion_version} was trained for another version of the workload: release by hand", {}
        )
    trained_to = day_of(bundle.manifest.data_window["train"][-1])
    if trained_to + training.cutoffs.horizon_days > training.cutoffs.test.first_day:
        return Verdict(
            False, f"{champion_version} was trained on {date_text(trained_to)}: nothing is held out of both", {}
        )
    champion = scores_of(BoosterModel(champion_version, bundle.files, training.plan), training, rows)
    return compare(judged, challenger, champion, champion_version)
