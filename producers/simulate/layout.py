"""The topics, kinds and fields that are emitted: those of the default workload, in its order.

A test compares them with `schemas/workloads/subscription_churn.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

PLANS: Final = ("basic", "plus", "pro")
COUNTRIES: Final = ("DE", "FR", "GB", "IT", "US")
CHANNELS: Final = ("organic", "ads", "partner")


@dataclass(frozen=True)
class Layout:
    """What one topic holds.

    Parameters
    ----------
    letter
        In event ids, tells the topics apart.
    kinds
        Kind names in order.
    fields
        Value field -> decimals to round to.
    categories
        Category field -> its values.
    """

    letter: str
    kinds: tuple[str, ...]
    fields: dict[str, int] = field(default_factory=dict)
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """All value fields."""
        return (*self.fields, *self.categories)


TOPICS: Final[dict[str, Layout]] = {
    "usage": Layout("u", ("login", "session", "export", "error"), {"minutes": 1, "actions": 0}),
    "billing": Layout(
        "b",
        ("subscribe", "invoice", "payment", "payment_failed", "plan_change", "cancel"),
        {"amount": 2, "price": 2},
        {"plan": PLANS},
    ),
    "support": Layout("t", ("ticket_opened", "ticket_resolved"), {"sentiment": 3, "severity": 0}),
    "survey": Layout("s", ("survey_answered",), {"csat": 1}),
    "profile": Layout("p", ("profile_changed",), {"seats": 0}, {"country": COUNTRIES, "channel": CHANNELS}),
}
