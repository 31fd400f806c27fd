"""The model card: what the model is for, what it was made of and how good it is, in a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from offline.card_purpose import data_lines, misuse_lines, purpose_lines
from schemas.workload import Workload

ROW_KINDS = ("tick", "event", "urgent")
COLUMNS = (
    "n",
    "positives",
    "ROC-AUC",
    "PR-AUC",
    "log loss (prior)",
    "Brier (prior)",
    "F1",
    "precision",
    "recall",
    "lift 10 %",
)


def card_text(
    version: str,
    workload: Workload,
    window: Mapping[str, Any],
    evaluation: dict[str, Any],
    made_with: Mapping[str, str] | None = None,
) -> str:
    """The card of a version, from what its other files say.

    Parameters
    ----------
    made_with
        What it was made with: library, Python, git revision -> version.
    """
    lines = [
        f"# {workload.name} {version}",
        "",
        workload.doc,
        "",
        *purpose_lines(workload),
        "",
        "## Where the data lie",
        "",
        *data_lines(workload, window["last_offsets"]),
        "",
        "## Data",
        "",
        f"* {window['n_events']} events, first day {window['first_day']}, known until {window['known_until_day']}",
        f"* train cut-offs: {', '.join(window['train'])}",
        f"* test cut-offs: {', '.join(window['test'])}, after an embargo of {window['embargo_days']} days",
        _rows(evaluation["training"]),
        "",
        "## Held-out evaluation",
        "",
        *evaluation_lines(evaluation),
        "",
        "## Limits",
        "",
        f"* Probabilities are calibrated per row kind (tick, event, urgent) on {_calibrated_on(window)}.",
        _threshold(evaluation["training"]),
        "* Intervals are about these customers and these days; they know nothing of a change of the world.",
        *(f"* {note}" for note in evaluation["training"]["notes"]),
        "",
        "## Who should not use it",
        "",
        *misuse_lines(workload, bool(evaluation["skill"]["claimed"])),
        "",
        "## Versions",
        "",
        f"* workload hash {workload.hash}",
        *(f"* {name} {found}" for name, found in (made_with or {}).items() if found),
    ]
    return "\n".join(lines) + "\n"


def _calibrated_on(window: Mapping[str, Any]) -> str:
    return str(window.get("calibration_on", "the last training weeks"))


def _rows(training: dict[str, Any]) -> str:
    return (
        f"* {training['n_rows']} training rows, {training['n_positive']} positive; "
        f"recipe: {training['recipe']}; {training['n_rounds']} trees"
    )


def _threshold(training: dict[str, Any]) -> str:
    if "threshold_rule" in training:
        return f"* The threshold: {training['threshold_rule']}."
    return "* The threshold maximises F1 there; choose another when a missed leaver costs more than a needless call."


def evaluation_lines(evaluation: dict[str, Any]) -> list[str]:
    """The evaluation as a Markdown table and a verdict; also what the command line prints."""
    lines = [
        f"| | {' | '.join(COLUMNS)} |",
        f"|{'---|' * (len(COLUMNS) + 1)}",
    ]
    for kind, row in sorted(evaluation["rows"].items(), key=lambda item: ROW_KINDS.index(item[0])):
        at = row["at_threshold"]
        lines.append(
            f"| model, {kind} rows | {row['n']} | {row['n_positive']} | {_interval(row['roc_auc'])} "
            f"| {_interval(row['pr_auc'])} | {_n(row['log_loss'])} ({_n(row['log_loss_prior'])}) "
            f"| {_n(row['brier'])} ({_n(row['brier_prior'])}) "
            f"| {_n(at['f1'])} | {_n(at['precision'])} | {_n(at['recall'])} | {_n(row['lift_10'], 2)} |"
        )
    for name in ("logistic", "rule"):
        if name in evaluation:
            row = evaluation[name]
            at = row.get("at_threshold", {})
            lines.append(
                f"| {row.get('says', name + ' regression')} | | | {_interval(row['roc_auc'])} "
                f"| {_interval(row['pr_auc'])} | {_n(row.get('log_loss'))} | | {_n(at.get('f1'))} "
                f"| {_n(at.get('precision'))} | {_n(at.get('recall'))} | |"
            )
    return [*lines, "", _verdict(evaluation)]


def _verdict(evaluation: dict[str, Any]) -> str:
    skill = evaluation["skill"]
    sentences = [("Skill: " if skill["claimed"] else "No skill claimed: ") + skill["text"] + "."]
    if "logistic" in evaluation:
        gain = evaluation["logistic"]["model_is_better_by_auc"]
        sentences.append(f"Against logistic regression: {_interval(gain)} in AUC, {_worth(gain)}.")
    return " ".join(sentences)


def _worth(gain: dict[str, float | None]) -> str:
    if gain["low"] is not None and gain["low"] > 0:
        return "the step up to trees is worth it"
    if gain["high"] is not None and gain["high"] < 0:
        return "logistic regression is better here"
    return "no difference can be told"


def _interval(found: dict[str, float | None]) -> str:
    return f"{_n(found['value'])} ({_n(found['low'])} to {_n(found['high'])})"


def _n(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
