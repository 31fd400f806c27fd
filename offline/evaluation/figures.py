"""The plots of an evaluation, from its JSON-able table; each answers with one SVG element."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from offline.plots import COLOURS, INK, create_figure, svg_of

MODEL, LEFT, STAYED, OTHER = COLOURS[0], COLOURS[1], COLOURS[0], COLOURS[5]
ROW_INCHES: Final = 0.19
BAND_ALPHA: Final = 0.18


def ranking_figure(found: dict[str, Any]) -> str:
    """ROC curve, and precision over recall, each beside whoever knows nothing."""
    curves, metrics = found["curves"], found["metrics"]["tick"]
    figure, axes = create_figure(1, 2, width=8.4, height=3.4)
    roc, pr = axes[0]
    roc.plot(_floats(curves["roc"]["false_positive_rate"]), _floats(curves["roc"]["recall"]), color=MODEL)
    roc.plot([0, 1], [0, 1], color=OTHER, linestyle=":", linewidth=1)
    _label(roc, "ROC", "share of stayers flagged", "share of leavers caught (recall)")
    base = metrics["n_positive"] / metrics["n"]
    pr.plot(_floats(curves["pr"]["recall"]), _floats(curves["pr"]["precision"]), color=MODEL)
    pr.axhline(base, color=OTHER, linestyle=":", linewidth=1)
    _label(pr, "Precision and recall", "recall", "precision")
    for axis, at in ((roc, _point(metrics, "specificity", "recall")), (pr, _point(metrics, "recall", "precision"))):
        _unit_square(axis)
        if at is not None:
            axis.plot(1 - at[0] if axis is roc else at[0], at[1], "o", color=LEFT, markersize=5, label="threshold")
            axis.legend(loc="lower right" if axis is roc else "upper right", frameon=False)
    return svg_of(figure)


def gains_figure(found: dict[str, Any]) -> str:
    """Share of leavers among the highest scores, and the lift at each share, with intervals."""
    figure, axes = create_figure(1, 2, width=8.4, height=3.2)
    gains, lifts = axes[0]
    table = [row for row in found["gains"] if row["gain"]["value"] is not None]
    share = np.array([row["share"] for row in table])
    value, low, high = (_floats([row["gain"][name] for row in table]) for name in ("value", "low", "high"))
    drawn = found["curves"]["gains"]
    gains.plot(_floats(drawn["share"]), _floats(drawn["gain"]), color=MODEL)
    gains.fill_between(np.r_[0, share], np.r_[0, low], np.r_[0, high], color=MODEL, alpha=BAND_ALPHA, linewidth=0)
    gains.plot([0, 1], [0, 1], color=OTHER, linestyle=":", linewidth=1)
    _label(gains, "Gains", "share of customers, highest scores first", "share of leavers among them")
    _unit_square(gains)
    lifts.plot(share, value / share, color=MODEL, marker="o", markersize=3)
    lifts.fill_between(share, low / share, high / share, color=MODEL, alpha=BAND_ALPHA, linewidth=0)
    lifts.axhline(1, color=OTHER, linestyle=":", linewidth=1)
    _label(lifts, "Lift", "share of customers, highest scores first", "times the base rate")
    lifts.set_xlim(0, 1)
    lifts.set_ylim(bottom=0)
    return svg_of(figure)


def calibration_figure(found: dict[str, Any]) -> str:
    """What was said beside what came, with intervals; square-root axes, as most probabilities are low."""
    figure, axes = create_figure(1, 2, width=8.4, height=3.6)
    curve, bars = axes[0]
    rows = [row for row in found["calibration"] if row["churned"]["low"] is not None]
    said, came = (np.array([pick(row) for row in rows]) for pick in (_said, _came))
    spread = np.abs(np.array([[r["churned"]["value"] - r["churned"]["low"] for r in rows],
                              [r["churned"]["high"] - r["churned"]["value"] for r in rows]]))  # fmt: skip
    curve.plot([0, 1], [0, 1], color=OTHER, linestyle=":", linewidth=1)
    curve.errorbar(said, came, yerr=spread, fmt="o", color=MODEL, markersize=4, linewidth=1)
    top = min(1.0, 1.1 * max([0.05, *said.tolist(), *(row["churned"]["high"] for row in rows)]))
    for axis in (curve.xaxis, curve.yaxis):
        axis.axes.set_xscale("function", functions=(_root, np.square))
        axis.axes.set_yscale("function", functions=(_root, np.square))
    ticks = [tick for tick in (0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if tick <= top]
    curve.set(xlim=(0, top), ylim=(0, top), xticks=ticks, yticks=ticks)
    curve.set_aspect("equal")
    _label(curve, "Calibration", "mean probability of the tenth", "share that left")
    _histogram(bars, found["curves"]["histogram"], found["metrics"]["tick"]["threshold"])
    return svg_of(figure)


def confusion_figure(found: dict[str, Any]) -> str:
    """Counts of the four outcomes of the alarm."""
    counts = found["metrics"]["tick"]["at_threshold"]["counts"]
    cells = np.array([[counts["true_positive"], counts["false_negative"]],
                      [counts["false_positive"], counts["true_negative"]]], dtype=float)  # fmt: skip
    shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    figure, axes = create_figure(width=4.2, height=2.4)
    axis = axes[0, 0]
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=2, aspect="auto")
    names = (("caught", "missed"), ("false alarm", "left alone"))
    for i, j in np.ndindex(2, 2):
        text = f"{names[i][j]}\n{cells[i, j]:,.0f} ({shares[i, j]:.1%})"
        axis.text(j, i, text, ha="center", va="center", color=INK)
    axis.set_xticks([0, 1], ["flagged", "not flagged"])
    axis.set_yticks([0, 1], ["left", "stayed"])
    axis.grid(visible=False)
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    return svg_of(figure)


def profit_figure(profit: dict[str, Any]) -> str:
    """Profit per 1,000 customers over the threshold, with the thresholds that matter marked."""
    figure, axes = create_figure(width=7.2, height=3.2)
    axis = axes[0, 0]
    axis.plot(profit["curve"]["threshold"], profit["curve"]["profit"], color=MODEL)
    axis.axhline(0, color=OTHER, linewidth=1)
    best = profit["curve"]["profit"]
    marks = (
        ("threshold", "threshold", LEFT),
        ("break_even", "break-even", COLOURS[2]),
        ("best_threshold", "best here", INK),
    )
    for name, text, colour in marks:
        if profit[name] is not None:
            axis.axvline(profit[name], color=colour, linewidth=1.2, linestyle="--", label=f"{text} {profit[name]:.3f}")
    axis.set_xscale("function", functions=(_root, np.square))
    axis.set_xlim(0, max(profit["curve"]["threshold"]))
    axis.set_ylim(max(min(best), -1.5 * max(abs(max(best)), 1.0)), None)
    axis.legend(loc="best", frameon=False)
    currency = profit["costs"]["currency"]
    _label(axis, "Profit", "threshold", f"per 1,000 customers{f' ({currency})' if currency else ''}")
    return svg_of(figure)


def slices_figure(slices: dict[str, Any]) -> str:
    """AUC and calibration gap of every slice that is large enough, beside those of all rows."""
    rows = [row for row in slices["slices"] if not row["is_small"]]
    panels = (("roc_auc", "ROC-AUC"), ("gap", "mean score less share that left"))
    return _forest(rows, slices["all"], panels, "slicing")


def fairness_figure(name: str, table: dict[str, Any]) -> str:
    """Alert rate, recall and calibration gap of the groups of an attribute."""
    rows = [row | {"slicing": name} for row in table["groups"] if not row["is_small"]]
    reference = next(row for row in table["groups"] if row["name"] == table["reference"])
    panels = (("alert_rate", "alert rate"), ("recall", "recall"), ("gap", "mean score less share that left"))
    return _forest(rows, reference, panels, "slicing")


def drivers_figure(drivers: dict[str, list[dict[str, Any]]]) -> str:
    """Differences in mean contribution between wrong and right rows of one outcome."""
    titles = {"false_alarms": "false alarms against other stayers", "missed_leavers": "missed against caught leavers"}
    most = max(len(rows) for rows in drivers.values())
    figure, axes = create_figure(1, 2, width=9.2, height=0.8 + 0.24 * most)
    for axis, (name, rows) in zip(axes[0], drivers.items(), strict=True):
        values = [row["difference"] for row in rows]
        axis.barh(range(len(rows)), values, color=[LEFT if value > 0 else STAYED for value in values], height=0.6)
        axis.set_yticks(range(len(rows)), [row["feature"] for row in rows])
        axis.invert_yaxis()
        axis.axvline(0, color=INK, linewidth=0.8)
        axis.grid(visible=False, axis="y")
        _label(axis, titles[name], "difference in log odds", "")
    return svg_of(figure)


def _forest(rows: list[dict[str, Any]], whole: dict[str, Any], panels: tuple[tuple[str, str], ...], by: str) -> str:
    """One line for each row, with a headline where ``by`` changes; a dotted line where all rows lie."""
    places, labels, heads, y = [], [], [], 0.0
    for i, row in enumerate(rows):
        if i == 0 or rows[i - 1][by] != row[by]:
            y += 0.5 if i else 0.0
            heads.append((y, row[by]))
            y += 1.0
        places.append(y)
        labels.append(f"{row['name']}  ({row['n']:,})")
        y += 1.0
    figure, axes = create_figure(1, len(panels), width=9.2, height=0.9 + ROW_INCHES * y)
    for k, (axis, (name, title)) in enumerate(zip(axes[0], panels, strict=True)):
        for place, row in zip(places, rows, strict=True):
            _whisker(axis, place, row.get(name))
        if whole.get(name, {}).get("value") is not None:
            axis.axvline(whole[name]["value"], color=OTHER, linestyle=":", linewidth=1)
        if name == "gap":
            axis.axvline(0, color=INK, linewidth=0.8)
        axis.locator_params(axis="x", nbins=6)
        axis.set_ylim(y, -0.6)
        axis.set_yticks(
            [*places, *(head for head, _ in heads)], [*labels, *(text for _, text in heads)] if not k else []
        )
        axis.tick_params(axis="y", length=0)
        axis.grid(visible=False, axis="y")
        for text in axis.get_yticklabels()[len(places) :]:
            text.set_fontweight("bold")
        _label(axis, title, "", "")
    return svg_of(figure)


def _whisker(axis: Any, place: float, interval: dict[str, Any] | None) -> None:
    if interval is None or interval["value"] is None:
        return
    if interval["low"] is not None:
        axis.plot([interval["low"], interval["high"]], [place, place], color=MODEL, linewidth=1.2)
    axis.plot(interval["value"], place, "o", color=MODEL, markersize=3.5)


def _histogram(axis: Any, histogram: dict[str, list[float]], threshold: float) -> None:
    """Scores by outcome, each outcome's share of its own rows."""
    edges = np.sqrt(np.array(histogram["edges"]))
    for name, colour, text in (("stayed", STAYED, "stayed"), ("left", LEFT, "left")):
        counts = np.array(histogram[name], dtype=float)
        axis.stairs(counts / max(counts.sum(), 1.0), edges, color=colour, fill=True, alpha=0.35, label=text)
    axis.axvline(np.sqrt(threshold), color=INK, linestyle="--", linewidth=1, label=f"threshold {threshold:.3f}")
    ticks = np.array([0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
    axis.set_xticks(np.sqrt(ticks), [f"{tick:g}" for tick in ticks])
    axis.set_xlim(0, 1)
    axis.legend(loc="upper right", frameon=False)
    _label(axis, "Scores by outcome", "probability", "share of the outcome's rows")


def _point(metrics: dict[str, Any], x: str, y: str) -> tuple[float, float] | None:
    at = metrics["at_threshold"]
    return None if at[x]["value"] is None or at[y]["value"] is None else (at[x]["value"], at[y]["value"])


def _label(axis: Any, title: str, x: str, y: str) -> None:
    axis.set_title(title, loc="left", fontsize=10, color=INK)
    axis.set_xlabel(x)
    axis.set_ylabel(y)


def _unit_square(axis: Any) -> None:
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))


def _floats(values: list[float | None]) -> Any:
    return np.array(values, dtype=np.float64)


def _root(values: Any) -> Any:
    return np.sqrt(np.maximum(values, 0.0))


def _said(row: dict[str, Any]) -> float:
    return float(row["probability"])


def _came(row: dict[str, Any]) -> float:
    return float(row["churned"]["value"])
