"""The validation as a page, and as a few lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from offline.page import Cell, Page
from offline.pandera_schema import unit_range
from offline.plots import create_figure, svg_of
from offline.validation import Finding, Validation, counts_as_json
from offline.validation_counts import LATENESS_NAMES, TopicCounts
from schemas.workload import Workload

MAX_LINES = 12


def validation_lines(found: Validation) -> list[str]:
    """What the terminal shows: one line for each topic, then the findings, the wrong ones first."""
    lines = []
    for counts in found.topics:
        one = counts_as_json(counts)
        said = f"{counts.topic.name}: {one['n_rows']:,} events = {one['n_applied']:,} applied"
        said += f" + {one['n_duplicates']:,} duplicates + {one['n_refused']:,} refused"
        lines.append(said + (f", {one['first_day']} to {one['last_day']}" if one["first_day"] else ""))
    ordered = sorted(found.findings, key=lambda finding: (not finding.is_wrong, -finding.share))
    lines += [f"{'WRONG ' if one.is_wrong else 'noted '} {one}" for one in ordered[:MAX_LINES]]
    if len(ordered) > MAX_LINES:
        lines.append(f"and {len(ordered) - MAX_LINES} more findings on the page")
    return [*lines, found.verdict]


def validation_page(workload: Workload, found: Validation, place: str) -> Page:
    """The page.

    Parameters
    ----------
    place
        Where the events came from.
    """
    page = Page(f"Validation of {workload.name}", f"Events of {place}, held against the workload {workload.hash[:12]}.")
    page.text(found.verdict.capitalize() + ".", "bad" if found.wrong else "good")
    page.heading("Findings")
    columns = ("where", "what", "of", "n", "looked at", "share", "limit", "verdict", "detail")
    rows = [_finding_row(one) for one in found.findings]
    page.table(columns, rows, "Whatever is not nothing. Without a limit it is told, not judged.")
    page.heading("Accounting")
    _accounting(page, found)
    page.heading("Events per day")
    page.plot(_volume(found.topics), "By day of event time, all kinds.")
    page.heading("Lateness")
    page.plot(_lateness(found.topics), "From the moment it happened until it became known, at most; share of events.")
    page.heading("Fields")
    page.table(("topic", "field", "type", "unit", "range", "missing", "share"), _field_rows(found.topics))
    return page


def _finding_row(one: Finding) -> list[Cell]:
    verdict = "wrong" if one.is_wrong else "noted" if one.limit is None else "within"
    limit = None if one.limit is None else f"{one.limit:.1%}"
    return [one.place, one.check, one.about, one.n, one.n_of, f"{one.share:.2%}", limit, verdict, one.detail]


def _accounting(page: Page, found: Validation) -> None:
    if found.sources:
        columns = ("source", "rows", "filtered", "events", "gave none", "duplicates", "refused")
        rows = [_source_row(source) for source in found.sources]
        page.table(columns, rows, "Rows of the sources; a row may give several events.")
    columns = ("topic", "events", "applied", "duplicates", "refused", "near-duplicates", "reasons")
    rows = [_topic_row(counts) for counts in found.topics]
    page.table(columns, rows, "Events = applied + duplicates + refused, as the stream would decide.")


def _source_row(source: Mapping[str, Any]) -> list[Cell]:
    names = ("n_rows", "n_filtered", "n_events", "n_none", "n_duplicates")
    return [str(source["name"]), *(source[name] for name in names), _reasons(source["refused"])]


def _topic_row(counts: TopicCounts) -> list[Cell]:
    one = counts_as_json(counts)
    names = ("n_rows", "n_applied", "n_duplicates", "n_refused", "n_near_duplicates")
    return [counts.topic.name, *(one[name] for name in names), _reasons(one["refused"])]


def _reasons(refused: dict[str, int]) -> str | None:
    return ", ".join(f"{n:,} {reason}" for reason, n in refused.items()) or None


def _volume(topics: tuple[TopicCounts, ...]) -> str:
    figure, axes = create_figure(len(topics), 1, height=1.5 * len(topics) + 0.6)
    there = [day for counts in topics for day in counts.by_day] or [0]
    days = np.arange(min(there), max(there) + 1)
    dates = days.astype("datetime64[D]")
    for counts, axis in zip(topics, axes[:, 0], strict=True):
        axis.bar(dates, [counts.by_day.get(int(day), 0) for day in days], width=1.0)
        axis.set_xlim(dates[0] - 1, dates[-1] + 1)
        axis.set_ylim(bottom=0)
        axis.set_title(counts.topic.name, loc="left")
    return svg_of(figure)


def _lateness(topics: tuple[TopicCounts, ...]) -> str:
    figure, axes = create_figure()
    filled = [counts for counts in topics if counts.n_rows]
    width = 0.8 / max(len(filled), 1)
    for place, counts in enumerate(filled):
        axes[0, 0].bar(
            np.arange(len(LATENESS_NAMES)) + place * width,
            counts.lateness / counts.n_rows,
            width,
            label=counts.topic.name,
        )
    axes[0, 0].set_xticks(np.arange(len(LATENESS_NAMES)) + 0.4 - width / 2, LATENESS_NAMES)
    if filled:
        axes[0, 0].legend()
    return svg_of(figure)


def _field_rows(topics: tuple[TopicCounts, ...]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for counts in topics:
        missing = counts.missing()
        for field in counts.topic.fields:
            n, of = missing[field.name]
            limits = unit_range(field)
            stated = None if limits is None else f"{limits[0]:g} to {limits[1]:g}"
            share = f"{n / of:.1%}" if of else None
            rows.append([counts.topic.name, field.name, field.type, field.unit, stated, n, share])
    return rows
