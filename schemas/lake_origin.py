"""Whose events a lake holds: the note that a lake made of files carries; a lake without one is fed by topics.

Offsets of topics and of files must not meet, and a lake of files counts as a whole or not at all.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from schemas.errors import LakeError

ORIGIN_FILE: Final = "origin.json"


@dataclass(frozen=True)
class LakeOrigin:
    """What a lake of files was made of.

    Parameters
    ----------
    topics
        The topics whose events came from files.
    sources
        Names of the ``[[source]]`` entries.
    digest
        Hash of all events, in order.
    n_partitions, n_events
        Partitions they were spread over, and how many they are.
    is_complete
        False while the lake is written: until then none of these topics' slices counts.
    """

    topics: tuple[str, ...]
    sources: tuple[str, ...]
    digest: str
    n_partitions: int
    n_events: int
    is_complete: bool

    def holds_the_same(self, other: LakeOrigin) -> bool:
        """Whether the same events lie at the same offsets of the same partitions."""
        return (self.digest, self.n_partitions) == (other.digest, other.n_partitions)

    def encode(self) -> bytes:
        """The note."""
        return json.dumps({"from": "files", **asdict(self)}, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> LakeOrigin:
        """A note read back; ValueError, KeyError or TypeError when it is none."""
        content: Any = json.loads(data)
        if content.pop("from") != "files":
            raise ValueError("an origin that is not files")
        texts = {name: tuple(map(str, content.pop(name))) for name in ("topics", "sources")}
        return cls(**texts, **content)


def load_origin(root: Path) -> LakeOrigin | None:
    """The note of a lake; None when it is fed by topics, or empty.

    Raises
    ------
    LakeError
        When the note cannot be read.
    """
    path = root / ORIGIN_FILE
    try:
        return LakeOrigin.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise LakeError(path, f"cannot be read: {cause!r}") from cause
