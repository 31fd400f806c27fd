"""The life of a retrain signal: which status may follow which, how a signal is named, and what is known of all of them.

Aggregator and trainer both write signals, so both use `opened` and `moved`. Not inside: when to open one (policy.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from stream_app.drift import DAY_MS, Finding
from stream_app.errors import SignalMoveRefused

Record = Mapping[str, Any]

# An open signal may be turned down or run out unseen; once accepted, it ends in exactly one way.
MOVES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "open": ("accepted", "refused", "expired"),
        "accepted": ("waiting", "released", "refused", "failed", "expired"),
        "waiting": ("released", "refused", "failed", "expired"),
        "released": (),
        "refused": (),
        "failed": (),
        "expired": (),
    }
)
STATUSES: Final = tuple(MOVES)
FINAL: Final = frozenset(status for status, after in MOVES.items() if not after)
_RANK: Final = {"open": 0, "accepted": 1, "waiting": 2}


def signal_id(workload: str, model_version: str, day: int) -> str:
    """Name of the signal that this model's watch opens on this day; also fit for a file name.

    Examples
    --------
    >>> signal_id("subscription_churn", "v3", 19723)
    'subscription_churn-v3-2024-01-01'
    """
    return f"{workload}-{model_version}-{dt.date(1970, 1, 1) + dt.timedelta(days=day)}"


def opened(workload: str, model_version: str, day: int, reason: str, evidence: Sequence[Finding]) -> dict[str, Any]:
    """Record of a new signal, as of the tick of `day`."""
    name = signal_id(workload, model_version, day)
    return {
        "event_id": f"{name}:open",
        "signal_id": name,
        "status": "open",
        "as_of_ms": day * DAY_MS,
        "reason": reason,
        "evidence": [_evidence(finding) for finding in evidence],
        "model_version": model_version,
        "wait_until_day": None,
        "released_version": None,
        "report": None,
    }


def moved(
    signal: Record,
    status: str,
    as_of_ms: int,
    *,
    reason: str | None = None,
    wait_until_day: int | None = None,
    released_version: str | None = None,
    report: str | None = None,
) -> dict[str, Any]:
    """The signal's next record; what is not given stays as it was.

    Raises
    ------
    SignalMoveRefused
        When `MOVES` does not allow it.
    """
    if status not in MOVES[signal["status"]]:
        raise SignalMoveRefused(signal["signal_id"], signal["status"], status)
    changes = {
        "reason": reason,
        "wait_until_day": wait_until_day,
        "released_version": released_version,
        "report": report,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    head = {"event_id": f"{signal['signal_id']}:{status}", "status": status, "as_of_ms": as_of_ms}
    return dict(signal) | given | head


class Ledger:
    """The last known status of every signal.

    The topic is compacted, so steps may be missing; records come again. A final status is never left, and none goes
    back.
    """

    def __init__(self) -> None:
        self._latest: dict[str, Record] = {}

    def update(self, signal: Record) -> bool:
        """Take one record of the topic; False when it says nothing new."""
        before = self._latest.get(signal["signal_id"])
        if before is not None and (before["status"] in FINAL or not _is_later(before["status"], signal["status"])):
            return False
        self._latest[signal["signal_id"]] = signal
        return True

    def __contains__(self, name: object) -> bool:
        return name in self._latest

    def unfinished(self) -> tuple[Record, ...]:
        """Signals that still block a new one; at most one, unless somebody else writes the topic."""
        return tuple(signal for signal in self._latest.values() if signal["status"] not in FINAL)

    def last_finished_day(self) -> int | None:
        """Day on which the latest finished signal ended; None when none has."""
        days = [signal["as_of_ms"] // DAY_MS for signal in self._latest.values() if signal["status"] in FINAL]
        return max(days, default=None)


def _is_later(before: str, after: str) -> bool:
    return after in FINAL or _RANK[after] > _RANK[before]


def _evidence(finding: Finding) -> dict[str, Any]:
    return {
        "scope": finding.scope,
        "name": finding.name,
        "statistic": finding.statistic,
        "distance": finding.distance,
        "threshold": finding.threshold,
        "day": finding.day,
    }
