"""Kinds of events that may carry an end back in time, seen from when and where they were written.

A feature as known at a cut-off cannot see them while known times are right; these rules ask whether they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from offline.profile.census import Census, KindCount
from offline.profile.suspect import Suspect
from schemas.workload import Workload

MIN_EVENTS: Final = 20
BEHIND_SHARE: Final = 0.2
BEHIND_SHARE_OTHERS: Final = 0.05
KNOWN_AFTER_SHARE: Final = 0.5
AFTER_TO_BEFORE: Final = 2.0


def event_suspects(workload: Workload, census: Census, n_behind: Mapping[str, int]) -> list[Suspect]:
    """Suspects among the kinds that do not themselves begin or end a customer.

    Parameters
    ----------
    n_behind
        Kind -> events that stand in the log behind much later ones (`offline.profile.log_order`).
    """
    turning = {
        *workload.live.start,
        *workload.live.end,
        *(workload.label.of if workload.label.type == "cancel" else ()),
    }
    kinds = [kind for kind in census.kinds if kind.name not in turning]
    found = [rule for kind in kinds for rule in (_filled_in(kind, kinds, n_behind), _known_after(kind), _after(kind))]
    return [suspect for suspect in found if suspect is not None]


def _filled_in(kind: KindCount, kinds: list[KindCount], n_behind: Mapping[str, int]) -> Suspect | None:
    """Claims to have been known before, but stands in the log behind what became known later; others do not."""
    n = n_behind.get(kind.name, 0)
    n_others, n_behind_others = (
        sum(o.n for o in kinds if o is not kind),
        sum(n_behind.get(o.name, 0) for o in kinds) - n,
    )
    if n < MIN_EVENTS or n < BEHIND_SHARE * kind.n or n_behind_others > BEHIND_SHARE_OTHERS * n_others:
        return None
    seen = (
        f"{n:,} of {kind.n:,} events stand in the log behind events that became known more than a day later, "
        f"but claim to have been known before; of the other kinds {n_behind_others:,} of {n_others:,} do"
    )
    return Suspect(
        kind.name,
        "filled in afterwards",
        seen,
        "set known time to when the event was really written, and profile again",
    )


def _known_after(kind: KindCount) -> Suspect | None:
    """Dated before the end, known after it, and hardly ever late otherwise."""
    n = kind.n_known_after_end
    if n < MIN_EVENTS or n < KNOWN_AFTER_SHARE * kind.n_late:
        return None
    seen = f"{n:,} events are dated before a customer's end but became known after it; {kind.n_late:,} are late at all"
    return Suspect(
        kind.name,
        "known after the end",
        seen,
        "rows take known time and do not see them in advance: keep known time as it is, never set it to event time",
    )


def _after(kind: KindCount) -> Suspect | None:
    """Written when the customer has gone rather than before."""
    n = kind.n_after_end
    if n < MIN_EVENTS or n < AFTER_TO_BEFORE * kind.n_before_end:
        return None
    seen = f"{n:,} events come after a customer's end, {kind.n_before_end:,} in the 30 days before one"
    return Suspect(
        kind.name,
        "changes after the end",
        seen,
        "a table that only keeps its newest state carries this back to before the end: send changes as events, each "
        "with its own known time, or use no feature of it",
    )
