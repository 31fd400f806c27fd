"""Cells read as text, numbers and whole numbers.

Input is an Arrow array of any type a file may have; output is NumPy, with null told apart from wrong. Times are in
`producers.times`; which rules a source declares, in `producers.columns`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NULL_TEXTS: Final = ("", "NULL", "null", "\\N", "NaN", "nan", "None")
"""Texts that mean "nothing here"; NA is not one of them, because it is Namibia's code."""

_BLANKS: Final = " \u00a0\u2009\u202f"  # a blank between groups may be any of them
_WHOLE_LIMIT: Final = float(1 << 53)


def text_array(cells: Any, missing: Collection[str] = NULL_TEXTS) -> Any:
    """Cells as an Arrow string array, null where there is nothing.

    Parameters
    ----------
    cells
        Arrow array (n,). A whole float is written without its ``.0``, so a customer column with
        gaps (17850.0 in Parquet) names the same customers as one without.
    missing
        Texts that mean "nothing here".

    Returns
    -------
    Any
        Arrow string array (n,), trimmed.

    Examples
    --------
    >>> text_array(pa.array([17850.0, None])).to_pylist()
    ['17850', None]
    """
    if pa.types.is_floating(cells.type):
        cells = _whole_if_whole(cells)
    if not is_text(cells.type):
        return pc.cast(cells, pa.string())
    trimmed = pc.utf8_trim_whitespace(pc.cast(cells, pa.string()))
    return pc.if_else(pc.is_in(trimmed, pa.array(missing, pa.string())), pa.scalar(None, pa.string()), trimmed)


def texts_of(texts: Any) -> NDArray[Any]:
    """An Arrow string array as NumPy, object (n,), None where there is nothing."""
    objects: NDArray[Any] = texts.to_numpy(zero_copy_only=False)
    return objects.astype(object, copy=False)


def numbers_of(cells: Any, decimal: str = ".", thousands: str = "") -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cells as numbers.

    Parameters
    ----------
    cells
        Arrow array (n,) of numbers, booleans, or text, null where there is nothing.
    decimal, thousands
        How numbers in text are written; groups have three digits, so that 1.5 is never read as 15.

    Returns
    -------
    tuple[NDArray[np.float64], NDArray[np.bool_]]
        Numbers (n,), NaN where there is nothing, and which cells are neither a number nor nothing (infinite is wrong).

    Examples
    --------
    >>> numbers_of(pa.array(["1.234,5", None, "1.5"]), ",", ".")
    (array([1234.5,    nan,    nan]), array([False, False,  True]))
    """
    if not _is_numeric(cells.type):
        texts = pc.cast(cells, pa.string())
        is_number = pc.fill_null(pc.match_substring_regex(texts, _number_pattern(decimal, thousands)), False)
        wrong = as_mask(pc.and_(pc.is_valid(texts), pc.invert(is_number)))
        plain = _plain(pc.if_else(is_number, texts, pa.scalar(None, pa.string())), decimal, thousands)
        cells = pc.utf8_ltrim(plain, characters="+")
    else:
        wrong = np.zeros(len(cells), dtype=bool)
    numbers = pc.fill_null(pc.cast(cells, pa.float64(), safe=False), np.nan).to_numpy(zero_copy_only=False)
    infinite = np.isinf(numbers)
    return np.where(infinite, np.nan, numbers), wrong | infinite


def _number_pattern(decimal: str, thousands: str) -> str:
    """The expression of a number; with groups, or without any."""
    point, whole = re.escape(decimal), r"\d+"
    if thousands:
        whole = rf"(\d+|\d{{1,3}}({_any_of(thousands)}\d{{3}})+)"
    return rf"^[+-]?({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d{{1,3}})?$"


def _plain(texts: Any, decimal: str, thousands: str) -> Any:
    if thousands:
        texts = pc.replace_substring_regex(texts, _any_of(thousands), "")
    return texts if decimal == "." else pc.replace_substring(texts, decimal, ".")


def _any_of(thousands: str) -> str:
    return f"[{_BLANKS}]" if thousands == " " else re.escape(thousands)


def wholes_of(numbers: NDArray[np.float64], wrong: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What `numbers_of` gave as whole numbers: a fraction or anything beyond 2^53 is wrong too."""
    fraction = np.isfinite(numbers) & ((numbers != np.trunc(numbers)) | (np.abs(numbers) > _WHOLE_LIMIT))
    return np.where(fraction, np.nan, numbers), wrong | fraction


def as_mask(array: Any) -> NDArray[np.bool_]:
    """An Arrow boolean array as NumPy, null counting as False."""
    mask: NDArray[np.bool_] = pc.fill_null(array, False).to_numpy(zero_copy_only=False).astype(bool)
    return mask


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is text; a column of nulls alone counts as text."""
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(test(kind) for test in tests)


def _is_numeric(kind: Any) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(test(kind) for test in tests)


def _whole_if_whole(cells: Any) -> Any:
    """Floats as int64 when all of them are whole; NaN becomes null."""
    numbers = pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False)
    missing = np.isnan(numbers)
    rest = numbers[~missing]
    if np.any(rest != np.trunc(rest)) or np.any(np.abs(rest) > _WHOLE_LIMIT):
        return pa.array(numbers, mask=missing)
    return pa.array(np.where(missing, 0, numbers).astype(np.int64), mask=missing)
