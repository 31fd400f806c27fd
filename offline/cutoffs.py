"""Which days are cut-offs of training, validation and test: blocks in time, an embargo of the label horizon between.

::

    first event   warm-up   fit ......... embargo   later   embargo   test   horizon   end of known data

*fit* trains while rounds, calibration and threshold are chosen on *later*; then the model is trained again on fit, the
days in between and later, and judged once on *test*. Cut-offs lie a week apart with a weekday that rotates, so that no
weekday is the only one a model has seen.

A history too short for two embargoes keeps the one that counts, before the test; *fit* and *later* are then the same
days, told apart by customer::

    first event   warm-up   fit and later   embargo   test   horizon   end of known data
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from offline.errors import HistoryTooShortError, OfflineError

WARM_UP_DAYS = 28
SHORTEST_BLOCK_DAYS = 6
LONGEST_BLOCK_DAYS = 27


@dataclass(frozen=True)
class Block:
    """A stretch of days, both ends included, and the cut-offs in it (days since the epoch, ascending)."""

    first_day: int
    last_day: int
    days: tuple[int, ...]


@dataclass(frozen=True)
class Cutoffs:
    """The blocks of a split by time; `between` lies inside the first embargo and only joins the final training.

    Parameters
    ----------
    by_customer
        Whether fit and later are the same days: no customer is in both.
    """

    fit: Block
    between: Block
    later: Block
    test: Block
    horizon_days: int
    by_customer: bool = False

    @property
    def train_days(self) -> tuple[int, ...]:
        """Every cut-off that the released model is trained on."""
        return tuple(sorted({*self.fit.days, *self.between.days, *self.later.days}))

    @property
    def days(self) -> tuple[int, ...]:
        """Every cut-off."""
        return self.train_days + self.test.days

    def describe(self) -> dict[str, object]:
        """The split as JSON-able dates."""
        return {
            "train": [date_text(day) for day in self.train_days],
            "calibration_from": date_text(self.later.first_day),
            "test": [date_text(day) for day in self.test.days],
            "embargo_days": self.horizon_days,
            **({"calibration_on": "customers kept back"} if self.by_customer else {}),
        }


def choose_cutoffs(
    first_day: int,
    known_until_day: int,
    horizon_days: int,
    warm_up_days: int = WARM_UP_DAYS,
    longest_block_days: int = LONGEST_BLOCK_DAYS,
) -> Cutoffs:
    """Cut-offs for a history, the last matured days held out.

    Parameters
    ----------
    first_day
        Day of the first event.
    known_until_day
        The first day that is not complete; a cut-off T is matured when ``T + horizon_days <= known_until_day``.
    warm_up_days
        Days of history before the first cut-off.
    longest_block_days
        Later and test block take a quarter of the free days each, at most this many.

    Raises
    ------
    HistoryTooShortError
        When the blocks and embargoes do not fit.
    """
    first, last = first_day + warm_up_days, known_until_day - horizon_days
    free = last - first - 2 * horizon_days
    if free < 2 * SHORTEST_BLOCK_DAYS:
        needed = warm_up_days + 3 * horizon_days + 2 * SHORTEST_BLOCK_DAYS
        detail = f"{warm_up_days} to warm up, 3 label horizons of {horizon_days}, {2 * SHORTEST_BLOCK_DAYS} to test on"
        raise HistoryTooShortError(needed, known_until_day - first_day, detail)
    length = min(max(free // 4, SHORTEST_BLOCK_DAYS), longest_block_days)
    test = _block(last - length, last)
    later = _block(test.first_day - horizon_days - length, test.first_day - horizon_days)
    fit = _block(first, later.first_day - horizon_days)
    return Cutoffs(fit, _between(fit, later), later, test, horizon_days)


def choose_short_cutoffs(
    first_day: int, known_until_day: int, horizon_days: int, warm_up_days: int = WARM_UP_DAYS
) -> Cutoffs:
    """Cut-offs for a history too short for `choose_cutoffs`: one embargo, calibrated on customers kept back.

    Raises
    ------
    HistoryTooShortError
        When the blocks and the embargo do not fit.
    """
    first, last = first_day + warm_up_days, known_until_day - horizon_days
    free = last - first - horizon_days
    if free < 2 * SHORTEST_BLOCK_DAYS:
        needed = warm_up_days + 2 * horizon_days + 2 * SHORTEST_BLOCK_DAYS
        detail = f"{warm_up_days} to warm up, 2 label horizons of {horizon_days}, {2 * SHORTEST_BLOCK_DAYS} to test on"
        raise HistoryTooShortError(needed, known_until_day - first_day, detail)
    test = _block(last - max(free // 4, SHORTEST_BLOCK_DAYS), last)
    trained = _block(first, test.first_day - horizon_days)
    return Cutoffs(trained, _own([]), trained, test, horizon_days, by_customer=True)


def choose_test_cutoffs(trained_to_day: int, known_until_day: int, horizon_days: int) -> Cutoffs:
    """Every matured week after a model's training and its embargo; nothing to train on.

    Raises
    ------
    OfflineError
        When no such day is matured yet.
    """
    first, last = trained_to_day + horizon_days, known_until_day - horizon_days
    if last < first:
        raise OfflineError(
            f"no matured labels after training: the first cut-off is {date_text(first)}, "
            f"matured when everything before {date_text(first + horizon_days)} is known; "
            f"the lake knows everything before {date_text(known_until_day)}"
        )
    nothing = _own([])
    return Cutoffs(nothing, nothing, nothing, _block(first, last), horizon_days)


def given_cutoffs(train_days: list[int], test_days: list[int], horizon_days: int) -> Cutoffs:
    """The split of a user's own cut-offs: the last quarter of the training days becomes the later block.

    Raises
    ------
    OfflineError
        When an embargo is broken or nothing is left to fit on.
    """
    train, test = sorted(set(train_days)), sorted(set(test_days))
    if not train or not test:
        raise OfflineError("give both --cutoffs and --test-cutoffs, or neither")
    if test[0] < train[-1] + horizon_days:
        raise OfflineError(
            f"test cut-off {date_text(test[0])} lies within the label horizon of {horizon_days} days "
            f"after train cut-off {date_text(train[-1])}; the first allowed is {date_text(train[-1] + horizon_days)}"
        )
    later = train[-max(1, len(train) // 4) :]
    fit = [day for day in train if day <= later[0] - horizon_days]
    if not fit:
        raise OfflineError(
            f"no train cut-off at or before {date_text(later[0] - horizon_days)}: none is left to fit on "
            f"once {date_text(later[0])} and an embargo of {horizon_days} days are kept for calibration"
        )
    between = [day for day in train if fit[-1] < day < later[0]]
    return Cutoffs(_own(fit), _own(between), _own(later), _own(test), horizon_days)


def _own(days: list[int]) -> Block:
    return Block(days[0], days[-1], tuple(days)) if days else Block(0, -1, ())


def _block(first_day: int, last_day: int) -> Block:
    """Cut-offs counted back from the last day: weekly with a rotating weekday, every third day in a short block."""
    if last_day - first_day < 14:
        offsets = list(range(0, last_day - first_day + 1, 3))
    else:
        offsets = [7 * week + 3 * week % 7 for week in range((last_day - first_day) // 7 + 1)]
    days = sorted(last_day - offset for offset in offsets if last_day - offset >= first_day)
    return Block(first_day, last_day, tuple(days))


def _between(fit: Block, later: Block) -> Block:
    if later.first_day - fit.last_day < 2:
        return Block(0, -1, ())
    return _block(fit.last_day + 1, later.first_day - 1)


def date_text(day: int) -> str:
    """ISO date of a day since the epoch.

    Examples
    --------
    >>> date_text(18262)
    '2020-01-01'
    """
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()


def day_of(text: str) -> int:
    """Day since the epoch of an ISO date.

    Raises
    ------
    OfflineError
        When `text` is no date.
    """
    try:
        return (datetime.date.fromisoformat(text.strip()) - datetime.date(1970, 1, 1)).days
    except ValueError as cause:
        raise OfflineError(f"{text!r} is not a date; write YYYY-MM-DD") from cause
