"""Options of the command line about which rows are read, shared by the commands that train something."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from offline.training_options import TrainingOptions

Command = Callable[..., Any]
NAMES = ("cutoffs", "test_cutoffs", "until", "warm_up", "event_rows", "seed")


def data_options(command: Command) -> Command:
    """Add cut-offs, the end of the history, and the choice of rows; `said_rows` reads them."""
    options = (
        click.option("--cutoffs", metavar="DAYS", help="Own train cut-offs: dates separated by commas."),
        click.option(
            "--test-cutoffs", metavar="DAYS", help="Own test cut-offs, a label horizon after the last train cut-off."
        ),
        click.option("--until", metavar="DAY", help="Use only what was known before this day."),
        click.option(
            "--warm-up", type=click.IntRange(0, 1000), default=28, show_default=True,
            help="Days before the first cut-off.",
        ),
        click.option(
            "--event-rows", type=click.IntRange(0), default=30_000, show_default=True, help="Event rows to sample."
        ),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of every random choice."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def said_rows(flags: dict[str, Any], **more: Any) -> TrainingOptions:
    """The training options that these options say, with ``more`` of them.

    Raises
    ------
    OfflineError
        When a day is no date.
    """
    from offline.cutoffs import day_of
    from offline.training_options import TrainingOptions

    until = flags["until"]
    return TrainingOptions(
        train_days=days_of(flags["cutoffs"]),
        test_days=days_of(flags["test_cutoffs"]),
        until_day=None if until is None else day_of(until),
        warm_up_days=flags["warm_up"],
        n_event_rows=flags["event_rows"],
        seed=flags["seed"],
        **more,
    )


def days_of(text: str | None) -> tuple[int, ...]:
    """Dates separated by commas as days since the epoch."""
    from offline.cutoffs import day_of

    return tuple(day_of(part) for part in text.split(",") if part.strip()) if text else ()
