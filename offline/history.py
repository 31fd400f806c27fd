"""The lake read back as the stream would have taken it: ascending in known time, refused and repeated events left out.

How it is read stands in `stretches`: some days at once, so that memory holds a stretch of them, not the history.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from offline.customer_shares import EVERYONE, Share
from offline.passing import Say, event_bar, silent, watched
from offline.stretches import Offsets, Refused, StretchReader
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.lake_table import batch_of
from schemas.workload import Workload
from stream_app.columns import Columns
from stream_app.recording import Stretch

MAX_REMEMBERED = 4_000_000  # events; about 150 bytes each


def read_history(
    lake: Lake, workload: Workload, until_known_ms: int | None = None, refused: Refused | None = None
) -> Iterator[EventBatch]:
    """Events that the stream would accept: one batch per topic for each day of known time, days ascending.

    Within a batch events ascend in known time, ties by partition and offset; topics come in the workload's order.

    Parameters
    ----------
    until_known_ms
        Leave out what became known at or after this moment; None takes everything.
    refused
        Counts what was left out, as ``"refused"`` and ``"duplicate"`` per topic (``"usage:refused"``).

    Raises
    ------
    EmptyLakeError
        When nothing of the workload is in the lake.
    """
    for batch, _ in read_known(lake, workload, until_known_ms, refused):
        yield batch


def read_known(
    lake: Lake,
    workload: Workload,
    until_known_ms: int | None = None,
    refused: Refused | None = None,
    upto: Offsets | None = None,
) -> Iterator[tuple[EventBatch, Columns]]:
    """What `read_history` yields, each batch with its columns; `upto` leaves out later offsets than these."""
    reader = StretchReader(lake, workload, until_known_ms, refused, with_tables=True, upto=upto)
    for stretch in reader.stretches():
        columns, n = stretch.columns, len(workload.topics)
        group = columns.known_time[stretch.order] // DAY_MS * n + columns.source[stretch.order]
        by_group = np.argsort(group, kind="stable")
        cuts = np.flatnonzero(np.diff(group[by_group])) + 1
        for part in np.split(stretch.order[by_group], cuts):
            source = int(columns.source[part[0]])
            batch = batch_of(workload.topics[source], reader.table(source, part))
            yield batch, columns.take(part).with_own_keys()


def read_stretches(
    lake: Lake,
    workload: Workload,
    until_known_ms: int | None = None,
    refused: Refused | None = None,
    share: Share = EVERYONE,
    upto: Offsets | None = None,
) -> Iterator[Stretch]:
    """The same events as columns alone, some days of all topics at once: the fast way into the heart."""
    return StretchReader(lake, workload, until_known_ms, refused, share, upto=upto).stretches()


def n_events_in(lake: Lake, workload: Workload) -> int:
    """Events of the workload's topics that lie in the lake, by its commits."""
    return sum(one.n_rows for topic in workload.topics for one in lake.slices(topic.name))


class History:
    """The history of a lake, read once and gone through twice: for labels, then for features.

    Calling it reads the lake. `again` yields the same stretches: from memory when the last reading fitted there, else
    by reading again.

    Parameters
    ----------
    upto
        The lake as it was when these were the last offsets in it; None takes all of it.
    share
        Of the customers.
    say
        Told how far a reading is.
    """

    def __init__(
        self,
        lake: Lake,
        workload: Workload,
        until_known_ms: int | None = None,
        upto: Offsets | None = None,
        share: Share = EVERYONE,
        say: Say = silent,
    ) -> None:
        self._lake, self._workload, self._until_ms = lake, workload, until_known_ms
        self._upto, self._share, self._say = upto, share, say
        self._remembered: list[Stretch] | None = None

    def __call__(self) -> Iterator[Stretch]:
        """Read the lake; what fits is remembered."""
        remembered, n_events = list[Stretch](), 0
        for stretch in self._read("reading the lake"):
            n_events += len(stretch.columns)
            if n_events <= MAX_REMEMBERED:
                remembered.append(stretch)
            yield stretch
        self._remembered = remembered if n_events <= MAX_REMEMBERED else None

    def again(self) -> Iterator[Stretch]:
        """The stretches once more."""
        if self._remembered is not None:
            return watched(self._remembered, "replaying", sum(map(len, self._remembered)), self._say)
        return self._read("replaying")

    def _read(self, what: str) -> Iterator[Stretch]:
        read = read_stretches(self._lake, self._workload, self._until_ms, share=self._share, upto=self._upto)
        return watched(read, what, n_events_in(self._lake, self._workload), self._say)


class BatchHistory:
    """The history of a lake as batches of events, for whoever looks at their texts and values; `History` is faster.

    Calling it reads the lake. `columns` yields the same events as the kernels take them: from memory when the last
    reading fitted there, else by reading again.
    """

    def __init__(
        self,
        lake: Lake,
        workload: Workload,
        until_known_ms: int | None = None,
        upto: Offsets | None = None,
        say: Say = silent,
    ) -> None:
        self._lake, self._workload, self._until_ms, self._upto = lake, workload, until_known_ms, upto
        self._say = say
        self._remembered: list[Columns] | None = None

    def __call__(self) -> Iterator[EventBatch]:
        """Read the lake; what fits is remembered."""
        remembered, n_events = list[Columns](), 0
        with event_bar("reading the lake", n_events_in(self._lake, self._workload), self._say) as report:
            for batch, columns in read_known(self._lake, self._workload, self._until_ms, upto=self._upto):
                n_events += len(batch)
                if n_events <= MAX_REMEMBERED:
                    remembered.append(columns)
                yield batch
                report(len(batch))
        self._remembered = remembered if n_events <= MAX_REMEMBERED else None

    def columns(self) -> Iterator[Columns]:
        """The events as columns, in the same order."""
        if self._remembered is not None:
            yield from self._remembered
        else:
            read = read_known(self._lake, self._workload, self._until_ms, upto=self._upto)
            yield from (columns for _, columns in read)
