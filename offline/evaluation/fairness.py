"""Does the model treat groups alike? Scores, alarms and errors by protected attributes, beside the largest group.

No verdict of fairness: where base rates differ, alert rate, recall and precision cannot all be equal at once. The table
tells what differs, and by how much at least.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from offline.bootstrap import interval_of
from offline.evaluate import as_json
from offline.evaluation.confusion import ratio
from offline.evaluation.groups import MIN_OF_EACH, MIN_ROWS, Group, groups_of, holm, p_value
from offline.evaluation.scored import Scored
from offline.evaluation.slicing import Slicing
from offline.metrics import Floats

COMPARED: Final = ("score", "alert_rate", "recall", "precision", "false_positive_rate", "gap")
SIGNIFICANT: Final = 0.05
CAVEAT: Final = (
    f"Groups with fewer than {MIN_ROWS} rows, or fewer than {MIN_OF_EACH} customers who left or stayed, are counted "
    "and not judged: nothing can be said of them, neither good nor bad. Where groups leave at different rates, alert "
    "rate, recall and precision cannot all be equal; which of them should be is a decision about the use, not a figure."
)


def fairness_table(scored: Scored, attributes: Mapping[str, Slicing]) -> dict[str, Any]:
    """For each attribute its groups, their differences to the largest one, and what differs beyond doubt.

    Parameters
    ----------
    scored
        Tick rows.
    attributes
        Name -> groups, (n,).
    """
    tables = {name: _table(groups_of(scored, slicing, with_auc=False)) for name, slicing in attributes.items()}
    return {"attributes": tables, "note": CAVEAT}


def _table(groups: list[Group]) -> dict[str, Any]:
    reference = max(groups, key=lambda group: (not group.is_small, group.n))
    others = [group for group in groups if group is not reference and not group.is_small and not reference.is_small]
    pairs = [(group, figure) for group in others for figure in COMPARED]
    raised = holm([_p_value(group, reference, figure) for group, figure in pairs])
    told = {(group.name, figure): p for (group, figure), p in zip(pairs, raised, strict=True)}
    rows = [_row(group, reference, told) for group in groups]
    return {"reference": reference.name, "groups": rows, "differs": _sentences(rows, reference.name)}


def _row(group: Group, reference: Group, told: dict[tuple[str, str], float]) -> dict[str, Any]:
    said = group.as_json()
    if (group.name, COMPARED[0]) not in told:
        return said
    differences = {
        figure: as_json(interval_of(_difference(group, reference, figure))) | {"p_value": told[group.name, figure]}
        for figure in COMPARED
    }
    alarms = ratio(group.figures["alert_rate"], reference.figures["alert_rate"])
    return said | {"less_reference": differences, "alert_rate_ratio": as_json(interval_of(alarms))}


def _difference(group: Group, reference: Group, figure: str) -> Floats:
    return group.figures[figure] - reference.figures[figure]


def _p_value(group: Group, reference: Group, figure: str) -> float:
    variance = group.least_variance(figure) + reference.least_variance(figure)
    return p_value(_difference(group, reference, figure), variance)


def _sentences(rows: list[dict[str, Any]], reference: str) -> list[str]:
    found = []
    for row in rows:
        for figure, difference in row.get("less_reference", {}).items():
            if difference["p_value"] < SIGNIFICANT and difference["value"] is not None:
                at_least = _nearest_to_zero(difference)
                found.append(
                    f"{row['name']}: {figure.replace('_', ' ')} differs from {reference} by {difference['value']:+.3f}"
                    + ("" if at_least is None else f", at least {at_least:+.3f}")
                )
    return found


def _nearest_to_zero(difference: dict[str, Any]) -> float | None:
    low, high = difference["low"], difference["high"]
    if low is None or high is None or low <= 0 <= high:
        return None
    return float(min(low, high, key=abs))
