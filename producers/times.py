"""Cells of a table read as UTC milliseconds: ISO 8601, a strptime format, epoch numbers, or the file's own timestamps.

A time without zone is taken in the source's time zone; an hour that a clock change repeats is its first
occurrence, one that it skips moves to the change.
"""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from producers.cells import as_mask, is_text, numbers_of, text_array
from schemas.lake import MAX_TIME_MS

NO_TIME_MS: Final = np.int64(-(1 << 63))
"""In the result: there is nothing in the cell, or nothing that can be read."""

EPOCH_FORMATS: Final = {"epoch_s": 1_000.0, "epoch_ms": 1.0}
"""Time formats for numbers since 1970: name -> milliseconds of one."""

_ZONE: Final = r"([zZ]|[+-]\d{2}:?\d{2}|[+-]\d{2})$"
_CLOCK: Final = r"\d[T ]\d{2}"
_MIN_TIME_MS: Final = -62_135_596_800_000  # year 1


def times_of(cells: Any, time_formats: tuple[str, ...], timezone: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Cells as times.

    Parameters
    ----------
    cells
        Arrow array (n,): text with null where there is nothing, numbers with a format, dates or timestamps.
    time_formats
        Formats of strptime, the first that fits counts; or ``epoch_s`` or ``epoch_ms`` alone. None of them reads text
        as ISO 8601, numbers as epoch milliseconds.
    timezone
        Zone of times that name none.

    Returns
    -------
    tuple[NDArray[np.int64], NDArray[np.bool_]]
        UTC milliseconds (n,), `NO_TIME_MS` where there is no time, and which cells are neither a time nor nothing; a
        year outside 1 to 9998 is no time.

    Examples
    --------
    >>> times_of(pa.array(["1970-01-02", "soon"]), (), "UTC")[1]
    array([False,  True])
    """
    times, wrong = _any_times(cells, time_formats, timezone)
    wrong |= (times != NO_TIME_MS) & ((times < _MIN_TIME_MS) | (times >= MAX_TIME_MS))
    return np.where(wrong, NO_TIME_MS, times), wrong


def _any_times(cells: Any, time_formats: tuple[str, ...], timezone: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    if pa.types.is_temporal(cells.type):
        return _timestamps(cells, timezone)
    if time_formats and time_formats[0] in EPOCH_FORMATS:
        return _epochs(cells, EPOCH_FORMATS[time_formats[0]])
    if not time_formats and not is_text(cells.type):
        return _epochs(cells, EPOCH_FORMATS["epoch_ms"])
    return _texts(pc.cast(cells, pa.string()) if is_text(cells.type) else text_array(cells), time_formats, timezone)


def _timestamps(cells: Any, timezone: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    aware = pa.types.is_timestamp(cells.type) and cells.type.tz is not None
    ms = pc.cast(cells, pa.timestamp("ms", cells.type.tz if aware else None), safe=False)
    missing = as_mask(pc.is_null(ms))
    utc = pc.fill_null(pc.cast(ms, pa.int64()), 0).to_numpy(zero_copy_only=False)
    utc = utc if aware else _to_utc(utc, timezone)
    return np.where(missing, NO_TIME_MS, utc), np.zeros(len(cells), dtype=bool)


def _epochs(cells: Any, ms_each: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    numbers, wrong = numbers_of(cells)
    wrong |= np.abs(numbers * ms_each) > 1e15
    missing = np.isnan(numbers) | wrong
    return np.where(missing, NO_TIME_MS, np.rint(np.where(missing, 0, numbers) * ms_each).astype(np.int64)), wrong


def _texts(texts: Any, time_formats: tuple[str, ...], timezone: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Each distinct text is read once: logs repeat their dates."""
    encoded = pc.dictionary_encode(texts)
    distinct = _distinct_ms(encoded.dictionary, None if not time_formats else time_formats[0], timezone)
    for other in time_formats[1:]:
        left = np.flatnonzero(distinct == NO_TIME_MS)
        distinct[left] = _distinct_ms(pc.take(encoded.dictionary, pa.array(left)), other, timezone)
    missing = as_mask(pc.is_null(texts))
    codes = pc.fill_null(pc.cast(encoded.indices, pa.int64()), 0).to_numpy(zero_copy_only=False)
    times = np.full(len(texts), NO_TIME_MS)
    if len(distinct):
        times = np.where(missing, NO_TIME_MS, distinct[codes])
    return times, (times == NO_TIME_MS) & ~missing


def _distinct_ms(texts: Any, time_format: str | None, timezone: str) -> NDArray[np.int64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pandas on formats without a year
        stamps = pd.to_datetime(
            pd.Series(texts.to_numpy(zero_copy_only=False), dtype=object),
            format=time_format or "ISO8601",
            errors="coerce",
            utc=True,
        )
    ms: NDArray[np.int64] = stamps.dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    has_zone = np.full(len(ms), "%z" in (time_format or ""))
    if time_format is None:
        has_zone = as_mask(pc.and_(pc.match_substring_regex(texts, _CLOCK), pc.match_substring_regex(texts, _ZONE)))
    local = ~has_zone & (ms != NO_TIME_MS)
    ms[local] = _to_utc(ms[local], timezone)
    return ms


def _to_utc(local_ms: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Wall-clock milliseconds of a zone as UTC milliseconds."""
    if timezone == "UTC":
        return local_ms
    wall = pa.array(local_ms).cast(pa.timestamp("ms"))
    placed = pc.assume_timezone(wall, timezone, ambiguous="earliest", nonexistent="latest")
    utc: NDArray[np.int64] = pc.cast(placed, pa.int64()).to_numpy(zero_copy_only=False)
    return utc
