"""What a model card says of the purpose, from the workload alone: what is predicted, for whom, how success shows.

Figures of a version are in `offline.card`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.durations import format_duration
from schemas.workload import Workload

_SCORE = (
    "The score is a calibrated probability. It belongs to a moment and to what was known then: the daily tick, an "
    "event, or an urgent event; each kind of row has its own calibration and threshold."
)
_WHY = (
    "So that whoever looks after customers hears of those who are about to leave while there is time to act. Scores "
    "are in the topics `scores` and `latest-scores`, alerts with their reasons in `alerts`:"
)
_BEFORE = (
    "* Before release: ROC-AUC, log loss and Brier score on days after the training and its embargo, beside the "
    "base rate, days of silence and a logistic regression, with 95 % intervals by customer."
)
_NOT_ALONE = (
    "* Nobody who decides about a person by the score alone: prices, contracts or access. It says who may leave, "
    "not why, and not whom a call would keep."
)


def purpose_lines(workload: Workload) -> list[str]:
    """Sections from what is predicted to how success is measured, as Markdown."""
    sections = {
        "What is predicted": [f"{_label(workload)} {_watched(workload)}", "", _SCORE],
        "Why, and for whom": [_WHY, "", *_alerts(workload)],
        "How success is measured": [_BEFORE, *_in_use(workload)],
    }
    return [line for title, lines in sections.items() for line in (f"## {title}", "", *lines, "")][:-1]


def data_lines(workload: Workload, last_offsets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where the data lie: topics, lake and offsets, as a Markdown table."""
    lines = ["| topic | what | lake, below DRIFTLINE_HOME | read up to offset |", "|---|---|---|---|"]
    for topic in workload.topics:
        ends = last_offsets.get(topic.name, {})
        told = ", ".join(f"{partition}: {end}" for partition, end in sorted(ends.items(), key=lambda e: int(e[0])))
        lines.append(f"| {topic.name} | {topic.doc} | lake/{topic.name} | {told or 'nothing'} |")
    return lines


def misuse_lines(workload: Workload, is_skilled: bool) -> list[str]:
    """Who should not use it, as a Markdown list."""
    tenure = workload.eligible.min_tenure_ms
    young = f" or have been for less than {format_duration(tenure)}" if tenure else ""
    lines = [] if is_skilled else ["* Nobody, for now: no skill was shown on held-out days."]
    return [
        *lines,
        f"* Nobody, for customers who are not live{young}: the model has seen none of them.",
        "* Nobody, for other products, markets or times than the data above: what the model knows holds there only.",
        _NOT_ALONE,
    ]


def _in_use(workload: Workload) -> list[str]:
    watch, horizon = workload.watch, format_duration(workload.label.horizon_ms)
    again = f"* In use: the same on labels once they are known, {horizon} after the score; a fall of AUC by more than"
    drift = f"* Features and scores are watched: PSI above {watch.psi_threshold:g} or Jensen-Shannon above"
    return [
        f"{again} {watch.performance_margin:g} below what was expected opens a retrain signal.",
        f"{drift} {watch.js_threshold:g} counts as drift.",
    ]


def _label(workload: Workload) -> str:
    label, within = workload.label, format_duration(workload.label.horizon_ms)
    kinds = ", ".join(f"`{kind}` ({_doc_of(workload, kind)})" for kind in label.of)
    if label.type == "cancel":
        return f"Whether a customer's next {within} hold an event of {kinds}."
    if label.type == "lapse":
        grace = format_duration(label.grace_ms) if label.grace_ms else "no time"
        passes = f"`{label.field}` of {kinds} passes and {grace} of grace with it"
        return f"Whether a customer lapses within {within}: {passes}."
    return f"Whether a customer stays silent for {within}: no event of {kinds}."


def _watched(workload: Workload) -> str:
    live, tenure = workload.live, workload.eligible.min_tenure_ms
    begin = f"from {', '.join(f'`{kind}`' for kind in live.start)}" if live.start else "from the first event"
    ends = [f"`{kind}`" for kind in live.end]
    ends += [f"{format_duration(live.idle_after_ms)} of silence"] if live.idle_after_ms else []
    until = f" until {' or '.join(ends)}" if ends else ""
    since = f", once that was {format_duration(tenure)} ago" if tenure else ""
    return f"Customers are watched {begin}{until}{since}."


def _alerts(workload: Workload) -> list[str]:
    lines = ["* no alert is declared"] if not workload.alerts else []
    for alert in workload.alerts:
        at = "the threshold" if alert.open_above is None else f"{alert.open_above:g}"
        rest = f"rests for {format_duration(alert.cool_down_ms)} after that"
        lines.append(f"* `{alert.name}` opens at {at}, closes below {alert.close_below:g} of it, and {rest}")
    return lines


def _doc_of(workload: Workload, kind: str) -> str:
    return next(k.doc for k in workload.topic_of_kind[kind].kinds if k.name == kind)
