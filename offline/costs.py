"""What contacting a customer costs and brings: the cost matrix of a campaign, from a small TOML file or flags.

After Neslin et al. (2006), "Defection Detection": a leaver who takes the offer stays and is worth the customer value,
less the offer; a stayer who is contacted takes the offer too, for nothing in return. No threshold is chosen here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from offline.errors import CostError
from offline.metrics import Floats

REQUIRED: Final = ("contact_cost", "offer_cost", "accept_rate", "customer_value")
RATES: Final = ("accept_rate", "stayer_accept_rate")


@dataclass(frozen=True)
class Costs:
    """Money of one contact, all in one currency.

    Parameters
    ----------
    contact_cost
        Of reaching one customer, whatever comes of it.
    offer_cost
        Of what is given to a customer who accepts.
    accept_rate
        Share of contacted leavers who accept and therefore stay, 0 to 1.
    customer_value
        What a leaver who stays is worth, before the offer is paid.
    stayer_accept_rate
        Share of contacted stayers who take the offer as well; 1 by default, as nothing is easier to accept.
    currency
        How amounts are labelled.

    Raises
    ------
    CostError
        When a number is not allowed, or no contact can pay.
    """

    contact_cost: float
    offer_cost: float
    accept_rate: float
    customer_value: float
    stayer_accept_rate: float = 1.0
    currency: str = ""

    def __post_init__(self) -> None:
        for name in REQUIRED + RATES:
            value = getattr(self, name)
            if not np.isfinite(value) or value < 0:
                raise CostError(name, f"{value} is not a number of at least 0")
            if name in RATES and value > 1:
                raise CostError(name, f"{value} is a share and cannot be above 1")
        if self.of_leaver <= 0:
            raise CostError("accept_rate", f"contacting a leaver brings {self.of_leaver:g}: no contact can ever pay")

    @property
    def of_leaver(self) -> float:
        """Expected profit of contacting someone who would leave."""
        return self.accept_rate * (self.customer_value - self.offer_cost) - self.contact_cost

    @property
    def of_stayer(self) -> float:
        """Expected profit of contacting someone who would stay: never above zero."""
        return -self.contact_cost - self.stayer_accept_rate * self.offer_cost

    @property
    def break_even(self) -> float:
        """Churn probability at which a contact costs as much as it brings."""
        return -self.of_stayer / (self.of_leaver - self.of_stayer)

    def profit(self, y: Floats) -> Floats:
        """Profit of contacting each row, by its outcome; (n,)."""
        return np.where(y > 0, self.of_leaver, self.of_stayer)

    def as_json(self) -> dict[str, Any]:
        """The numbers as they were said."""
        return asdict(self)

    def text(self) -> str:
        """The numbers in a sentence."""
        money = f" {self.currency}" if self.currency else ""
        return (
            f"contact {self.contact_cost:g}{money}, offer {self.offer_cost:g}{money}, accepted by "
            f"{self.accept_rate:.0%} of leavers and {self.stayer_accept_rate:.0%} of stayers, "
            f"a customer kept is worth {self.customer_value:g}{money}"
        )


def load_costs(path: Path | None, flags: Mapping[str, Any]) -> Costs | None:
    """The costs of a file, single numbers of it replaced by flags; None when neither says anything.

    Parameters
    ----------
    path
        TOML with the names of `Costs` at its top.
    flags
        Name -> value; None is not said.

    Raises
    ------
    CostError
        When the file cannot be read, names something unknown, or a number is missing or not allowed.
    """
    said = {name: value for name, value in flags.items() if value is not None}
    found = (_read(path) if path is not None else {}) | said
    if not found:
        return None
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        flag = "--" + missing[0].replace("_", "-")
        raise CostError(str(path or flag), f"{missing[0]} is missing; say it there or by {flag}")
    return Costs(**found)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as cause:
        raise CostError(str(path), f"cannot be read: {(cause.strerror or 'no reason given').lower()}") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise CostError(str(path), f"is not TOML: {cause}") from cause
    known = {field.name for field in fields(Costs)}
    for name, value in content.items():
        if name not in known:
            raise CostError(str(path), f"{name!r} is unknown; known are {', '.join(sorted(known))}")
        wanted = str if name == "currency" else (int, float)
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise CostError(str(path), f"{name} = {value!r} is not {'text' if name == 'currency' else 'a number'}")
    return content
