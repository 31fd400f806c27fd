"""The evaluation as one self-contained page: verdict first, then figures, curves, profit, slices, fairness, errors."""

from __future__ import annotations

from typing import Any, Final

from offline.evaluation import figures
from offline.oracle import oracle_line
from offline.page import Cell, Page

FIGURES: Final = {
    "roc_auc": "ROC-AUC: chance that a leaver scores above a stayer",
    "pr_auc": "PR-AUC: average precision",
    "ks": "KS: largest distance between the scores of leavers and stayers",
    "lift_10": "lift: leavers in the highest tenth, as a multiple of the base rate",
    "log_loss": "log loss",
    "brier": "Brier score",
    "reliability": "reliability: its part from miscalibration, the smaller the better",
    "resolution": "resolution: its part from telling customers apart, the larger the better",
    "uncertainty": "uncertainty: its part that is the base rate's",
    "ece": "expected calibration error",
    "gap": "mean score less share that left",
}
IN_DETAIL: Final = ("brier", "reliability", "resolution", "uncertainty", "ece", "gap")
AT_THRESHOLD: Final = {
    "alert_rate": "alert rate",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "specificity": "specificity",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
}


def evaluation_page(title: str, found: dict[str, Any]) -> Page:
    """The page of an evaluation.

    Parameters
    ----------
    found
        Short and full evaluation in one table, as `driftline evaluate --json` prints it.
    """
    page = Page(title, _lead(found))
    page.text(("Skill: " if found["skill"]["claimed"] else "No skill claimed: ") + found["skill"]["text"] + ".",
              "good" if found["skill"]["claimed"] else "bad")  # fmt: skip
    if "oracle" in found:
        page.text(oracle_line(found["oracle"]))
    _figures(page, found)
    _ranking(page, found)
    _alarm(page, found)
    _calibration(page, found)
    if "profit" in found:
        _profit(page, found["profit"])
    _slices(page, found["slices"])
    if "capped" in found:
        _capped(page, found["capped"])
    if "fairness" in found:
        _fairness(page, found["fairness"])
    _errors(page, found["errors"])
    return page


def _lead(found: dict[str, Any]) -> str:
    tick, test = found["metrics"]["tick"], found["test"]
    return (
        f"{tick['n']:,} rows of {tick['n_customers']:,} customers on {len(test)} days from {test[0]} to {test[-1]}, "
        f"{tick['n_positive']:,} rows of {tick['n_leavers']:,} customers who left. Rows are daily ticks unless said "
        "otherwise; intervals are 95 %, by resampling customers."
    )


def _figures(page: Page, found: dict[str, Any]) -> None:
    page.heading("Figures")
    kinds = list(found["metrics"])
    rows: list[list[Cell]] = [
        [label, *(_span(found["metrics"][kind][name], 4 if name in IN_DETAIL else 3) for kind in kinds)]
        for name, label in FIGURES.items()
    ]
    rows.insert(5, ["log loss of the base rate in training", *(_prior(found, kind) for kind in kinds)])
    page.table(["", *(f"{kind} rows" for kind in kinds)], rows)


def _prior(found: dict[str, Any], kind: str) -> Cell:
    loss = found["rows"][kind]["log_loss_prior"]
    return None if loss is None else f"{loss:.3f}"


def _ranking(page: Page, found: dict[str, Any]) -> None:
    page.heading("Ranking")
    page.plot(figures.ranking_figure(found))
    page.plot(figures.gains_figure(found), "Bands are intervals.")
    steps = [(name, found[name]) for name in ("logistic", "rule") if name in found]
    if steps:
        page.table(
            ["simpler", "ROC-AUC", "PR-AUC", "this model is better by (AUC)"],
            [
                [step.get("says", "logistic regression"), _span(step["roc_auc"]), _span(step["pr_auc"]),
                 _span(step["model_is_better_by_auc"])]
                for _, step in steps
            ],
            "Is the step up worth it?",
        )  # fmt: skip
    rows: list[list[Cell]] = [
        [f"{row['share']:.0%}", _span(row["gain"]), None if row["lift"] is None else f"{row['lift']:.2f}"]
        for row in found["gains"]
        if row["share"] <= 0.5
    ]
    page.table(["highest scores", "share of all leavers among them", "lift"], rows)


def _alarm(page: Page, found: dict[str, Any]) -> None:
    tick = found["metrics"]["tick"]
    page.heading("Alarm")
    page.plot(figures.confusion_figure(found), f"Rows at the threshold {tick['threshold']:.4f}.")
    kinds = list(found["metrics"])
    rows: list[list[Cell]] = [
        [label, *(_span(found["metrics"][kind]["at_threshold"][name]) for kind in kinds)]
        for name, label in AT_THRESHOLD.items()
    ]
    rows.append(["threshold", *(f"{found['metrics'][kind]['threshold']:.4f}" for kind in kinds)])
    page.table(["", *(f"{kind} rows" for kind in kinds)], rows)


def _calibration(page: Page, found: dict[str, Any]) -> None:
    page.heading("Calibration")
    page.plot(figures.calibration_figure(found), "Axes are stretched where scores are low.")
    compared = found["calibrators"]
    page.text(f"Calibrators: {compared['text']}.")
    if compared["tried"]:
        page.table(
            ["calibrator", "log loss", "Brier score", "log loss below Platt's"],
            [
                [name, _span(row["log_loss"], 4), _span(row["brier"], 4), _span(row["log_loss_below_platt"], 5)]
                for name, row in compared["tried"].items()
            ],
            "Each but the released one is fitted on four fifths of these customers and judged on the rest, in turn.",
        )


def _profit(page: Page, profit: dict[str, Any]) -> None:
    page.heading("Profit")
    page.text(f"{profit['text'][0].upper()}{profit['text'][1:]}. A contact pays from a churn probability of "
              f"{profit['break_even']:.4f} on.")  # fmt: skip
    page.plot(figures.profit_figure(profit))
    page.table(
        ["contacted", "share", "profit per 1,000 customers", "the model at its threshold brings more by"],
        [
            [way["who"], f"{way['share']:.1%}", _span(way["profit"], 1), _span(way["model_brings_more"], 1)]
            for way in profit["ways"]
        ],
        "Customers looked at on one day. The best threshold of these very rows flatters itself.",
    )


def _slices(page: Page, slices: dict[str, Any]) -> None:
    page.heading("Slices")
    if slices["much_worse"]:
        page.text("Much worse beyond doubt:", "bad")
        page.points(slices["much_worse"])
    else:
        page.text("No slice is much worse beyond doubt.", "good")
    page.text(slices["note"])
    page.plot(figures.slices_figure(slices), "Dotted: all tick rows. In brackets: rows.")
    page.table(
        ["slice", "rows", "left", "ROC-AUC", "score", "base rate", "alert rate", "recall", "precision"],
        [
            [f"{row['slicing']}: {row['name']}", row["n"], row["n_positive"],
             _cell(row, "roc_auc"), _value(row, "score"), _value(row, "base_rate"), _value(row, "alert_rate"),
             _value(row, "recall"), _value(row, "precision")]
            for row in slices["slices"] if row["n"]
        ],
    )  # fmt: skip


def _capped(page: Page, capped: dict[str, Any]) -> None:
    page.heading("Beyond the training rows")
    if not capped["columns"]:
        page.text("No value lies beyond the caps that were fitted on the training rows.", "good")
        return
    page.text(
        f"Values of {capped['n']:,} rows beyond the caps, the 0.1 % and 99.9 % quantiles of the training rows. "
        "About 0.2 % is to be expected; where there are many, the trees answer as for the largest that they have seen."
    )
    page.table(
        ["feature", "rows", "share"], [[row["feature"], row["n"], f"{row['share']:.2%}"] for row in capped["columns"]]
    )


def _fairness(page: Page, fairness: dict[str, Any]) -> None:
    page.heading("Fairness")
    page.text(fairness["note"])
    for name, table in fairness["attributes"].items():
        if table["differs"]:
            page.text(f"{name}: differs beyond doubt from {table['reference']}, the largest group:")
            page.points(table["differs"])
        else:
            page.text(f"{name}: nothing differs beyond doubt from {table['reference']}, the largest group.")
        if any(not row["is_small"] for row in table["groups"]):
            page.plot(figures.fairness_figure(name, table), f"Groups by {name}. Dotted: {table['reference']}.")
        page.table(
            [name, "rows", "left", "score", "base rate", "alert rate", "ratio", "recall", "precision",
             "stayers flagged"],
            [
                [row["name"], row["n"], row["n_positive"], _value(row, "score"),
                 _value(row, "base_rate"), _cell(row, "alert_rate"), _value(row, "alert_rate_ratio"),
                 _cell(row, "recall"), _value(row, "precision"), _value(row, "false_positive_rate")]
                for row in table["groups"]
            ],
            f"Ratio: alert rate as a multiple of that of {table['reference']}.",
        )  # fmt: skip


def _errors(page: Page, errors: dict[str, Any]) -> None:
    page.heading("Errors")
    for name, title in (("false_alarms", "Most confident false alarms"), ("missed_leavers", "Most surely missed")):
        if errors[name]:
            page.table(
                ["customer", "as of", "probability", "pushed there by"],
                [
                    [row["customer"], row["as_of"], row["probability"], "; ".join(map(_reason, row["reasons"]))]
                    for row in errors[name]
                ],
                f"{title}: one row for each customer.",
            )
    if any(errors["drivers"].values()):
        page.plot(
            figures.drivers_figure(errors["drivers"]),
            "What pushes wrong rows further than right ones of the same outcome: mean contribution of a feature.",
        )
    leaves = errors["gather"]["leaves"]
    if not leaves:
        page.text(f"Where errors gather: {errors['gather']['text']}.")
        return
    page.table(
        ["where", "rows", "wrong", "false alarms", "missed", "share that left", "score"],
        [
            [leaf["where"], leaf["n"], _span(leaf["wrong"]), leaf["n_false_alarms"], leaf["n_missed"],
             leaf["base_rate"], leaf["score"]]
            for leaf in leaves
        ],
        f"Where errors gather, {errors['gather']['text']}.",
    )  # fmt: skip


def _reason(reason: dict[str, Any]) -> str:
    return f"{reason['feature']} {reason['value']} ({reason['contribution']:+.2f})"


def _cell(row: dict[str, Any], name: str) -> Cell:
    return _span(row[name]) if name in row else "-"


def _value(row: dict[str, Any], name: str) -> Cell:
    return row[name]["value"] if name in row else None


def _span(interval: dict[str, Any], digits: int = 3) -> str:
    """A value with its interval, never broken into lines."""
    return _unbroken(span(interval, digits))


def _unbroken(text: str) -> str:
    return text.replace(" ", "\u00a0")


def span(interval: dict[str, Any], digits: int = 3) -> str:
    """A value with its interval.

    Examples
    --------
    >>> span({"value": 0.75, "low": 0.7, "high": None})
    '0.750'
    """
    value, low, high = interval["value"], interval["low"], interval["high"]
    if value is None:
        return "-"
    shown = f"{value:,.{digits}f}"
    return shown if low is None or high is None else f"{shown} ({low:,.{digits}f} to {high:,.{digits}f})"
