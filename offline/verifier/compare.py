"""Two collections of lines, digested and compared; the first difference is told in words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from offline.verifier.outputs import Line


@dataclass(frozen=True)
class Comparison:
    """What was recomputed and what was found.

    Attributes
    ----------
    what
        scores, alerts, dead letters, customers, ...
    n_expected, n_found
        Lines recomputed, and found without permitted repetitions.
    n_repeated
        Found lines that only repeat another, where that is permitted.
    n_gone
        Recomputed lines that retention has removed.
    digest_expected, digest_found
        SHA-256 (hex) over the sorted lines.
    n_differences, difference
        How many names differ, and the first of them; None when all is equal.
    """

    what: str
    n_expected: int
    n_found: int
    n_repeated: int
    n_gone: int
    digest_expected: str
    digest_found: str
    n_differences: int
    difference: str | None

    @classmethod
    def of_findings(cls, what: str, n: int, wrong: Sequence[str]) -> Comparison:
        """``n`` things that were looked at one by one, and what was wrong with some of them."""
        right, found = digest_of([]), digest_of([(text, "") for text in wrong])
        return cls(what, n, n, 0, 0, right, found, len(wrong), min(wrong, default=None))

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return self.difference is None

    def to_json(self) -> dict[str, Any]:
        """JSON-able content."""
        return asdict(self) | {"is_equal": self.is_equal}


def compare(
    what: str, expected: Sequence[Line], found: Sequence[Line], *, allow_repeats: bool = False, is_cut: bool = False
) -> Comparison:
    """Compare lines as collections: each must be there as often as it was recomputed.

    Parameters
    ----------
    allow_repeats
        Whether a found line may repeat another, byte for byte.
    is_cut
        Whether retention has removed the first of the found ones, so that names may be missing.
    """
    distinct = list(dict.fromkeys(found)) if allow_repeats else found
    names = {name for name, _ in distinct}
    kept = [line for line in expected if line[0] in names] if is_cut else expected
    differences = list(_differences(kept, distinct))
    return Comparison(
        what, len(expected), len(distinct), len(found) - len(distinct), len(expected) - len(kept), digest_of(kept),
        digest_of(distinct), len(differences), differences[0] if differences else None,
    )  # fmt: skip


def digest_of(lines: Iterable[Line]) -> str:
    """SHA-256 (hex) over the sorted lines."""
    digest = hashlib.sha256()
    for name, text in sorted(lines):
        digest.update(f"{name}\t{text}\n".encode())
    return digest.hexdigest()


def _differences(expected: Iterable[Line], found: Iterable[Line]) -> Iterable[str]:
    """What differs, name by name in their order."""
    first, second = _by_name(expected), _by_name(found)
    for name in sorted(first.keys() | second.keys()):
        mine, theirs = sorted(first.get(name, [])), sorted(second.get(name, []))
        if mine != theirs:
            yield f"{name} {_told(mine, theirs)}"


def _by_name(lines: Iterable[Line]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, text in lines:
        found.setdefault(name, []).append(text)
    return found


def _told(mine: list[str], theirs: list[str]) -> str:
    if not theirs:
        return "is missing"
    if not mine:
        return "should not be there"
    if set(mine) == set(theirs):
        return f"is there {len(theirs)} times, recomputed {len(mine)} times"
    one = json.loads(next((text for text in mine if text not in theirs), mine[0]))
    other = json.loads(next((text for text in theirs if text not in mine), theirs[0]))
    fields = [f for f in sorted(one.keys() | other.keys()) if not _same(one.get(f), other.get(f))]
    return "; ".join(_field_told(name, one.get(name), other.get(name)) for name in fields[:3])


def _field_told(name: str, mine: Any, theirs: Any) -> str:
    """One field of a record; of a list or a table, its first place that differs."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        key = next(k for k in sorted(mine.keys() | theirs.keys()) if not _same(mine.get(k), theirs.get(k)))
        return f"{name}.{key} is {theirs.get(key)}, recomputed {mine.get(key)}"
    return f"{name} is {theirs}, recomputed {mine}"


def _same(mine: Any, theirs: Any) -> bool:
    return json.dumps(mine, sort_keys=True) == json.dumps(theirs, sort_keys=True)
