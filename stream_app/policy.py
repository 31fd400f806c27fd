"""When is a new model called for? A retrain policy takes the day's findings and answers with a decision or None.

Two kinds of evidence count: the performance on matured labels (at once, its interval is wide enough for daily looks),
and a covariate that stayed drifted over several judged days while no label could tell what it costs. Broken-upstream
findings of the fast loop never count: a model trained on broken data is worse. Not inside: the verdicts themselves
(judge.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from stream_app.drift import Finding, Scope
from stream_app.signals import Ledger

COVARIATES: Final[frozenset[Scope]] = frozenset({"feature", "score"})
COVARIATE_STATISTIC: Final = "psi"
PERFORMANCE_STATISTIC: Final = "auc"


@dataclass(frozen=True, slots=True)
class Decision:
    """Open a signal, for this reason, on these findings."""

    reason: str
    evidence: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class RetrainPolicy:
    """What may open a signal.

    Parameters
    ----------
    on_performance
        A drifted AUC verdict opens one.
    on_covariates
        A feature or score whose PSI was drifted on `persist_days` judged days in a row opens one.
    every_days
        Open one when the model has been judged for this many days, whatever it does; None for no schedule.
    cool_down_days
        No new signal for so long after the last one ended.
    expire_after_days
        A signal nobody moved for so long (a waiting one: after the day it waits for) is written off.
    """

    on_performance: bool = True
    on_covariates: bool = True
    every_days: int | None = None
    persist_days: int = 7
    cool_down_days: int = 30
    expire_after_days: int = 60

    def decide(self, day: int, findings: Sequence[Finding], streaks: Streaks, ledger: Ledger) -> Decision | None:
        """The decision of one judged day; None while a signal is unfinished or cooling down."""
        last = ledger.last_finished_day()
        if ledger.unfinished() or (last is not None and day < last + self.cool_down_days):
            return None
        return self._by_performance(findings) or self._by_covariates(findings, streaks) or self._by_schedule(streaks)

    def _by_performance(self, findings: Sequence[Finding]) -> Decision | None:
        lost = [
            f for f in findings if f.scope == "performance" and f.statistic == PERFORMANCE_STATISTIC and is_drift(f)
        ]
        if not self.on_performance or not lost:
            return None
        return Decision(f"AUC on matured labels fell by {lost[0].distance:.3f}", tuple(lost))

    def _by_covariates(self, findings: Sequence[Finding], streaks: Streaks) -> Decision | None:
        stayed = [f for f in findings if _is_covariate(f) and streaks.of(f) >= self.persist_days]
        if not self.on_covariates or not stayed:
            return None
        worst = sorted(stayed, key=lambda f: (-f.distance, f.name))
        names = ", ".join(finding.name for finding in worst[:3])
        return Decision(f"{len(worst)} drifted for {self.persist_days} days: {names}", tuple(worst))

    def _by_schedule(self, streaks: Streaks) -> Decision | None:
        if self.every_days is None or streaks.n_days < self.every_days:
            return None
        return Decision(f"schedule: every {self.every_days} days", ())


class Streaks:
    """On how many judged days in a row each covariate has been drifted, under one model version."""

    def __init__(self) -> None:
        self.n_days = 0
        self._version = ""
        self._running: dict[tuple[str, str], int] = {}

    def update(self, model_version: str, findings: Iterable[Finding]) -> None:
        """Take one whole judged day. Another model version starts from nothing, as it has another reference."""
        before = self._running if model_version == self._version else {}
        self.n_days = self.n_days + 1 if model_version == self._version else 1
        self._version = model_version
        self._running = {_key(f): before.get(_key(f), 0) + 1 for f in findings if _is_covariate(f) and is_drift(f)}

    def of(self, finding: Finding) -> int:
        """Length of this covariate's streak, 0 when it is not drifted."""
        return self._running.get(_key(finding), 0)


POLICIES: Final[Mapping[str, RetrainPolicy]] = MappingProxyType(
    {
        "never": RetrainPolicy(on_performance=False, on_covariates=False),
        "monthly": RetrainPolicy(on_performance=False, on_covariates=False, every_days=30),
        "drift": RetrainPolicy(on_performance=False),
        "performance": RetrainPolicy(on_covariates=False),
        "both": RetrainPolicy(),
    }
)


def is_drift(finding: Finding) -> bool:
    """Whether the finding speaks for a new model: drifted, by all partitions, and not by construction."""
    return finding.verdict == "drifted" and finding.share >= 1.0 and not finding.by_construction


def _is_covariate(finding: Finding) -> bool:
    return finding.scope in COVARIATES and finding.statistic == COVARIATE_STATISTIC


def _key(finding: Finding) -> tuple[str, str]:
    return finding.scope, finding.name
