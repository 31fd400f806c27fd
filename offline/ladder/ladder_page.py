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
        caption = f"{kind} rows: {size['n']:,} of {size['n_customers']:,} customers, {size['n_positive']:,} churned"
        page.table(["step", *(label for _, label in METRICS), "fit s"], _metric_rows(found["steps"], kind), caption)
    page.heading("Gains")
    for kind in found["rows"]:
        head = [f"{metric} over {other}" for other in ("step below", "rule") for metric in ("AUC", "log loss")]
        page.table(["step", *head], _gain_rows(found["steps"][1:], kind), f"{kind} rows; above 0 is better")


def _metric_rows(steps: list[dict[str, Any]], kind: str) -> list[list[Cell]]:
    return [
        [step["title"], *(_kept(span(step["rows"][kind][metric])) for metric, _ in METRICS), step["fit_s"]]
        for step in steps
    ]


def _gain_rows(steps: list[dict[str, Any]], kind: str) -> list[list[Cell]]:
    pairs = [(which, metric) for which in ("gain_over_below", "gain_over_rule") for metric in ("roc_auc", "log_loss")]
    return [
        [step["title"], *(_kept(gain_text(step["rows"][kind], which, metric)) for which, metric in pairs)]
        for step in steps
    ]


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
