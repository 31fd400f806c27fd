"""The plots of a profile as SVG text: what is shown where; colours and style are `offline.plots`'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from offline.cutoffs import date_text
from offline.metrics import Floats
from offline.plots import COLOURS, create_figure, svg_of
from offline.profile.correlation import Correlations
from offline.profile.portraits import Portrait
from offline.profile.rates import Rate

STAYED, LEFT = COLOURS[0], COLOURS[1]
N_BARS = 30
N_TICKS = 6


def events_per_day(by_day: Sequence[Counter[int]], topics: Sequence[str]) -> str:
    """One small panel for each topic that has events, all over the same days."""
    shown = [(name, counts) for name, counts in zip(topics, by_day, strict=True) if counts]
    first, last = min(min(counts) for _, counts in shown), max(max(counts) for _, counts in shown)
    figure, axes = create_figure(len(shown), 1, width=8.6, height=0.7 + 0.95 * len(shown))
    days = range(first, last + 1)
    for ax, (name, counts) in zip(axes[:, 0], shown, strict=True):
        ax.fill_between(list(days), [counts[day] for day in days], color=STAYED, alpha=0.75, linewidth=0, step="mid")
        ax.set_ylim(bottom=0)
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
        ax.set_xlim(first, last)
        _day_ticks(ax, first, last, labelled=ax is axes[-1, 0])
    return svg_of(figure)


def rate_over_time(rates: Sequence[Rate], days: Sequence[int]) -> str:
    """Churn rate per cut-off with its interval, and the number of rows below."""
    figure, axes = create_figure(2, 1, width=8.6, height=3.6)
    top, bottom = axes[:, 0]
    value, low, high = (np.array([getattr(rate, name) for rate in rates]) for name in ("value", "low", "high"))
    top.fill_between(days, 100 * low, 100 * high, color=LEFT, alpha=0.18, linewidth=0)
    top.plot(days, 100 * value, color=LEFT, marker="o", markersize=3)
    top.set_ylim(bottom=0)
    top.set_ylabel("churn, %")
    bottom.bar(days, [rate.n for rate in rates], width=max(1.0, (days[-1] - days[0]) / 60), color=STAYED, alpha=0.75)
    bottom.set_ylabel("rows")
    for ax in (top, bottom):
        ax.set_xlim(days[0] - 4, days[-1] + 4)
        _day_ticks(ax, days[0], days[-1], labelled=ax is bottom)
    return svg_of(figure)


def rates_of_groups(parts: Sequence[tuple[str, Sequence[Rate]]], overall: float) -> str:
    """Churn rates of groups with intervals, a panel for each way to group."""
    figure, axes = create_figure(1, len(parts), width=8.6, height=2.8)
    for ax, (title, rates) in zip(axes[0], parts, strict=True):
        _rate_panel(ax, rates, overall)
        ax.set_title(title, fontsize=9, loc="left")
    return svg_of(figure)


def feature_panel(portrait: Portrait, values: Floats, y: Floats, overall: float) -> str:
    """A feature three times: histogram and box plot by outcome, and churn rate by decile."""
    figure, axes = create_figure(1, 3, width=8.6, height=2.1)
    figure.set_layout_engine(None)  # a page has dozens of these; fitting each takes longer than drawing it
    figure.subplots_adjust(left=0.06, right=0.995, top=0.96, bottom=0.14, wspace=0.24)
    histogram, box, rates = axes[0]
    if portrait.column.is_categorical:
        _category_bars(histogram, portrait, values, y)
        box.set_axis_off()
    else:
        _histogram(histogram, values, y)
        _boxes(box, portrait)
    _rate_panel(rates, portrait.rates, overall, short=not portrait.column.is_categorical)
    rates.set_ylabel("churn, %")
    return svg_of(figure)


def heatmap(correlations: Correlations) -> str:
    """Spearman correlation of all pairs; blue goes together, red against each other."""
    names, n = correlations.names, len(correlations.names)
    size = min(9.5, 2.2 + 0.17 * n)
    figure, axes = create_figure(1, 1, width=size + 0.6, height=size)
    ax = axes[0, 0]
    image = ax.imshow(correlations.matrix, cmap="RdBu", vmin=-1, vmax=1, interpolation="nearest")
    _names_on(ax, names, names)
    figure.colorbar(image, ax=ax, shrink=0.6)
    return svg_of(figure)


def missing_map(portraits: Sequence[Portrait], days: Sequence[int]) -> str:
    """Share missing of each feature that is ever missing, by cut-off: dark is missing."""
    shares = np.array([portrait.missing_by_cutoff for portrait in portraits])
    figure, axes = create_figure(1, 1, width=8.6, height=1.2 + 0.19 * len(portraits))
    ax = axes[0, 0]
    image = ax.imshow(shares, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    every = max(1, len(days) // N_TICKS)
    _names_on(ax, [p.name for p in portraits], [date_text(d) if i % every == 0 else "" for i, d in enumerate(days)])
    figure.colorbar(image, ax=ax, shrink=0.8)
    return svg_of(figure)


def _names_on(ax: Any, rows: Sequence[str], columns: Sequence[str]) -> None:
    small = 7 if max(len(rows), len(columns)) > 30 else 8
    shown = [i for i, name in enumerate(columns) if name]
    ax.set_xticks(shown, [columns[i] for i in shown], rotation=90 if len(shown) > N_TICKS + 2 else 0, fontsize=small)
    ax.set_yticks(range(len(rows)), rows, fontsize=small)
    ax.grid(False)
    for side in ax.spines.values():
        side.set_visible(False)


def _histogram(ax: Any, values: Floats, y: Floats) -> None:
    known = values[np.isfinite(values)]
    if not len(known):
        return
    low, high = np.quantile(known, [0.005, 0.995])
    whole = bool((known == np.round(known)).all()) and high - low < N_BARS
    edges = np.arange(low - 0.5, high + 1.5) if whole else np.linspace(low, high if high > low else low + 1, N_BARS + 1)
    for outcome, colour, name in ((0.0, STAYED, "stayed"), (1.0, LEFT, "left")):
        mine = np.clip(values[(y == outcome) & np.isfinite(values)], edges[0], edges[-1])
        counts = np.histogram(mine, edges)[0]
        share = 100.0 * counts / max(1, len(mine))
        ax.stairs(share, edges, color=colour, fill=outcome == 0.0, alpha=0.45 if outcome == 0.0 else 1.0, label=name)
    ax.set_ylabel("% of rows")
    ax.locator_params(nbins=4)
    ax.legend(fontsize=7, loc="upper right")


def _boxes(ax: Any, portrait: Portrait) -> None:
    boxes = [
        {"whislo": q[0], "q1": q[1], "med": q[2], "q3": q[3], "whishi": q[4], "label": name}
        for name, q in (("left", portrait.quantiles_left), ("stayed", portrait.quantiles_stayed))
        if np.isfinite(q).all()
    ]
    if not boxes:
        return
    drawn = ax.bxp(boxes, showfliers=False, orientation="horizontal", widths=0.5, patch_artist=True)
    for patch, box in zip(drawn["boxes"], boxes, strict=True):
        patch.set(facecolor=LEFT if box["label"] == "left" else STAYED, alpha=0.45)
    for line in drawn["medians"]:
        line.set(color="#1f2933")
    ax.locator_params(axis="x", nbins=4)


def _category_bars(ax: Any, portrait: Portrait, values: Floats, y: Floats) -> None:
    names = [*portrait.column.categories, "other"]
    for outcome, colour, shift in ((0.0, STAYED, -0.2), (1.0, LEFT, 0.2)):
        mine = values[(y == outcome) & np.isfinite(values)].astype(np.int64)
        share = 100.0 * np.bincount(mine, minlength=len(names)) / max(1, len(mine))
        ax.bar(
            np.arange(len(names)) + shift, share, 0.4, color=colour, alpha=0.7, label="left" if outcome else "stayed"
        )
    every = max(1, -(-len(names) // 8))
    ax.set_xticks(range(0, len(names), every), names[::every], fontsize=7)
    ax.set_ylabel("% of rows")
    ax.legend(fontsize=7)


def _rate_panel(ax: Any, rates: Sequence[Rate], overall: float, *, short: bool = False) -> None:
    """Rates with intervals; short names are the lower borders of bins, not more than fit."""
    place = np.arange(len(rates))
    value, low, high = (100.0 * np.array([getattr(rate, name) for rate in rates]) for name in ("value", "low", "high"))
    ax.axhline(100.0 * overall, color="#5f6c7b", linewidth=0.8, linestyle="--")
    ax.errorbar(
        place, value, np.maximum(0.0, [value - low, high - value]), fmt="o", markersize=4, color=LEFT, capsize=2
    )
    ax.set_ylim(bottom=0)
    names = [rate.name.split(" ")[0] if short else rate.name for rate in rates]
    steep = not short and max(map(len, names), default=0) * len(names) > 36
    every = max(1, -(-len(names) // 6)) if short else 1
    ax.set_xticks(place[::every], names[::every], fontsize=7, rotation=90 if steep else 0)
    ax.set_xlim(-0.6, len(rates) - 0.4)


def _day_ticks(ax: Any, first: int, last: int, *, labelled: bool) -> None:
    days = np.unique(np.linspace(first, last, N_TICKS).round().astype(int)).tolist()
    ax.set_xticks(days, [date_text(day) for day in days] if labelled else [""] * len(days))
