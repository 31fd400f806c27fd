"""``[[feature]]`` entries as text of a workload file, and the workload that has them: the only way to a new feature.

Rows of such a workload come from the same heart as all others, so whatever is tried here can go to the stream by
pasting the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from schemas.workload import Feature, Workload
from schemas.workload_parse import parse_workload


def entry_text(feature: Feature) -> str:
    """The entry as TOML.

    Examples
    --------
    >>> print(entry_text(Feature("logins", "count", of=("login",), windows=(7, 30))))
    [[feature]]
    name = "logins"
    type = "count"
    of = ["login"]
    windows = ["7d", "30d"]
    """
    lines = ["[[feature]]", f'name = "{feature.name}"', f'type = "{feature.type}"']
    lists = {
        "of": feature.of,
        "closed_by": feature.closed_by,
        "from": feature.from_,
        "to": feature.to,
        "windows": tuple(f"{days}d" for days in feature.windows),
    }
    lines += [f"{key} = [{_quoted(values)}]" for key, values in lists.items() if values]
    texts = {"field": feature.field, "part": feature.part}
    lines += [f'{key} = "{value}"' for key, value in texts.items() if value]
    return "\n".join(lines)


def with_features(workload: Workload, features: Iterable[Feature]) -> Workload:
    """The workload with further features after its own.

    Raises
    ------
    WorkloadError
        When an entry is refused, or gives a column that is there.
    """
    entries = [entry_text(feature) for feature in features]
    return parse_workload(text_with(workload.text, entries), workload.path) if entries else workload


def text_with(text: str, entries: Sequence[str]) -> str:
    """The text of a workload file with entries at its end."""
    return "\n\n".join([text.rstrip(), *entries]) + "\n"


def _quoted(values: tuple[str, ...]) -> str:
    return ", ".join(f'"{value}"' for value in values)
