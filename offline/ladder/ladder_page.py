"""The ladder as one self-contained HTML page: table, plots, recommendation, learning curve and segments."""

from __future__ import annotations

from typing import Any

from offline.ladder import plots
from offline.ladder.ladder import Ladder
from offline.ladder.lines import gain_text, span, split_lines
from offline.page import Cell, Page

METRICS = (("roc_auc", "ROC-AUC"), ("pr_auc", "PR-AUC"), ("log_loss", "log loss"), ("brier", "Brier"), ("f1", "F1"))


def ladder_page(ladder: Ladder, title: str, lead: str) -> Page:
    """The page.

    Parameters
    ----------
    title, lead
        Heading, and the line below it.
    """
    found, page = ladder.found, Page(title, lead)
    titles = [step.title for step in ladder.climbed]
    best = found["recommended"]
    skilled = best["step"] not in ("prior", "rule")
    page.text(f"Recommended: {best['title']}. {_sentence(best['text'])}", "good" if skilled else "bad")
    page.points([f"{step['title']}: {step['verdict']}" for step in found["steps"][1:]])
    _tables(page, found)
    page.heading("Ranking")
    page.plot(plots.auc_forest(found["steps"]), "Steps in blue beat every step below beyond doubt.")
    page.plot(plots.ranking_curves(ladder.judged["tick"], titles), "Tick rows of the test block.")
    page.heading("Calibration")
    page.plot(
        plots.calibration_curves(ladder.judged["tick"], titles),
        "Eight bins of equally many tick rows; on the dotted line probabilities say what happens.",
    )
    _curve(page, found["learning_curve"])
    _segments(page, found["segments"])
    _how(page, found)
    return page


def _tables(page: Page, found: dict[str, Any]) -> None:
    page.heading("Steps")
    for kind, size in found["rows"].items():
        head = ["step", *(label for _, label in METRICS), "AUC over the step below", "AUC over the rule", "fit s"]
        caption = f"{kind} rows: {size['n']:,} of {size['n_customers']:,} customers, {size['n_positive']:,} churned"
        page.table(head, [_row(step, kind) for step in found["steps"]], caption)


def _row(step: dict[str, Any], kind: str) -> list[Cell]:
    row = step["rows"][kind]
    metrics = [_kept(span(row[metric])) for metric, _ in METRICS]
    gains = [_kept(gain_text(row, which)) for which in ("gain_over_below", "gain_over_rule")]
    seconds = None if step["fit_s"] is None else round(step["fit_s"], 2)
    return [step["title"], *metrics, *gains, seconds]


def _curve(page: Page, curve: dict[str, Any] | None) -> None:
    if curve is None:
        return
    page.heading("Learning curve")
    page.text(f"{curve['title']} ({curve['chosen']}): {curve['text']}.")
    page.plot(
        plots.learning_curve_plot(curve["points"]),
        "Nested shares of the customers, each the mean of three orders; 95 % intervals over test customers.",
    )


def _segments(page: Page, segments: dict[str, Any]) -> None:
    page.heading("Segments of customers")
    page.text(_sentence(segments["text"]))
    if not segments["rows"]:
        return
    page.plot(plots.segment_plot(segments["rows"]), "Tick rows of the test block, 95 % intervals.")
    page.table(
        ["segment", "rows", "customers", "churned", "share that left", "mean score", "ROC-AUC"],
        [
            [row["name"], row["n"], row["n_customers"], row["n_positive"]]
            + [_kept(span(row[key])) for key in ("churn_rate", "score", "roc_auc")]
            for row in segments["rows"]
        ],
    )


def _how(page: Page, found: dict[str, Any]) -> None:
    page.heading("How it was done")
    page.points(
        [
            *(_sentence(line) for line in split_lines(found)),
            "Every step was fitted on the same rows; hyperparameters were chosen on folds in time before the tests.",
            "Intervals resample customers. Those of a gain hold for all pairs of steps at once.",
            *(f"{step['title']}: {step['chosen']}." for step in found["steps"] if step["chosen"]),
            *(f"{step['title']}: {note}." for step in found["steps"] for note in step["notes"]),
            *(f"{note}." for note in found["notes"]),
            *(f"Left out: {name}: {why}." for name, why in found["left_out"].items()),
        ]
    )


def _kept(text: str) -> str:
    """An interval that stays on one line."""
    value, bracket, rest = text.partition("(")
    return value + (bracket + rest).replace(" ", "\u00a0")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
