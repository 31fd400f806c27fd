"""What a leak suspect says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Suspect:
    """Something that may know the end.

    Parameters
    ----------
    what
        The feature or kind of event.
    rule
        Which rule it met, a short name.
    seen
        What was seen, with numbers.
    advice
        What to do.
    """

    what: str
    rule: str
    seen: str
    advice: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
