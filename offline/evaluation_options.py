"""Options of the command line about costs and the full evaluation, shared by `driftline train` and `evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from offline.costs import Costs

MONEY: Final = click.FloatRange(0.0)
SHARE: Final = click.FloatRange(0.0, 1.0)
Command = Callable[..., Any]


def cost_options(command: Command) -> Command:
    """Add what a contact costs and brings; `said_costs` reads it."""
    options = (
        click.option("--costs", metavar="FILE", type=click.Path(path_type=Path), help="TOML with the numbers below."),
        click.option("--contact-cost", type=MONEY, help="Of reaching one customer."),
        click.option("--offer-cost", type=MONEY, help="Of what a customer who accepts is given."),
        click.option("--accept-rate", type=SHARE, help="Share of contacted leavers who accept, and stay."),
        click.option("--stayer-accept-rate", type=SHARE, help="Share of contacted stayers who take the offer; else 1."),
        click.option("--customer-value", type=MONEY, help="What a leaver who stays is worth."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def evaluation_options(command: Command) -> Command:
    """Add what the full evaluation looks at, and where its page goes."""
    options = (
        click.option("--protected", metavar="NAMES", help="Features or event fields for the fairness table."),
        click.option("--slice-by", "sliced_by", metavar="FEATURES", help="More features to slice by."),
        click.option("--show-ids", is_flag=True, help="Name customers on the page instead of hashes."),
        click.option("--html", metavar="FILE", type=click.Path(path_type=Path), help="Where the page goes."),
        click.option("--no-html", is_flag=True, help="Write no page."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def said_costs(flags: dict[str, Any]) -> Costs | None:
    """The costs that the options say; None when they say nothing."""
    from offline.costs import load_costs

    names = ("contact_cost", "offer_cost", "accept_rate", "stayer_accept_rate", "customer_value")
    return load_costs(flags["costs"], {name: flags[name] for name in names})


def names_of(text: str | None) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
