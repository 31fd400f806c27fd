"""The simulated day: what calendar rhythms it has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from schemas.durations import DAY_MS

_EPOCH: Final = date(1970, 1, 1)
_TIGHT_DAYS_OF_MONTH: Final = range(21, 28)
_JOINS_BY_WEEKDAY: Final = (1.25, 1.2, 1.15, 1.1, 1.0, 0.65, 0.65)


@dataclass(frozen=True)
class Day:
    """A day of the simulation.

    Parameters
    ----------
    offset
        Days after the first.
    day
        Days since 1970-01-01.
    """

    offset: int
    day: int

    @property
    def start_ms(self) -> int:
        return self.day * DAY_MS

    @property
    def weekday(self) -> int:
        """0 is Monday."""
        return (self.day + 3) % 7

    @property
    def day_of_month(self) -> int:
        return (_EPOCH + timedelta(days=self.day)).day

    @property
    def money_is_tight(self) -> bool:
        """The week before pay-day: charges are declined more often."""
        return self.day_of_month in _TIGHT_DAYS_OF_MONTH

    @property
    def join_factor(self) -> float:
        """New contracts against the mean day."""
        return _JOINS_BY_WEEKDAY[self.weekday]

    def after(self, days: int) -> Day:
        """The day so many days later."""
        return Day(self.offset + days, self.day + days)
