"""The page of a profile."""

from __future__ import annotations

import numpy as np

from offline.cutoffs import date_text
from offline.page import Page
from offline.profile import drawing
from offline.profile.census import FieldCount
from offline.profile.portraits import Portrait
from offline.profile.profile import Profile
from offline.profile.summary import WHAT, percent, ranked, sentences
from schemas.durations import DAY_MS

MAX_PANELS = 60


def page_of(profile: Profile) -> Page:
    """All of a profile, most important first."""
    page = Page(f"Profile of {profile.workload.name}", profile.workload.doc)
    page.heading("Summary")
    page.points(sentences(profile))
    _suspects(page, profile)
    _events(page, profile)
    _label(page, profile)
    _features(page, profile)
    _panels(page, profile)
    _correlation(page, profile)
    _missing(page, profile)
    _how(page, profile)
    return page


def _suspects(page: Page, profile: Profile) -> None:
    page.heading("Leak suspects")
    if not profile.suspects:
        page.text("Nothing looks like a leak. That does not prove that there is none.", "good")
        return
    rows = [(s.what, s.rule, s.seen, s.advice) for s in profile.suspects]
    page.text("These may know the end of a customer. Look at them before you train.", "bad")
    page.table(("what", "rule", "seen", "what to do"), rows)


def _events(page: Page, profile: Profile) -> None:
    census = profile.census
    page.heading("Events")
    rows = [
        (
            kind.topic,
            kind.name,
            kind.n,
            percent(kind.n / max(1, census.n_events)),
            date_text(kind.first_ms // DAY_MS) if kind.n else None,
            date_text(kind.last_ms // DAY_MS) if kind.n else None,
            kind.n_late,
            round(kind.longest_lag_ms / DAY_MS, 1),
        )
        for kind in census.kinds
    ]
    names = ("topic", "kind", "events", "share", "first", "last", "late by over a day", "latest, days")
    page.table(names, rows, f"{census.n_events:,} events of {census.n_customers:,} customers")
    page.plot(
        drawing.events_per_day(census.by_day, [topic.name for topic in profile.workload.topics]),
        "Events per day by topic, by when they happened.",
    )
    fields = [field for fields in census.fields for field in fields]
    if fields:
        page.table(
            ("topic", "field", "unit", "events", "missing", "least", "mean", "most", "values"),
            [_field_row(field) for field in fields],
            "Values; a field is missing where another kind of its topic does not carry it",
        )


def _field_row(field: FieldCount) -> tuple[str | int | float | None, ...]:
    missing = percent(1.0 - field.n_known / field.n) if field.n else None
    head = (field.topic, field.declared.name, field.declared.unit, field.n, missing)
    if field.declared.type == "category":
        names = [*field.declared.categories, "other"]
        values = ", ".join(f"{names[c]} {percent(n / field.n_known)}" for c, n in field.codes.most_common(5))
        return (*head, None, None, None, values)
    if not field.n_known:
        return (*head, None, None, None, "")
    if field.declared.type == "time":
        first, last = (date_text(int(value) // DAY_MS) for value in (field.low, field.high))
        return (*head, None, None, None, f"{first} to {last}")
    return (*head, field.low, field.total / field.n_known, field.high, "")


def _label(page: Page, profile: Profile) -> None:
    page.heading("Churn")
    label = profile.workload.label
    page.text(
        f"Do they {WHAT[label.type]} within {profile.horizon_days} days (label {label.type}, kinds "
        f"{', '.join(label.of)})? Rows are live, eligible customers at a cut-off, with what was known then; intervals "
        "(95 %) resample customers."
    )
    page.plot(drawing.rate_over_time(profile.by_cutoff, profile.rows.cutoff_days), "Churn rate and rows by cut-off.")
    parts = [("by weekday of the cut-off", profile.by_weekday), ("by tenure at the cut-off, days", profile.by_tenure)]
    page.plot(drawing.rates_of_groups(parts, profile.overall.value), "Churn in %; the dashed line is that of all rows.")


def _features(page: Page, profile: Profile) -> None:
    page.heading("Features")
    page.text(
        "AUC of each feature alone, among customers of the same cut-off: above 0.5 when leavers have the larger "
        "values. By bins: of the churn rate of the value's bin, whatever the shape, missing values included; earlier: "
        "the same of the feature so many days before the cut-off."
    )
    shifts = sorted(profile.rows.earlier)
    names = ("feature", "type", "missing", "mean, left", "mean, stayed", "AUC (95 %)", "by bins")
    columns = (*names, *(f"{days} d earlier" for days in shifts))
    page.table(columns, [_feature_row(p, shifts) for p in ranked(profile.portraits)], "Strongest first")


def _feature_row(p: Portrait, shifts: list[int]) -> tuple[str | int | float | None, ...]:
    auc = f"{p.auc.value:.3f} ({p.auc.low:.3f}-{p.auc.high:.3f})" if np.isfinite(p.auc.value) else None
    head = (p.name, p.column.type, percent(p.missing_share), p.mean_left, p.mean_stayed, auc, p.binned_auc)
    return (*head, *(p.earlier_auc[days][1] for days in shifts))


def _panels(page: Page, profile: Profile) -> None:
    page.heading("Each feature by outcome")
    rows = profile.analysed
    found = [p for p in ranked(profile.portraits) if p.n_values > 1]
    page.text(
        "Left: histogram (the outer half per cent on each side is drawn at the border). Middle: box from quarter to "
        "quarter with the median, whiskers from 5 % to 95 %. Right: churn by decile (named by its least value) with "
        "intervals; the dashed line is that of all rows. Features that never change are left out."
        + (f" The strongest {MAX_PANELS} of {len(found)} features." if len(found) > MAX_PANELS else "")
    )
    place = {column.name: j for j, column in enumerate(rows.columns)}
    for p in found[:MAX_PANELS]:
        values = rows.X[:, place[p.name]].astype(np.float64)
        unit = "" if p.column.unit == "1" else f", in {p.column.unit}"
        missing = f"; missing in {percent(p.missing_share)}" if p.missing_share else ""
        page.plot(drawing.feature_panel(p, values, rows.y, profile.overall.value), f"{p.name}{unit}{missing}")


def _correlation(page: Page, profile: Profile) -> None:
    page.heading("Correlation")
    page.plot(drawing.heatmap(profile.correlations), "Spearman's rank correlation.")
    pairs = profile.correlations.pairs()
    if pairs:
        page.table(("one", "other", "Spearman"), pairs[:40], "Pairs that say nearly the same (0.95 and above)")


def _missing(page: Page, profile: Profile) -> None:
    page.heading("Missing values")
    found = [p for p in profile.portraits if p.missing_share > 0.0]
    if not found:
        page.text("No feature is ever missing.")
        return
    page.plot(drawing.missing_map(found, profile.rows.cutoff_days), "Share missing by cut-off: white none, black all.")


def _how(page: Page, profile: Profile) -> None:
    page.heading("How this was made")
    rows = profile.rows
    counted = (
        f"Counts, churn rates and missing shares are of all {len(rows):,} rows; everything about single features is of "
        f"the {len(profile.analysed):,} rows of {int(profile.analysed.customer.max()) + 1:,} customers."
    )
    lines = [
        f"Cut-offs: {', '.join(date_text(day) for day in rows.cutoff_days)}.",
        "Rows come from the same code as the stream's and know what was known at their cut-off.",
        counted,
    ]
    if rows.share < 1.0:
        lines.append(f"Rows were taken of {percent(rows.share)} of the customers, chosen by a hash of their id.")
    page.points(lines)
