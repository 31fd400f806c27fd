"""Train a version from the lake, and evaluate a version on what the lake has learnt since: what two commands do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offline.cutoffs import (
    Cutoffs,
    choose_cutoffs,
    choose_short_cutoffs,
    choose_test_cutoffs,
    date_text,
    day_of,
    given_cutoffs,
)
from offline.errors import HistoryTooShortError
from offline.evaluate import evaluate
from offline.history import History
from offline.models import BoostedTrees, Logistic
from offline.packaging import data_window, last_offsets, package, scores_of
from offline.passing import Say
from offline.registry import Registry
from offline.repetition import check_same_window
from offline.retraining import horizon_days
from offline.stretches import Offsets
from offline.train import ALL, NewTrees, Trained, recipe_of, recipes_after_drift, train
from offline.training_options import TrainingOptions, until_ms_of
from offline.training_set import (
    PURPOSES,
    ROW_KINDS,
    Fold,
    LocalReading,
    Reading,
    Span,
    TrainingSet,
    assemble,
    build_training_set,
)
from schemas.bundle import Bundle
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload
from schemas.workload_parse import parse_workload
from stream_app.model import BoosterModel

if TYPE_CHECKING:
    from offline.dask_engine import Cluster

Seen = Callable[[Bundle, TrainingSet], None]


def train_version(
    settings: Settings,
    workload: Workload,
    options: TrainingOptions,
    *,
    created_ms: int | None = None,
    say: Say = lambda _: None,
    like: Bundle | None = None,
    seen: Seen = lambda bundle, training: None,
    cluster: Cluster | None = None,
) -> Bundle:
    """Train on the lake, write the next version and make it the challenger.

    Parameters
    ----------
    like
        A bundle to make again, of which workload and options are: what has come into the lake since is left out, and
        no alias moves.
    seen
        Told the bundle and the rows it was made of, for whoever has more to say about them.
    cluster
        Where to read and train; None does both here.

    Raises
    ------
    RepetitionError
        When the lake no longer holds what `like` was made of.
    """
    lake, registry = Lake(settings.lake_dir), Registry.of(settings, workload.name)
    upto = None if like is None else like.manifest.data_window["last_offsets"]
    reading = None if cluster is None else cluster.reading(lake, workload, settings.partitions, until_ms_of(options))
    training = read_training_set(lake, workload, options, say, upto=upto, reading=reading)
    if like is not None:
        check_same_window(data_window(lake, training, upto), like)
    say(f"training on {int(training.fold('fit', 'between', 'later').sum())} rows")
    trained = _trained(training, options, BoostedTrees if cluster is None else cluster.new_trees)
    say("evaluating on the held-out cut-offs")
    bundle = package(registry, lake, training, trained, created_ms=created_ms, options=asdict(options), upto=upto)
    if like is None:
        registry.set_alias("challenger", bundle.manifest.version)
    seen(bundle, training)
    return bundle


def read_training_set(
    lake: Lake,
    workload: Workload,
    options: TrainingOptions,
    say: Say = lambda _: None,
    *,
    reading: Reading | None = None,
    purposes: Mapping[Fold, str] = PURPOSES,
    upto: Offsets | None = None,
) -> TrainingSet:
    """The rows, labels and split that a training with these options sees.

    Parameters
    ----------
    reading
        In place of one in this process, up to the same day.
    purposes
        Blocks that must hold both classes, and what for.
    upto
        The last offsets to read, where the lake goes on behind them.
    """
    horizon = horizon_days(workload)

    def split(span: Span) -> Cutoffs:
        if options.train_days or options.test_days:
            return given_cutoffs(list(options.train_days), list(options.test_days), horizon)
        chosen = _chosen(span, horizon, options, say)
        say(
            f"{span.n_events} events; train cut-offs {date_text(chosen.train_days[0])} to "
            f"{date_text(chosen.train_days[-1])}, test {date_text(chosen.test.days[0])} "
            f"to {date_text(chosen.test.days[-1])}"
        )
        return chosen

    until_ms = until_ms_of(options)
    say("reading the history")
    return assemble(
        workload,
        reading or LocalReading(workload, History(lake, workload, until_ms, upto, say=say)),
        split,
        known_until_ms=until_ms,
        n_event_rows=options.n_event_rows,
        seed=options.seed,
        onset_day=options.onset_day,
        purposes=purposes,
    )


def _trained(training: TrainingSet, options: TrainingOptions, new_trees: NewTrees) -> Trained:
    params, onset = options.params, options.onset_day
    recipes = (ALL,) if onset is None else recipes_after_drift(onset, training.cutoffs.horizon_days)
    if params is not None:
        recipes = (recipe_of(params), *recipes[1:])
    trained = train(
        training,
        recipes,
        n_threads=options.n_threads,
        seed=options.seed,
        params=params,
        rule=options.rule,
        new_trees=new_trees,
    )
    chosen_to = None if params is None else params.labels_until_day
    if params is None or chosen_to is None or chosen_to <= training.cutoffs.test.first_day:
        return trained
    note = (
        f"the parameters ({params.origin}) were chosen by labels up to {date_text(chosen_to)}, "
        "which reach into the test cut-offs: this evaluation flatters them"
    )
    return replace(trained, notes=(*trained.notes, note))


def _chosen(span: Span, horizon: int, options: TrainingOptions, say: Say) -> Cutoffs:
    """Two embargoes if they fit, else the one before the test."""
    days, warm_up = (span.first_day, span.known_until_day), options.warm_up_days
    try:
        return choose_cutoffs(*days, horizon, warm_up, options.longest_block_days)
    except HistoryTooShortError as error:
        chosen = choose_short_cutoffs(*days, horizon, warm_up)
        say(f"{error}; so a third of the customers are kept back to calibrate on, instead of days")
        return chosen


def evaluate_version(settings: Settings, workload: Workload, version: str, say: Say = lambda _: None) -> dict[str, Any]:
    """Judge a version on every matured week after its training, with its own frozen workload."""
    bundle, testing = read_since_training(settings, workload, version, say)
    return judge(bundle, testing, BoosterModel(bundle.manifest.version, bundle.files, testing.plan))


def read_since_training(
    settings: Settings, workload: Workload, version: str, say: Say = lambda _: None
) -> tuple[Bundle, TrainingSet]:
    """A version, and rows of every matured week after its training as their test block."""
    bundle = Registry.of(settings, workload.name).load(version)
    frozen = parse_workload(bundle.files["workload.toml"].decode(), Path(bundle.path / "workload.toml"))
    trained_to = day_of(bundle.manifest.data_window["train"][-1])
    say(f"reading the history for {bundle.manifest.version}")
    testing = build_training_set(
        frozen,
        History(Lake(settings.lake_dir), frozen, say=say),
        lambda span: choose_test_cutoffs(trained_to, span.known_until_day, horizon_days(frozen)),
        known_at_least_ms=_known_at_least_ms(bundle, Lake(settings.lake_dir), frozen),
        purposes={"test": "to test on"},
    )
    return bundle, testing


def _known_at_least_ms(bundle: Bundle, lake: Lake, workload: Workload) -> int:
    """What a version was told to be the end of the known, where the lake still holds all that it was made of."""
    window = bundle.manifest.data_window
    there = last_offsets(lake, workload)
    holds_all = all(
        there.get(topic, {}).get(partition, -1) >= last
        for topic, partitions in window["last_offsets"].items()
        for partition, last in partitions.items()
    )
    return int(window["known_until_ms"]) if holds_all else 0


def judge(bundle: Bundle, testing: TrainingSet, model: BoosterModel) -> dict[str, Any]:
    """The short evaluation of a version on the test block of a training set."""
    rows, own = testing.fold("test"), bundle.json("evaluation.json")
    found = evaluate(
        testing,
        rows,
        scores_of(model, testing, rows),
        tuple(float(bundle.json("threshold.json")[kind]) for kind in ROW_KINDS),
        _logistic(own["yardstick"]),
        float(own["training"]["prior"]),
    )
    test = [date_text(day) for day in testing.cutoffs.test.days]
    return {"version": bundle.manifest.version, "bundle_id": bundle.manifest.bundle_id, "test": test, **found}


def _logistic(content: dict[str, Any]) -> Logistic:
    numbers = {name: tuple(column) for name, column in content.items() if name != "intercept"}
    return Logistic(**numbers, intercept=float(content["intercept"]))
