"""Train a version from the lake, and evaluate a version on what the lake has learnt since: what two commands do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offline.cutoffs import Cutoffs, choose_cutoffs, choose_test_cutoffs, date_text, day_of, given_cutoffs
from offline.evaluate import evaluate
from offline.history import History
from offline.models import BoostedTrees, Logistic
from offline.packaging import package, scores_of
from offline.registry import Registry
from offline.retraining import horizon_days
from offline.train import NewTrees, train
from offline.training_set import (
    N_EVENT_ROWS,
    ROW_KINDS,
    LocalReading,
    Reading,
    Span,
    assemble,
    build_training_set,
)
from schemas.bundle import Bundle
from schemas.durations import DAY_MS
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload
from schemas.workload_parse import parse_workload
from stream_app.model import BoosterModel

if TYPE_CHECKING:
    from offline.dask_engine import Cluster

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainingOptions:
    """What a user may say about a training run; every default is chosen from the history.

    Parameters
    ----------
    train_days, test_days
        Cut-offs of the user's own, days since the epoch; empty lets the run choose.
    until_day
        Use only what was known before this day.
    warm_up_days
        Days of history before the first chosen cut-off.
    """

    train_days: tuple[int, ...] = ()
    test_days: tuple[int, ...] = ()
    until_day: int | None = None
    warm_up_days: int = 28
    n_event_rows: int = N_EVENT_ROWS
    n_threads: int = 1
    seed: int = 0


def train_version(
    settings: Settings,
    workload: Workload,
    options: TrainingOptions,
    *,
    created_ms: int | None = None,
    say: Say = lambda _: None,
    cluster: Cluster | None = None,
) -> Bundle:
    """Train on the lake, write the next version and make it the challenger; on a cluster if one is given."""
    lake, registry = Lake(settings.lake_dir), Registry(settings.models_dir, workload.name)
    horizon = horizon_days(workload)

    def split(span: Span) -> Cutoffs:
        if options.train_days or options.test_days:
            return given_cutoffs(list(options.train_days), list(options.test_days), horizon)
        chosen = choose_cutoffs(span.first_day, span.known_until_day, horizon, options.warm_up_days)
        say(
            f"{span.n_events} events; train cut-offs {date_text(chosen.train_days[0])} to "
            f"{date_text(chosen.train_days[-1])}, test {date_text(chosen.test.days[0])} "
            f"to {date_text(chosen.test.days[-1])}"
        )
        return chosen

    until_ms = None if options.until_day is None else options.until_day * DAY_MS
    say("reading the history")
    reading: Reading = LocalReading(workload, History(lake, workload, until_ms))
    new_trees: NewTrees = BoostedTrees
    if cluster is not None:
        reading, new_trees = cluster.reading(lake, workload, settings.partitions, until_ms), cluster.new_trees
    training = assemble(
        workload,
        reading,
        split,
        known_until_ms=until_ms,
        n_event_rows=options.n_event_rows,
        seed=options.seed,
    )
    say(f"training on {int(training.fold('fit', 'between', 'later').sum())} rows")
    trained = train(training, n_threads=options.n_threads, seed=options.seed, new_trees=new_trees)
    say("evaluating on the held-out cut-offs")
    bundle = package(registry, lake, training, trained, created_ms=created_ms)
    registry.set_alias("challenger", bundle.manifest.version)
    return bundle


def evaluate_version(settings: Settings, workload: Workload, version: str, say: Say = lambda _: None) -> dict[str, Any]:
    """Judge a version on every matured week after its training, with its own frozen workload."""
    bundle = Registry(settings.models_dir, workload.name).load(version)
    frozen = parse_workload(bundle.files["workload.toml"].decode(), Path(bundle.path / "workload.toml"))
    trained_to = day_of(bundle.manifest.data_window["train"][-1])
    own = bundle.json("evaluation.json")
    say(f"reading the history for {bundle.manifest.version}")
    testing = build_training_set(
        frozen,
        History(Lake(settings.lake_dir), frozen),
        lambda span: choose_test_cutoffs(trained_to, span.known_until_day, horizon_days(frozen)),
        purposes={"test": "to test on"},
    )
    model = BoosterModel(bundle.manifest.version, bundle.files, testing.plan)
    rows = testing.fold("test")
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
