"""What ``driftline audit`` does: find scores, audit them, and say it in lines, as JSON and by an exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from offline.audit import Audit, Auditor
from offline.audit_lines import audit_json, audit_lines, score_json, score_line, summary_lines
from offline.audit_scores import PastScores, nearest
from offline.errors import OfflineError
from schemas.settings import Settings
from schemas.workload import Workload

EXIT_DIFFERS, EXIT_CANNOT = 1, 2
N_LISTED = 20
N_REASONS = 3


@dataclass(frozen=True)
class Found:
    """What a run has to say."""

    lines: list[str]
    content: dict[str, Any]
    exit_code: int = 0


def list_scores(settings: Settings, workload: Workload, customer_id: str, at: str | None = None) -> Found:
    """Scores of a customer, nearest to a time or the newest.

    Raises
    ------
    OfflineError
        When ``at`` is no time.
    """
    at_ms = None if at is None else _moment(at)
    scores = nearest(PastScores(settings, workload).of_customer(customer_id), at_ms, N_LISTED)
    lines = [score_line(past) for past in scores] or [f"{customer_id}: no score is retained"]
    return Found(lines, {"scores": [score_json(past) for past in scores]})


def audit_named(settings: Settings, workload: Workload, score_id: str, as_happened: bool = False) -> Found:
    """Audit the scores of one id: more than one when it was published with different content.

    Raises
    ------
    OfflineError
        When it is no id of a score.
    """
    scores = PastScores(settings, workload).named(score_id)
    if not scores:
        line = f"{score_id}: not retained (neither scores nor latest-scores holds it)"
        return Found([line], {"event_id": score_id, "verdict": "not retained"}, EXIT_CANNOT)
    audits = Auditor(settings, workload, n_reasons=N_REASONS, as_happened=as_happened).audit(scores)
    lines = [line for audit in audits for line in audit_lines(audit)]
    content = audit_json(audits[0]) if len(audits) == 1 else {"audits": [audit_json(audit) for audit in audits]}
    return Found(lines, content, exit_code_of(audits))


def audit_random(settings: Settings, workload: Workload, n: int, seed: int = 0) -> Found:
    """Audit retained scores at random."""
    audits = Auditor(settings, workload).audit(PastScores(settings, workload).random(n, seed))
    counts = Counter[str](audit.verdict for audit in audits)
    others = [audit_json(audit) for audit in audits if audit.verdict != "equal"]
    content = {"n": len(audits), "n_equal": counts["equal"], "verdicts": dict(counts), "not_equal": others}
    return Found(list(summary_lines(audits)), content, exit_code_of(audits))


def exit_code_of(audits: Sequence[Audit]) -> int:
    """0 when all are equal, 1 when one differs, else 2."""
    verdicts = {audit.verdict for audit in audits}
    if "differs" in verdicts:
        return EXIT_DIFFERS
    return 0 if verdicts <= {"equal"} else EXIT_CANNOT


def _moment(text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise OfflineError(f"{text!r} is not a time; write YYYY-MM-DDTHH:MM, in UTC") from None
    aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)
