"""What a simulation is asked for: size, seed, and the drifts planted in it.

Drifts are described here; what they do to the world is in `producers.simulate.drifts`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal, get_args

from producers.errors import ProducersError

DriftKind = Literal["covariate", "concept", "upstream_bug", "seasonal"]
DRIFT_KINDS: Final[tuple[str, ...]] = get_args(DriftKind)
DEFAULT_SIZE: Final[dict[str, float]] = {"covariate": 0.6, "concept": 1.0, "upstream_bug": 60.0, "seasonal": 0.4}
DEFAULT_LENGTH_DAYS: Final[dict[str, int | None]] = {
    "covariate": 21,
    "concept": None,
    "upstream_bug": 10,
    "seasonal": 42,
}
_EPOCH: Final = date(1970, 1, 1)


class SimulationError(ProducersError):
    """A simulation was asked for that cannot be run.

    Parameters
    ----------
    where
        The setting that is wrong, such as ``n_days`` or ``drift concept``.
    why
        What is wrong with it.
    """

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"simulation: {where}: {why}")
        self.where = where


@dataclass(frozen=True)
class Drift:
    """One planted change of the world, in days after the simulation's first day.

    Parameters
    ----------
    kind
        ``covariate``: a campaign brings `size` x n_customers newcomers of another mix, spread over the days.
        ``concept``: the drivers of cancellation are exchanged. ``upstream_bug``: one field arrives wrong.
        ``seasonal``: usage falls by up to the share `size` and comes back.
    after_days
        First day on which it acts.
    until_days
        First day on which it no longer acts; None takes the kind's usual length (a concept stays for good).
    name
        Name in the truth; empty takes the kind.
    size
        Strength, see `kind`; None takes the kind's usual one. For ``upstream_bug`` the factor of wrong units;
        nan makes the field null.
    field
        ``topic.field`` of an upstream bug: a number or an integer field.
    """

    kind: DriftKind
    after_days: int
    until_days: int | None = None
    name: str = ""
    size: float | None = None
    field: str = "usage.minutes"

    def __post_init__(self) -> None:
        if self.kind not in DRIFT_KINDS:
            raise SimulationError(f"drift {self.kind}", f"unknown kind; known: {', '.join(DRIFT_KINDS)}")
        if self.after_days < 0 or (self.until_days is not None and self.until_days <= self.after_days):
            raise SimulationError(f"drift {self.label}", f"bad days {self.after_days} to {self.until_days}")

    @property
    def label(self) -> str:
        """Name in the truth."""
        return self.name or self.kind

    @property
    def strength(self) -> float:
        """`size`, or the kind's usual one."""
        return DEFAULT_SIZE[self.kind] if self.size is None else self.size

    @property
    def end_days(self) -> int | None:
        """First day on which it no longer acts; None when it stays."""
        length = DEFAULT_LENGTH_DAYS[self.kind]
        if self.until_days is not None or length is None:
            return self.until_days
        return self.after_days + length

    def acts_on(self, day: int) -> bool:
        """Whether it acts on a day after the first."""
        end = self.end_days
        return self.after_days <= day and (end is None or day < end)

    @staticmethod
    def from_text(text: str) -> Drift:
        """A drift as a command line says it: ``concept@120`` or ``seasonal@60-100``.

        Examples
        --------
        >>> Drift.from_text("seasonal@60-100").until_days
        100
        """
        kind, _, days = text.partition("@")
        first, _, last = days.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise SimulationError(f"drift {text!r}", "expected KIND@FIRST_DAY or KIND@FIRST_DAY-END_DAY")
        return Drift(kind, int(first), int(last) if last else None)  # type: ignore[arg-type]


@dataclass(frozen=True)
class SimulationConfig:
    """A simulation; the same one gives the same events, byte for byte.

    Parameters
    ----------
    n_customers
        Customers whose contract begins on the first day (the log is self-contained: nobody is older than it).
        Other ages come from `growth`.
    n_days
        Days to simulate. Events that become known later are not part of the log.
    start_day
        First day, UTC.
    seed
        Of all randomness.
    events_per_customer_day
        Mean number of events of a live customer on a day, about.
    drifts
        Planted changes.
    oracle_every_days
        True probabilities are computed every so many days; 0 never.
    oracle_after_days
        First day, after the simulation's first, on which they are.
    has_observer
        Whether the best forecast from the log alone is computed on the same days; slow.
    shuffled_share
        Share of events that become known minutes to 44 hours late; the others take seconds.
    growth
        New contracts in 30 days, as a share of `n_customers`.
    """

    n_customers: int = 5_000
    n_days: int = 180
    start_day: date = date(2025, 1, 1)
    seed: int = 7
    events_per_customer_day: float = 5.0
    drifts: tuple[Drift, ...] = field(default=())
    oracle_every_days: int = 0
    oracle_after_days: int = 0
    has_observer: bool = False
    shuffled_share: float = 0.02
    growth: float = 0.035

    def __post_init__(self) -> None:
        checks = {
            "n_customers": 1 <= self.n_customers <= 10_000_000,
            "n_days": self.n_days >= 1,
            "seed": self.seed >= 0,
            "events_per_customer_day": 0.2 <= self.events_per_customer_day <= 200.0,
            "oracle_every_days": self.oracle_every_days >= 0,
            "oracle_after_days": self.oracle_after_days >= 0,
            "shuffled_share": 0.0 <= self.shuffled_share <= 1.0,
            "growth": 0.0 <= self.growth <= 10.0,
        }
        for name, good in checks.items():
            if not good:
                raise SimulationError(name, f"{getattr(self, name)} is out of range")

    @property
    def first_day(self) -> int:
        """Days since 1970-01-01 of the first day."""
        return (self.start_day - _EPOCH).days
