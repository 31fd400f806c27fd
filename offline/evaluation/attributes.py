"""What a customer was, as known at a moment, by fields of the events that need not be features: protected attributes.

Who may not be treated worse is declared when a model is evaluated. Nothing of it enters the workload or a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.errors import OfflineError
from offline.evaluation.scored import Scored
from offline.evaluation.slicing import Slicing, by_category, by_feature, by_quantile
from schemas.events import EventBatch
from schemas.workload import Field, Workload

Int64s = NDArray[np.int64]


def attributes_of(
    names: Sequence[str], workload: Workload, scored: Scored, history: Iterable[EventBatch]
) -> dict[str, Slicing]:
    """Groups of the rows by each attribute, a feature or an event field; numbers by quartile.

    Parameters
    ----------
    names
        A feature's name, else a field's, as ``topic.field`` where several topics have it.
    history
        Every event; it is not read when all attributes are features.

    Raises
    ------
    OfflineError
        When a name is neither, or not unique.
    """
    features = {column.name for column in scored.columns}
    fields = {name: find_field(workload, name) for name in names if name not in features}
    found = newest_values(scored, fields, history) if fields else {}
    return {name: by_feature(scored, name) if name in features else found[name] for name in names}


def find_field(workload: Workload, name: str) -> tuple[str, Field]:
    """(topic, field) of a name.

    Raises
    ------
    OfflineError
        When no field or more than one fits.
    """
    matches = [
        (topic.name, field)
        for topic in workload.topics
        for field in topic.fields
        if name in (field.name, f"{topic.name}.{field.name}")
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        choices = ", ".join(f"{topic}.{field.name}" for topic, field in matches)
        raise OfflineError(f"--protected {name}: which of {choices}?")
    known = sorted({field.name for topic in workload.topics for field in topic.fields if field.type != "time"})
    raise OfflineError(f"--protected {name}: neither a feature nor a field of an event; fields are {', '.join(known)}")


def newest_values(
    scored: Scored, fields: dict[str, tuple[str, Field]], history: Iterable[EventBatch]
) -> dict[str, Slicing]:
    """Groups by the newest value of each field that was known before the row's moment."""
    seen: dict[str, list[EventBatch]] = {topic: [] for topic, _ in fields.values()}
    for batch in history:
        if batch.topic in seen:
            seen[batch.topic].append(batch)
    return {
        name: _slicing(field, _newest(scored, field, [b for b in seen[topic] if field.name in b.values]))
        for name, (topic, field) in fields.items()
    }


def _newest(scored: Scored, field: Field, batches: list[EventBatch]) -> NDArray[np.float64]:
    """Value of each row, (n,); a category as its code, NaN when nothing was known."""
    if not batches:
        return np.full(len(scored), np.nan)
    customer = np.concatenate([batch.customer_id.astype(str) for batch in batches])
    event_ms = np.concatenate([batch.event_time_ms for batch in batches])
    known_ms = np.concatenate([batch.known_time_ms for batch in batches])
    value = np.concatenate([_codes(field, batch.values[field.name]) for batch in batches])
    names = np.unique(scored.customer_id.astype(str))
    place = np.minimum(np.searchsorted(names, customer), len(names) - 1)
    mine = (names[place] == customer) & ~np.isnan(value)
    return newest_known(place[mine], event_ms[mine], known_ms[mine], value[mine], scored.customer, scored.as_of_ms)


def newest_known(
    code: Int64s,
    event_ms: Int64s,
    known_ms: Int64s,
    value: NDArray[np.float64],
    asked_code: Int64s,
    asked_ms: Int64s,
) -> NDArray[np.float64]:
    """Of the values of a customer known before a moment, the one that happened last; NaN without any.

    Parameters
    ----------
    code, event_ms, known_ms, value
        Of each event, (n,).
    asked_code, asked_ms
        Customer and moment of each question, (m,).
    """
    if not len(code):
        return np.full(len(asked_code), np.nan)
    by_event = np.lexsort((known_ms, event_ms))
    rank = np.empty(len(code), np.int64)
    rank[by_event] = np.arange(len(code))
    order = np.lexsort((rank, known_ms, code))
    newest = np.maximum.accumulate(code[order] * len(code) + rank[order])  # so far, within each customer
    low = int(known_ms.min())
    span = int(max(known_ms.max(), asked_ms.max(initial=low))) - low + 2
    keys = code[order] * span + (known_ms[order] - low)
    at = np.searchsorted(keys, asked_code * span + np.clip(asked_ms - low, 0, span - 1), side="left") - 1
    found = newest[np.maximum(at, 0)]
    is_own = (at >= 0) & (found // len(code) == asked_code)
    return np.where(is_own, value[by_event[found % len(code)]], np.nan)


def _codes(field: Field, column: NDArray[Any]) -> NDArray[np.float64]:
    if field.type != "category":
        return np.asarray(column, dtype=np.float64)
    code = {category: float(i) for i, category in enumerate(field.categories)}
    unseen = float(len(field.categories))
    return np.array([np.nan if text is None else code.get(text, unseen) for text in column])


def _slicing(field: Field, values: NDArray[np.float64]) -> Slicing:
    return by_category(values, field.categories) if field.type == "category" else by_quantile(values, 4)
