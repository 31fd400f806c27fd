"""Features that seem to know the end of a customer: rules over portraits, each with its reason.

A strong feature is not yet a leak: a failed payment or silence comes before an end and fades with the distance to it.
What is called is what honest features hardly ever do. No rule can prove that there is no leak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from offline.bootstrap import Interval, interval
from offline.metrics import Floats
from offline.profile.days import near_days
from offline.profile.portraits import Portrait
from offline.profile.ranking import Ranking, binned_score
from offline.profile.snapshots import Snapshots
from offline.profile.suspect import Suspect

MIN_POSITIVES: Final = 20
TOO_GOOD, TOO_GOOD_LOW = 0.95, 0.9
NEAR_TOO_GOOD, NEAR_TOO_GOOD_LOW = 0.98, 0.96
MISSING_TOO_GOOD, MISSING_TOO_GOOD_LOW = 0.9, 0.85
COLLAPSE_FROM, COLLAPSE_BY, COLLAPSE_BY_LOW = 0.8, 0.2, 0.1
N_REPLICATES = 200

SOURCE_ADVICE: Final = (
    "find out when its source writes it; what is written at or after the end must carry that moment as known time, "
    "or leave the feature out"
)


def feature_suspects(portraits: Sequence[Portrait], rows: Snapshots) -> list[Suspect]:
    """Suspects among the features.

    Parameters
    ----------
    rows
        The rows that the portraits describe.
    """
    if rows.y.sum() < MIN_POSITIVES:
        return []
    return [suspect for j, portrait in enumerate(portraits) for suspect in _of_feature(portrait, rows, j)]


def _of_feature(portrait: Portrait, rows: Snapshots, j: int) -> Iterator[Suspect]:
    """The first rule that is met; one reason is enough."""
    for rule in (_missing, _too_good, _collapse, _near):
        found = rule(portrait, rows, rows.X[:, j].astype(np.float64), j)
        if found is not None:
            yield found
            return


def _missing(portrait: Portrait, rows: Snapshots, values: Floats, j: int) -> Suspect | None:
    """Being there, or not, says nearly all."""
    strength = max(portrait.missing_auc, 1.0 - portrait.missing_auc)
    if not strength > MISSING_TOO_GOOD:
        return None
    known = np.isfinite(values).astype(np.float64)
    found = _folded(rows, Ranking(rows.y, known, rows.day).auc)
    if not found.low > MISSING_TOO_GOOD_LOW:
        return None
    there = "there" if Ranking(rows.y, known, rows.day).auc() > 0.5 else "missing"
    seen = f"whether it is known tells leavers from stayers alone: AUC {_text(found)}; leavers have it {there}"
    return Suspect(portrait.name, "missing tells", seen, SOURCE_ADVICE)


def _too_good(portrait: Portrait, rows: Snapshots, values: Floats, j: int) -> Suspect | None:
    """One feature alone is better than whole models are."""
    candidates: list[Callable[[Floats | None], float]] = []
    if max(portrait.auc.value, 1.0 - portrait.auc.value) > TOO_GOOD:
        ranking = Ranking(rows.y, values, rows.day)
        candidates += [ranking.auc] if ranking.n_positive >= MIN_POSITIVES else []
    if portrait.binned_auc > TOO_GOOD:
        score = binned_score(values, rows.y, rows.customer, is_categorical=portrait.column.is_categorical)
        candidates.append(Ranking(rows.y, score, rows.day).auc)
    for auc in candidates:
        found = _folded(rows, auc)
        if found.low > TOO_GOOD_LOW:
            seen = f"alone it tells leavers from stayers with an AUC of {_text(found)}; whole models rarely do so well"
            return Suspect(portrait.name, "too good alone", seen, SOURCE_ADVICE)
    return None


def _collapse(portrait: Portrait, rows: Snapshots, values: Floats, j: int) -> Suspect | None:
    """Strong at the cut-off, and gone a little earlier: it learns of the end at the last moment."""
    for days, (now, then) in portrait.earlier_auc.items():
        if not (now > COLLAPSE_FROM and now - then > COLLAPSE_BY):
            continue
        there = rows.was_there[days]
        category = portrait.column.is_categorical
        y, customer, day = rows.y[there], rows.customer[there], rows.day[there]
        scores = [
            Ranking(y, binned_score(X[there, j].astype(np.float64), y, customer, is_categorical=category), day)
            for X in (rows.X, rows.earlier[days])
        ]

        def fall(weight: Floats | None, scores: list[Ranking] = scores) -> float:
            return scores[0].auc(weight) - scores[1].auc(weight)

        found = interval(np.unique(customer, return_inverse=True)[1].astype(np.int64), fall, N_REPLICATES)
        if found.low > COLLAPSE_BY_LOW:
            seen = (
                f"its AUC is {now:.3f} at the cut-off and {then:.3f} for the value of {_days(days)} earlier "
                f"(fall {_text(found)}), although the same ends are asked for"
            )
            return Suspect(portrait.name, "collapses earlier", seen, SOURCE_ADVICE)
    return None


def _near(portrait: Portrait, rows: Snapshots, values: Floats, j: int) -> Suspect | None:
    """Nearly certain for the ends that are near: it may be written together with them."""
    if rows.near is None or rows.workload.label.type != "cancel" or not portrait.near_auc > NEAR_TOO_GOOD:
        return None  # a lapse is due by the calendar, after days of grace in which nobody can do much
    taken = rows.near | (rows.y == 0.0)
    ranking = Ranking(rows.near[taken].astype(np.float64), values[taken], rows.day[taken])
    if ranking.n_positive < MIN_POSITIVES:
        return None
    customer = np.unique(rows.customer[taken], return_inverse=True)[1].astype(np.int64)
    found = _direction_free(interval(customer, ranking.auc, N_REPLICATES))
    if not found.low > NEAR_TOO_GOOD_LOW:
        return None
    seen = f"for ends within {_days(near_days(rows.workload))} its AUC is {_text(found)}: it nearly always knows them"
    return Suspect(portrait.name, "certain near the end", seen, SOURCE_ADVICE)


def _folded(rows: Snapshots, auc: Callable[[Floats | None], float]) -> Interval:
    return _direction_free(interval(rows.customer, auc, N_REPLICATES))


def _direction_free(found: Interval) -> Interval:
    """The interval of the AUC in the direction that serves the feature."""
    return found if found.value >= 0.5 else Interval(1.0 - found.value, 1.0 - found.high, 1.0 - found.low)


def _text(found: Interval) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _days(n: int) -> str:
    return "one day" if n == 1 else f"{n} days"
