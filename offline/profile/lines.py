"""A profile in the terminal."""

from __future__ import annotations

from offline.profile.profile import Profile
from offline.profile.summary import percent, ranked, sentences

N_FEATURES = 12


def profile_lines(profile: Profile) -> list[str]:
    """Summary, suspects and the strongest features."""
    found = [f"Profile of {profile.workload.name}", "", *(f"* {text}" for text in sentences(profile)), ""]
    for suspect in profile.suspects:
        found += [f"leak suspect {suspect.what} ({suspect.rule}): {suspect.seen}", f"  {suspect.advice}"]
    found += [""] if profile.suspects else []
    shown = ranked(profile.portraits)[:N_FEATURES]
    width = max([7, *(len(p.name) for p in shown)])
    found.append(f"{'feature':{width}}  missing  AUC (95 %)             by bins")
    for p in shown:
        auc = "-" if p.column.is_categorical else f"{p.auc.value:.3f} ({p.auc.low:.3f}-{p.auc.high:.3f})"
        found.append(f"{p.name:{width}}  {percent(p.missing_share):>7}  {auc:21}  {p.binned_auc:.3f}")
    if len(profile.portraits) > len(shown):
        found.append(f"and {len(profile.portraits) - len(shown)} more")
    return found
