"""A profile in a few sentences."""

from __future__ import annotations

import numpy as np

from offline.cutoffs import date_text
from offline.profile.portraits import Portrait
from offline.profile.profile import Profile
from offline.profile.rates import Rate

MOSTLY_MISSING = 0.5
N_NAMED = 5
WHAT = {"cancel": "cancel", "lapse": "lapse", "inactivity": "fall silent"}


def sentences(profile: Profile) -> list[str]:
    """What a reader should know first."""
    parts = [_events(profile), _rows(profile), _over_time(profile), _strongest(profile), *_remarks(profile)]
    return [*parts, _suspects(profile)]


def percent(share: float) -> str:
    """A share as per cent, with a decimal where it is small.

    Examples
    --------
    >>> percent(0.0712), percent(0.42)
    ('7.1 %', '42 %')
    """
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def rate_text(rate: Rate) -> str:
    """A rate with its interval."""
    return f"{percent(rate.value)} ({percent(rate.low)} to {percent(rate.high)})"


def _events(profile: Profile) -> str:
    span, census = profile.rows.span, profile.census
    silent = [kind.name for kind in census.kinds if not kind.n]
    text = (
        f"{census.n_events:,} events of {census.n_customers:,} customers, known from {date_text(span.first_day)} "
        f"to {date_text(span.known_until_day)}."
    )
    return text + (f" No event of {_named(silent)}." if silent else "")


def _rows(profile: Profile) -> str:
    rows, label = profile.rows, profile.workload.label
    what = WHAT[label.type]
    text = (
        f"{len(rows):,} rows of live customers at {len(rows.cutoff_days)} cut-offs; {rate_text(profile.overall)} "
        f"{what} within {profile.horizon_days} days."
    )
    return text + (f" Rows without a label, left out: {rows.n_unlabelled:,}." if rows.n_unlabelled else "")


def _over_time(profile: Profile) -> str:
    if len(profile.by_cutoff) < 2:
        return "There is one cut-off, so nothing can be said about change over time."
    before, after = profile.halves
    apart = before.high < after.low or after.high < before.low
    text = f"Churn was {rate_text(before)} at the earlier half of the cut-offs and {rate_text(after)} at the later half"
    return text + (": it has changed." if apart else ": no change that chance could not make.")


def _strongest(profile: Profile) -> str:
    found = [p for p in ranked(profile.portraits) if tells_apart(p)]
    if not found:
        return "No feature alone tells leavers from stayers: every AUC interval covers 0.5."
    named = ", ".join(f"{p.name} {p.auc.value:.2f}" for p in found[:N_NAMED])
    return (
        f"{len(found)} of {len(profile.portraits)} features tell leavers from stayers alone; strongest by AUC: {named}."
    )


def _remarks(profile: Profile) -> list[str]:
    constant = [p.name for p in profile.portraits if p.n_values <= 1]
    mostly = [p.name for p in profile.portraits if p.missing_share > MOSTLY_MISSING and p.name not in constant]
    same = profile.correlations.pairs()
    found = []
    if constant:
        found.append(f"Features that never change: {len(constant)} ({_named(constant)}).")
    if mostly:
        found.append(f"Features missing in more than half of the rows: {len(mostly)} ({_named(mostly)}).")
    if same:
        pairs = _named([f"{one} and {other}" for one, other, _ in same], 3)
        found.append(f"Pairs of features that say nearly the same: {len(same)} ({pairs}).")
    return found


def _suspects(profile: Profile) -> str:
    names = list(dict.fromkeys(suspect.what for suspect in profile.suspects))
    if not names:
        return "Nothing looks like a leak (which does not prove that there is none)."
    return f"Leak suspects: {len(names)} ({_named(names)}). Look at them before you train."


def ranked(portraits: tuple[Portrait, ...]) -> list[Portrait]:
    """The strongest features first."""
    return sorted(portraits, key=lambda portrait: -portrait.strength)


def tells_apart(portrait: Portrait) -> bool:
    """Whether the AUC of its known values is beyond chance."""
    return bool(np.isfinite(portrait.auc.low)) and not portrait.auc.covers(0.5)


def _named(names: list[str], n: int = N_NAMED) -> str:
    more = len(names) - n
    return ", ".join(names[:n]) + (f" and {more} more" if more > 0 else "")
