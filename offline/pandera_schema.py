"""What the frames of a topic must look like, as a pandera schema that follows from the workload.

Types, what may be missing, kinds, categories, times, lateness, and ranges where a field's unit states one (``1..5``).
The only module that imports pandera; it loads slowly and costs milliseconds a call, so frames of many rows go in.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from schemas.reasons import MAX_AHEAD_MS, MAX_SCALED, NEWEST_MS, OLDEST_MS
from schemas.workload import EventTopic, Field, Workload

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

UNSEEN: Final = "category not declared"
LATENESS: Final = "lateness_ms"
_UNIT_RANGE: Final = re.compile(r"(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)", re.ASCII)


def unit_range(field: Field) -> tuple[float, float] | None:
    """The range that a field's unit states, None when it states none.

    Examples
    --------
    >>> unit_range(Field("csat", "number", "1..5", 10, (), ""))
    (1.0, 5.0)
    """
    match = _UNIT_RANGE.fullmatch(field.unit)
    return None if match is None else (float(match[1]), float(match[2]))


def frame_schema(workload: Workload, topic: EventTopic) -> Any:
    """The pandera schema of `frame_of`."""
    import pandera.pandas as pandera

    def within(low: float, high: float, says: str) -> Any:
        return pandera.Check.in_range(low, high, error=says)

    def column(field: Field) -> Any:
        return pandera.Column(_DTYPES[field.type], _checks(pandera, within, field), nullable=True)

    time = within(OLDEST_MS, NEWEST_MS, "time outside 1990 to 2100")
    kinds = pandera.Check.isin([kind.name for kind in topic.kinds], error="kind not declared")
    lateness = [
        pandera.Check.ge(-MAX_AHEAD_MS, error="happened more than 10 minutes after it was known"),
        pandera.Check.le(workload.lateness_ms, error="known later than the workload allows"),
    ]
    return pandera.DataFrameSchema(
        {
            "event_id": pandera.Column(str, pandera.Check.str_length(min_value=1, error="empty")),
            "customer_id": pandera.Column(str, pandera.Check.str_length(min_value=1, error="empty")),
            "kind": pandera.Column(str, kinds),
            "event_time_ms": pandera.Column("int64", time),
            "known_time_ms": pandera.Column("int64", time),
            LATENESS: pandera.Column("int64", lateness),
            **{field.name: column(field) for field in topic.fields},
        }
    )


def frame_of(table: pa.Table) -> pd.DataFrame:
    """A table of `schemas.lake_table.lake_schema` as the frame that the schema describes."""
    import pandas as pd
    import pyarrow as pa

    table = table.drop_columns(["partition", "offset"])
    table = table.set_column(table.schema.get_field_index("kind"), "kind", table["kind"].cast(pa.string()))
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    times = {name: frame[name].astype("int64") for name in ("event_time_ms", "known_time_ms")}
    return frame.assign(**times, **{LATENESS: times["known_time_ms"] - times["event_time_ms"]})


def failures(schema: Any, frame: pd.DataFrame) -> Counter[tuple[str, str]]:
    """(column, what is wrong) -> rows."""
    import pandera.pandas as pandera

    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as found:
        cases = found.failure_cases
        return Counter(zip(cases["column"].fillna("").astype(str), cases["check"].astype(str), strict=True))
    return Counter()


_DTYPES: Final[dict[str, Any]] = {"number": "float64", "integer": "Int64", "time": "Int64", "category": str}


def _checks(pandera: Any, within: Any, field: Field) -> list[Any]:
    if field.type == "category":
        return [pandera.Check.isin(list(field.categories), error=UNSEEN)]
    if field.type == "time":
        return [within(OLDEST_MS, NEWEST_MS, "time outside 1990 to 2100")]
    largest = MAX_SCALED / field.scale
    checks = [within(-largest, largest, "too large to be kept")]
    stated = unit_range(field)
    return checks + ([within(*stated, f"outside {field.unit}")] if stated else [])
