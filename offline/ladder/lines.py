"""What was found, in plain lines for a terminal: one table per row kind, and what it comes to in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

HEAD: Final = (
    "step",
    "ROC-AUC",
    "PR-AUC",
    "log loss",
    "Brier",
    "F1",
    "fit s",
    "AUC over the step below",
    "over the rule",
)
OTHER_HEAD: Final = ("step", "ROC-AUC", "PR-AUC", "log loss", "Brier", "F1", "AUC over rule")
SEGMENT_HEAD: Final = ("segment", "rows", "customers", "churn rate", "mean score", "ROC-AUC")


def ladder_lines(found: dict[str, Any]) -> list[str]:
    """The ladder from top to bottom."""
    lines = [*split_lines(found), ""]
    for kind, size in found["rows"].items():
        lines += [_size_text(kind, size), "", *table_lines(*_table(found["steps"], kind)), ""]
    lines.append("worth it?")
    lines += [f"  {step['title']}: {step['verdict']}{_chosen(step)}" for step in found["steps"]]
    lines += ["", f"recommended: {found['recommended']['step']}: {found['recommended']['text']}"]
    if found["learning_curve"] is not None:
        curve = found["learning_curve"]
        lines.append(f"learning curve of {curve['step']}: {curve['text']}")
    lines += [f"left out: {name}: {why}" for name, why in found["left_out"].items()]
    lines += [f"note: {note}" for note in (*found["notes"], *_step_notes(found["steps"]))]
    return [*lines, "", *_segment_lines(found["segments"])]


def split_lines(found: dict[str, Any]) -> list[str]:
    """Which cut-offs trained, calibrated and judged."""
    split = found["split"]
    return [
        (
            f"{found['n_train']:,} training rows, cut-offs {split['train'][0]} to {split['train'][-1]}, "
            f"calibrated from {split['calibration_from']} on"
        ),
        f"tested on {', '.join(split['test'])}, an embargo of {split['embargo_days']} days later",
    ]


def span(found: dict[str, float | None], digits: int = 3, signed: bool = False) -> str:
    """An estimate and its interval."""
    value, low, high = (_number(found[key], digits, signed) for key in ("value", "low", "high"))
    return value if low == "-" else f"{value} ({low} to {high})"


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells in columns, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in (head, *rows)
    ]


def gain_text(row: dict[str, Any], which: str, metric: str = "roc_auc") -> str:
    """A gain with its interval; a dash where there is nothing to compare with."""
    return span(row[which][metric], signed=True) if which in row else "-"


def _size_text(kind: str, size: dict[str, Any]) -> str:
    return f"{kind} rows: {size['n']:,} of {size['n_customers']:,} customers, {size['n_positive']:,} churned"


def _table(steps: list[dict[str, Any]], kind: str) -> tuple[tuple[str, ...], list[list[str]]]:
    is_tick = kind == "tick"
    rows = []
    for step in steps:
        row = step["rows"][kind]
        cells = [step["name"], *(span(row[metric]) for metric in ("roc_auc", "pr_auc"))]
        cells += [_number(row[metric]["value"]) for metric in ("log_loss", "brier", "f1")]
        if is_tick:
            cells += [_number(step["fit_s"], 2), gain_text(row, "gain_over_below")]
        rows.append([*cells, gain_text(row, "gain_over_rule")])
    return (HEAD if is_tick else OTHER_HEAD), rows


def _chosen(step: dict[str, Any]) -> str:
    return f" [{step['chosen']}]" if step["chosen"] else ""


def _step_notes(steps: list[dict[str, Any]]) -> list[str]:
    return [f"{step['name']}: {note}" for step in steps for note in step["notes"]]


def _segment_lines(segments: dict[str, Any]) -> list[str]:
    rows = [
        [row["name"], f"{row['n']:,}", f"{row['n_customers']:,}", *(span(row[key]) for key in _SEGMENT_KEYS)]
        for row in segments["rows"]
    ]
    return [f"segments of customers: {segments['text']}", *(table_lines(SEGMENT_HEAD, rows) if rows else [])]


_SEGMENT_KEYS: Final = ("churn_rate", "score", "roc_auc")


def _number(value: float | None, digits: int = 3, signed: bool = False) -> str:
    return "-" if value is None else f"{value:{'+' if signed else ''}.{digits}f}"
