"""Matured tick rows that no version of a comparison was trained on, with the answer of each version.

Versions of different workload files are compared where both have a row and predict the same label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offline.cutoffs import Cutoffs, choose_test_cutoffs, date_text, day_of
from offline.errors import OfflineError
from offline.evaluate import Judged
from offline.history import History
from offline.metrics import Floats
from offline.passing import Say
from offline.registry import Registry
from offline.retraining import horizon_days
from offline.training_set import Span, TrainingSet, build_training_set
from schemas.bundle import Bundle
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload
from schemas.workload_parse import parse_workload
from stream_app.model import RULE_VERSION, BoosterModel, Model, RuleModel

Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Contestant:
    """A version, or the rule (which has no bundle), and the workload it was made for."""

    version: str
    workload: Workload
    bundle: Bundle | None

    @classmethod
    def of(cls, settings: Settings, workload: Workload, version: str) -> Contestant:
        """A version, alias, or "rule": days of silence.

        Raises
        ------
        UnknownVersionError
            When there is none.
        """
        if version == RULE_VERSION:
            return cls(RULE_VERSION, workload, None)
        bundle = Registry.of(settings, workload.name).load(version)
        frozen = parse_workload(bundle.files["workload.toml"].decode(), bundle.path / "workload.toml")
        return cls(bundle.manifest.version, frozen, bundle)

    @property
    def trained_to_day(self) -> int:
        """The last cut-off it has seen; long ago for the rule."""
        return 0 if self.bundle is None else day_of(self.bundle.manifest.data_window["train"][-1])

    def model(self, testing: TrainingSet) -> Model:
        """What scores rows of its own workload."""
        if self.bundle is None:
            return RuleModel(testing.plan)
        return BoosterModel(self.version, self.bundle.files, testing.plan)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Rows as the first contestant sees them, and the probabilities of both.

    Parameters
    ----------
    testing, rows
        The set that the rows are in, and their positions, (n,).
    judged
        Their outcomes and customers.
    first, second
        Probabilities, (n,).
    thresholds
        Of tick rows, of both.
    """

    testing: TrainingSet
    rows: Int64s
    judged: Judged
    first: Floats
    second: Floats
    thresholds: tuple[float, float]

    @property
    def days(self) -> list[str]:
        """The cut-offs, as dates."""
        return [date_text(day) for day in self.testing.cutoffs.test.days]


def held_out(settings: Settings, first: Contestant, second: Contestant, say: Say = lambda _: None) -> HeldOut:
    """Tick rows of every matured week after the training of both.

    Raises
    ------
    OfflineError
        When no such week is matured, or the two predict different things.
    """
    if first.workload.label != second.workload.label:
        raise OfflineError(f"{first.version} and {second.version} predict different labels: nothing to compare")
    trained_to = max(first.trained_to_day, second.trained_to_day)
    say(f"reading the history for {first.version}")
    testing = other = _testing(settings, first.workload, trained_to)
    rows = theirs = np.flatnonzero(testing.fold("test", row_kind=0))
    if second.workload.hash != first.workload.hash:
        say(f"reading the history for {second.version}, which has other features")
        other = _testing(settings, second.workload, trained_to)
        rows, theirs = _shared(testing, other)
    models = first.model(testing), second.model(other)
    y = testing.y[rows]
    return HeldOut(
        testing,
        rows,
        Judged(y, testing.customer[rows], prior=float(y.mean())),
        _scores(models[0], testing, rows),
        _scores(models[1], other, theirs),
        (float(models[0].thresholds[0]), float(models[1].thresholds[0])),
    )


def _testing(settings: Settings, workload: Workload, trained_to_day: int) -> TrainingSet:
    horizon = horizon_days(workload)

    def split(span: Span) -> Cutoffs:
        return choose_test_cutoffs(max(trained_to_day, span.first_day), span.known_until_day, horizon)

    history = History(Lake(settings.lake_dir), workload)
    return build_training_set(workload, history, split, n_event_rows=0, purposes={"test": "to compare on"})


def _scores(model: Model, testing: TrainingSet, rows: Int64s) -> Floats:
    return model.score(testing.rows.X[rows], np.zeros(len(rows), np.int64)).astype(np.float64)


def _shared(one: TrainingSet, other: TrainingSet) -> tuple[Int64s, Int64s]:
    """Positions in both sets of the rows that both have."""
    mine, theirs = _positions(one), _positions(other)
    both = [key for key in mine if key in theirs]
    if not both:
        raise OfflineError("the two have no row in common: nothing to compare")
    return np.array([mine[key] for key in both], np.int64), np.array([theirs[key] for key in both], np.int64)


def _positions(testing: TrainingSet) -> dict[tuple[str, int], int]:
    """(customer, moment) -> position, of the labelled tick rows."""
    at = np.flatnonzero(testing.fold("test", row_kind=0))
    rows = testing.rows.take(at)
    return dict(zip(zip(rows.customer_id.tolist(), rows.as_of_ms.tolist(), strict=True), at.tolist(), strict=True))
