"""Where the model is weaker: every slice beside all rows, and those that are much worse beyond doubt.

Within a slice by a feature that tells much about churn, ranking is harder by nature: its AUC is lower without any
fault. The gap between what was said and what came is the figure that must not open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from offline.bootstrap import interval_of
from offline.evaluate import as_json
from offline.evaluation.groups import MIN_OF_EACH, MIN_ROWS, Group, groups_of, holm, p_value, whole_of
from offline.evaluation.scored import Scored
from offline.evaluation.slicing import Slicing, by_kind

MUCH_WORSE_AUC: Final = 0.05
MUCH_WORSE_GAP: Final = 0.5
SIGNIFICANT: Final = 0.05


@dataclass(frozen=True, eq=False)
class _Entry:
    slicing: str
    group: Group
    whole: Group

    @property
    def auc_below(self) -> Any:
        return self.whole.figures["roc_auc"] - self.group.figures["roc_auc"]


def slice_table(scored: Scored, slicings: Mapping[str, Slicing]) -> dict[str, Any]:
    """Every slice with intervals, the slices that are much worse, and what to bear in mind.

    Parameters
    ----------
    scored
        Rows of every kind; all slicings but the row kind are told of tick rows.
    slicings
        Of the tick rows.
    """
    whole = whole_of(scored.ticks)
    entries = [_Entry("row kind", group, whole) for group in groups_of(scored, by_kind(scored))]
    for name, slicing in slicings.items():
        entries += [_Entry(name, group, whole) for group in groups_of(scored.ticks, slicing)]
    judged = [entry for entry in entries if not entry.group.is_small and entry.slicing != "row kind"]
    raised = holm(
        [p_value(entry.auc_below) for entry in judged] + [p_value(entry.group.figures["gap"]) for entry in judged]
    )
    told = {id(entry): (raised[i], raised[len(judged) + i]) for i, entry in enumerate(judged)}
    rows = [_row(entry, told.get(id(entry))) for entry in entries]
    return {
        "all": whole.as_json(),
        "slices": rows,
        "much_worse": _much_worse(rows),
        "note": _note(entries, len(judged)),
    }


def _row(entry: _Entry, p_values: tuple[float, float] | None) -> dict[str, Any]:
    said = {"slicing": entry.slicing} | entry.group.as_json()
    if p_values is None:
        return said
    return said | {
        "auc_below_all": as_json(interval_of(entry.auc_below)),
        "auc_p_value": p_values[0],
        "gap_p_value": p_values[1],
    }


def _much_worse(rows: list[dict[str, Any]]) -> list[str]:
    """Sentences on the slices whose AUC is lower by 0.05, or whose gap is half their base rate, beyond doubt."""
    found = []
    for row in rows:
        if "auc_p_value" not in row:
            continue
        name, below, gap = f"{row['slicing']}: {row['name']}", row["auc_below_all"], row["gap"]
        if row["auc_p_value"] < SIGNIFICANT and (below["value"] or 0.0) >= MUCH_WORSE_AUC:
            auc = row["roc_auc"]["value"]
            found.append(f"{name} ranks worse: AUC {auc:.3f}, {below['value']:.3f} below all rows")
        wide = abs(gap["value"]) >= MUCH_WORSE_GAP * max(row["base_rate"]["value"], 1e-9)
        if row["gap_p_value"] < SIGNIFICANT and wide:
            says = "high" if gap["value"] > 0 else "low"
            score, rate = row["score"]["value"], row["base_rate"]["value"]
            found.append(f"{name} is scored too {says}: {score:.3f} said on average, {rate:.3f} left")
    return found


def _note(entries: list[_Entry], n_judged: int) -> str:
    n_small = sum(entry.group.is_small for entry in entries)
    expected = 0.05 * n_judged
    return (
        f"{n_judged} slices compared with all tick rows: about {expected:.0f} of the 95 % intervals leave out the true "
        f"value by luck, so only what stays significant after Holm's correction is called much worse. {n_small} slices "
        f"have fewer than {MIN_ROWS} rows, or fewer than {MIN_OF_EACH} customers who left or stayed: they are counted "
        "and not judged."
    )
