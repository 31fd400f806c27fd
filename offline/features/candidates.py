"""Every sensible ``[[feature]]`` entry that the kinds and fields of a workload allow and that it does not have yet.

Only kinds with events, and fields with values, are used; kinds that end a customer are not. A candidate is one entry,
its windows are chosen later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, get_args

import numpy as np

from schemas.events import EventBatch
from schemas.workload import WINDOWED_TYPES, WINDOWS_D, CalendarPart, EventTopic, Feature, FeatureType, Workload
from schemas.workload_features import NUMBERS

PAIRED_WINDOWS: Final = ((7, 30), (14, 60), (30, 90))
MAX_NAME: Final = 56
MIN_EVENTS: Final = 50
CLOSES: Final = (0.5, 1.0)
"""Events of a closing kind per event of the opening kind."""


@dataclass
class Occurrences:
    """How many events each kind has, and how many values each of its fields; feed every batch to `update`."""

    workload: Workload
    n: Counter[str] = field(default_factory=Counter)
    n_values: Counter[tuple[str, str]] = field(default_factory=Counter)

    def update(self, batch: EventBatch) -> None:
        """Take a batch."""
        topic = self.workload.topic(batch.topic)
        self._add(self.n, topic, batch.kind, "")
        for name, values in batch.values.items():
            known = values != None if values.dtype == object else np.isfinite(values)  # noqa: E711
            self._add(self.n_values, topic, batch.kind[np.asarray(known, dtype=bool)], name)

    def has(self, kind: str, name: str = "") -> bool:
        """Whether there are enough events of the kind (with a value of the field) to learn from."""
        return (self.n_values[kind, name] if name else self.n[kind]) >= MIN_EVENTS

    def _add(self, counter: Counter, topic: EventTopic, kinds: np.ndarray, name: str) -> None:  # type: ignore[type-arg]
        for i, n in enumerate(np.bincount(kinds, minlength=len(topic.kinds)).tolist()):
            counter[(topic.kinds[i].name, name) if name else topic.kinds[i].name] += n


def candidates(workload: Workload, occurrences: Occurrences) -> tuple[Feature, ...]:
    """The entries, in the order of topics and kinds; none whose column would be one that is there already."""
    taken = {feature.name for feature in workload.features}
    columns, found = set(workload.columns()), []
    for draft in _drafts(workload, occurrences):
        feature = _without_known_windows(draft, workload)
        if feature is None:
            continue
        feature = replace(feature, name=_free_name(feature, taken, columns))
        taken.add(feature.name)
        columns.update(feature.columns())
        found.append(feature)
    return tuple(found)


def _drafts(workload: Workload, there: Occurrences) -> Iterator[Feature]:
    for topic in workload.topics:
        kinds = [k.name for k in topic.kinds if k.name not in workload.live.end and there.has(k.name)]
        for kind in kinds:
            yield from _of_events(kind, (kind,))
        if len(kinds) > 1:
            yield from _of_events(f"any_{topic.name}", tuple(kinds))
        for value in topic.fields:
            carriers = [kind for kind in kinds if there.has(kind, value.name)]
            if value.type in NUMBERS:
                for kind in carriers:
                    yield from _of_values(kind, value.name)
            if carriers:
                kind_of: FeatureType = "until" if value.type == "time" else "last"
                name = f"days_to_{value.name}" if value.type == "time" else f"last_{value.name}"
                yield Feature(name, kind_of, of=tuple(carriers), field=value.name)
        yield from _of_pairs(kinds, there)
    yield Feature("tenure", "tenure")
    for part in get_args(CalendarPart):
        yield Feature(part, "calendar", part=part)


def _of_events(name: str, of: tuple[str, ...]) -> Iterator[Feature]:
    yield Feature(f"{name}_count", "count", of=of, windows=WINDOWS_D)
    yield Feature(f"{name}_days", "distinct_days", of=of, windows=WINDOWS_D[1:])
    yield Feature(f"days_since_{name}", "recency", of=of)
    for short, long in PAIRED_WINDOWS:
        yield Feature(f"{name}_ratio_{short}_{long}", "ratio", of=of, windows=(short, long))
        yield Feature(f"{name}_trend_{short}_{long}", "trend", of=of, windows=(short, long))


def _of_values(kind: str, value: str) -> Iterator[Feature]:
    for how in ("sum", "mean", "max"):
        yield Feature(f"{kind}_{value}_{how}", how, of=(kind,), field=value, windows=WINDOWS_D)
    for short, long in PAIRED_WINDOWS:
        yield Feature(f"{kind}_{value}_ratio_{short}_{long}", "ratio", of=(kind,), field=value, windows=(short, long))
        yield Feature(f"{kind}_{value}_trend_{short}_{long}", "trend", of=(kind,), field=value, windows=(short, long))


def _of_pairs(kinds: list[str], there: Occurrences) -> Iterator[Feature]:
    """Delays between two kinds of a topic, and items that one opens and the other closes."""
    for one in kinds:
        for other in kinds:
            if one == other:
                continue
            yield Feature(f"{one}_to_{other}", "delay", from_=(one,), to=(other,))
            if CLOSES[0] <= there.n[other] / there.n[one] <= CLOSES[1]:
                yield Feature(f"open_{one}_{other}", "open", of=(one,), closed_by=(other,))


def _without_known_windows(draft: Feature, workload: Workload) -> Feature | None:
    """The entry without what the workload has under any name; None when nothing is left."""
    same = [feature for feature in workload.features if _meaning(feature) == _meaning(draft)]
    if draft.type not in WINDOWED_TYPES:
        return None if any(feature.windows == draft.windows for feature in same) else draft
    left = tuple(days for days in draft.windows if not any(days in feature.windows for feature in same))
    return replace(draft, windows=left) if left else None


def _meaning(feature: Feature) -> tuple[object, ...]:
    kinds = (feature.of, feature.closed_by, feature.from_, feature.to)
    return (feature.type, feature.field, feature.part, *(frozenset(names) for names in kinds))


def _free_name(feature: Feature, taken: set[str], columns: set[str]) -> str:
    """The entry's name, with a number when it or one of its columns is taken."""
    base = feature.name[:MAX_NAME]
    for name in (base, *(f"{base}_{i}" for i in range(2, 1000))):
        if name not in taken and not columns & set(replace(feature, name=name).columns()):
            return name
    return base
