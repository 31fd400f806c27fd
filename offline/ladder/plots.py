"""Plots of the ladder; how they look and become SVG is the business of `offline.plots`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any, Final

import numpy as np

from offline.ladder.judge import Judged
from offline.metrics import Floats
from offline.plots import COLOURS, INK, create_figure, svg_of

DASHES: Final = ("-", "--")
N_BINS: Final = 8
N_POINTS: Final = 400  # a curve of ten thousand points is a large page and looks the same
SOFT: Final = "#9aa5b1"


def auc_forest(steps: Sequence[dict[str, Any]]) -> str:
    """ROC-AUC of every step on tick rows with its interval, the lowest step on top."""
    figure, axes = create_figure(height=0.8 + 0.28 * len(steps))
    axis = axes[0, 0]
    for place, step in enumerate(steps):
        _whisker(axis, step["rows"]["tick"]["roc_auc"], place, COLOURS[0] if step["worth_it"] else COLOURS[5])
    axis.axvline(0.5, color=SOFT, linewidth=1, linestyle=":")
    axis.set_yticks(range(len(steps)), [step["title"] for step in steps])
    axis.set_ylim(len(steps) - 0.5, -0.5)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel("ROC-AUC, 95 % interval")
    return svg_of(figure)


def ranking_curves(judged: Judged, titles: Sequence[str]) -> str:
    """ROC and precision-recall curves of all steps."""
    figure, axes = create_figure(1, 2, width=9.0, height=5.0)
    styles = _styles(len(titles))
    for score, title, (colour, dash) in zip(judged.ranked, titles, styles, strict=True):
        false_alarms, caught, precision = _rates(judged.y, score)
        axes[0, 0].plot(false_alarms, caught, dash, color=colour, linewidth=1.2, label=title)
        axes[0, 1].plot(caught[1:], precision[1:], dash, color=colour, linewidth=1.2)
    axes[0, 0].plot([0, 1], [0, 1], ":", color=SOFT, linewidth=1)
    _label(axes[0, 0], "share of stayers flagged", "share of leavers flagged (recall)")
    _label(axes[0, 1], "recall", "precision")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return svg_of(figure)


def calibration_curves(judged: Judged, titles: Sequence[str]) -> str:
    """Share of leavers beside the mean probability, in bins of equally many rows, one small plot for each step."""
    n_columns = 4
    n_rows = -(-len(titles) // n_columns)
    figure, axes = create_figure(n_rows, n_columns, width=9.0, height=2.2 * n_rows)
    top = 0.05 + max(max(_bins(judged.y, probability)[k].max() for k in (0, 1)) for probability in judged.probability)
    for axis, probability, title in zip(axes.flat, judged.probability, titles, strict=False):
        mean, share = _bins(judged.y, probability)
        axis.plot([0, 1], [0, 1], ":", color=SOFT, linewidth=1)
        axis.plot(mean, share, "o-", color=COLOURS[0], markersize=3, linewidth=1)
        axis.set_title(title, fontsize=9, color=INK)
        axis.set_xlim(0, min(1.0, top))
        axis.set_ylim(0, min(1.0, top))
    for axis in axes.flat[len(titles) :]:
        axis.set_visible(False)
    figure.supxlabel("mean probability", fontsize=9)
    figure.supylabel("share that left", fontsize=9)
    return svg_of(figure)


def learning_curve_plot(points: Sequence[dict[str, Any]]) -> str:
    """ROC-AUC and log loss over the number of customers."""
    figure, axes = create_figure(1, 2, width=9.0, height=3.0)
    n = [point["n_customers"] for point in points]
    for axis, metric, label in zip(axes[0], ("roc_auc", "log_loss"), ("ROC-AUC", "log loss"), strict=True):
        value, low, high = (_numbers([point[metric] for point in points], key) for key in ("value", "low", "high"))
        axis.fill_between(n, low, high, color=COLOURS[0], alpha=0.15, linewidth=0)
        axis.plot(n, value, "o-", color=COLOURS[0], markersize=4)
        axis.set_xlabel("customers to learn from")
        axis.set_ylabel(label)
    return svg_of(figure)


def segment_plot(rows: Sequence[dict[str, Any]]) -> str:
    """Churn rate and mean score of each segment, with intervals."""
    figure, axes = create_figure(height=0.9 + 0.45 * len(rows), width=7.5)
    axis = axes[0, 0]
    for place, row in enumerate(rows):
        _whisker(axis, row["churn_rate"], place - 0.12, COLOURS[1], "share that left" if not place else "")
        _whisker(axis, row["score"], place + 0.12, COLOURS[0], "mean score" if not place else "")
    axis.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return svg_of(figure)


def _whisker(axis: Any, found: dict[str, float | None], place: float, colour: str, label: str = "") -> None:
    value, low, high = (_numbers([found], key)[0] for key in ("value", "low", "high"))
    axis.plot([low, high], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
    axis.plot([value], [place], "o", color=colour, markersize=5, label=label or None)


def _numbers(found: Sequence[dict[str, float | None]], key: str) -> Floats:
    return np.array([one[key] for one in found], dtype=np.float64)


def _styles(n: int) -> list[tuple[str, str]]:
    colours = cycle(COLOURS)
    return [(next(colours), DASHES[i // len(COLOURS) % len(DASHES)]) for i in range(n)]


def _rates(y: Floats, score: Floats) -> tuple[Floats, Floats, Floats]:
    """(share of stayers flagged, recall, precision) at falling cuts; the first cut flags nobody."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.r_[score[order][1:] != score[order][:-1], True])
    if len(ends) > N_POINTS:
        ends = ends[np.linspace(0, len(ends) - 1, N_POINTS).astype(np.int64)]
    caught = np.r_[0.0, np.cumsum(y[order])[ends]]
    flagged = np.r_[0.0, ends + 1.0]
    n_positive = max(1.0, float(y.sum()))
    n_negative = max(1.0, float(len(y) - y.sum()))
    precision = np.divide(caught, flagged, out=np.ones_like(caught), where=flagged > 0)
    return (flagged - caught) / n_negative, caught / n_positive, precision


def _bins(y: Floats, probability: Floats) -> tuple[Floats, Floats]:
    """(mean probability, share of positives) of bins of about equally many rows; equal probabilities share a bin."""
    _, place, n_equal = np.unique(probability, return_inverse=True, return_counts=True)
    middle = np.cumsum(n_equal) - n_equal / 2.0
    code = (middle * N_BINS / len(y)).astype(np.int64)[place]
    n = np.bincount(code, minlength=N_BINS)
    filled = n > 0
    mean = np.bincount(code, probability, N_BINS)[filled] / n[filled]
    return mean, np.bincount(code, y, N_BINS)[filled] / n[filled]


def _label(axis: Any, x: str, y: str) -> None:
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.02)
