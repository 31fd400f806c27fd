"""The columns of one table as the workload wants them, read by the rules of their source (`schemas.source.Cleaning`).

What a single cell may look like is in `producers.cells` and `producers.times`.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from producers.cells import NULL_TEXTS, as_mask, is_text, numbers_of, text_array, texts_of, wholes_of
from producers.tables import Table
from producers.times import NO_TIME_MS, times_of
from schemas.source import Source, factors_of

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]


class Columns:
    """Reads a table's columns, each as text at most once.

    Parameters
    ----------
    table
        Cells as the file has them.
    source
        Whose rules count.
    """

    def __init__(self, table: Table, source: Source) -> None:
        self.table = table
        self._source = source
        self._rules = source.cleaning
        self._missing = ("", *(self._rules.missing if self._rules.missing is not None else NULL_TEXTS))
        self._case, self._replace = dict(self._rules.normalise), dict(self._rules.replace)
        self._units = dict(self._rules.units)
        self._texts: dict[str, Any] = {}

    def texts(self, column: str) -> Any:
        """Arrow string array (n,): trimmed, case and replacements applied, null where there is nothing."""
        if column not in self._texts:
            self._texts[column] = self._replaced(column, text_array(self.table[column], self._missing))
        return self._texts[column]

    def objects(self, column: str) -> NDArray[Any]:
        """`texts` as NumPy, object (n,), None where there is nothing."""
        return texts_of(self.texts(column))

    def numbers(self, value: str) -> tuple[Numbers, Mask]:
        """Numbers (n,) of a column or product, NaN where there is nothing, and which are wrong."""
        factors = [self._factor(factor, len(factors_of(value)) > 1) for factor in factors_of(value)]
        if len(factors) == 1:
            return factors[0]
        product: Numbers = np.prod([numbers for numbers, _ in factors], axis=0)
        return product, np.any([wrong for _, wrong in factors], axis=0) | np.isinf(product)

    def wholes(self, value: str) -> tuple[Numbers, Mask]:
        """Whole numbers (n,) of a column or product."""
        return wholes_of(*self.numbers(value))

    def times(self, column: str) -> tuple[NDArray[np.int64], Mask]:
        """UTC milliseconds (n,), `NO_TIME_MS` where there is nothing, and which are wrong."""
        cells = self._cells(column)
        if self._source.timezone_column is None:
            return times_of(cells, self._source.time_formats, self._source.timezone)
        times, wrong = np.full(self.table.n_rows, NO_TIME_MS), np.zeros(self.table.n_rows, dtype=bool)
        for zone, rows in self._zones():
            times[rows], wrong[rows] = times_of(pc.take(cells, pa.array(rows)), self._source.time_formats, zone)
        return times, wrong

    def bad_zones(self) -> Mask:
        """Rows (n,) whose zone column names no time zone."""
        bad = np.zeros(self.table.n_rows, dtype=bool)
        if self._source.timezone_column is not None:
            names = self.texts(self._source.timezone_column)
            wrong = [name for name in pc.unique(names).to_pylist() if name is not None and not _is_zone(name)]
            bad |= as_mask(pc.is_in(names, pa.array(wrong, pa.string())))
        return bad

    def _zones(self) -> list[tuple[str, NDArray[np.int64]]]:
        """(zone, rows) of the rows that have one; the source's own where the cell is empty."""
        names = pc.fill_null(self.texts(str(self._source.timezone_column)), self._source.timezone)
        encoded = pc.dictionary_encode(names)
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        found = enumerate(encoded.dictionary.to_pylist())
        return [(name, np.flatnonzero(codes == code)) for code, name in found if _is_zone(name)]

    def _cells(self, column: str) -> Any:
        """The cells as they are when they have a type of their own, else as text."""
        cells = self.table[column]
        return self.texts(column) if is_text(cells.type) else cells

    def _factor(self, factor: str | float, is_product: bool) -> tuple[Numbers, Mask]:
        if isinstance(factor, float):
            return np.full(self.table.n_rows, factor), np.zeros(self.table.n_rows, dtype=bool)
        if is_product and factor in self._units:
            return self._unit(factor)
        return numbers_of(self._cells(factor), self._rules.decimal, self._rules.thousands)

    def _unit(self, column: str) -> tuple[Numbers, Mask]:
        names, factors = self.texts(column), self._units[column]
        at = pc.index_in(names, pa.array([name for name, _ in factors], pa.string()))
        known = pc.take(pa.array([factor for _, factor in factors], pa.float64()), at)
        wrong = as_mask(pc.and_(pc.is_valid(names), pc.is_null(known)))
        return pc.fill_null(known, np.nan).to_numpy(zero_copy_only=False), wrong

    def _replaced(self, column: str, texts: Any) -> Any:
        if column in self._case:
            texts = pc.utf8_lower(texts) if self._case[column] == "lower" else pc.utf8_upper(texts)
        if column in self._replace:
            pairs = self._replace[column]
            at = pc.index_in(texts, pa.array([raw for raw, _ in pairs], pa.string()))
            new = pc.take(pa.array([text or None for _, text in pairs], pa.string()), at)
            texts = pc.if_else(pc.is_valid(at), new, texts)
        return texts


def _is_zone(name: str) -> bool:
    """Whether it is a zone's name, or an offset like +02:00."""
    if len(name) == len("+02:00") and name[0] in "+-" and name[3] == ":":
        return (name[1:3] + name[4:]).isdigit() and int(name[1:3]) < 15 and int(name[4:]) < 60
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
