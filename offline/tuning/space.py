"""The one search space: every parameter that may be tuned, its bounds, its default, and why.

Grid points, random draws and what a parameter file may hold follow from it. The defaults are those of
`offline.models.PARAMS`; the order is the one in which a grid takes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from offline.errors import OfflineError
from offline.training_params import TrainingParams

Value = float | int | None
Params = Mapping[str, Value]

N_GRID_POINTS: Final = 3


@dataclass(frozen=True)
class Parameter:
    """One axis of the search space.

    Parameters
    ----------
    kind
        float and int lie between `low` and `high`, both inside; choice is one of `choices`.
    log
        Whether equal ratios, not equal differences, are equally likely.
    of
        What takes the value: the booster, or the weights of the rows.
    """

    name: str
    kind: Literal["float", "int", "choice"]
    default: Value
    why: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Value, ...] = ()
    of: Literal["booster", "rows"] = "booster"

    def at(self, share: float) -> Value:
        """The value at a share of the range, from 0 to just below 1.

        Examples
        --------
        >>> PARAMETERS["max_depth"].at(0.5)
        5
        """
        if self.kind == "choice":
            return self.choices[int(share * len(self.choices))]
        if self.kind == "int":
            return int(self.low + math.floor(share * (self.high - self.low + 1)))
        if self.log:
            return float(math.exp(math.log(self.low) + share * math.log(self.high / self.low)))
        return float(self.low + share * (self.high - self.low))

    def points(self, n: int = N_GRID_POINTS) -> tuple[Value, ...]:
        """Grid points: the middles of `n` equal parts of the range, or every choice.

        Examples
        --------
        >>> PARAMETERS["max_depth"].points(), PARAMETERS["subsample"].points()
        ((3, 5, 7), (0.583, 0.75, 0.917))
        """
        if self.kind == "choice":
            return self.choices
        found = [self.at((i + 0.5) / n) for i in range(n)]
        return tuple(dict.fromkeys(float(f"{x:.3g}") if isinstance(x, float) else x for x in found))

    def read(self, value: object) -> Value:
        """The value of a file, in the parameter's own type.

        Raises
        ------
        ValueError
            When it lies outside the space; the message says what is allowed.
        """
        if not isinstance(value, bool):
            if self.kind == "choice" and value in self.choices:
                return self.choices[self.choices.index(value)]
            if self.kind != "choice" and isinstance(value, int | float) and self.low <= value <= self.high:
                if self.kind == "float":
                    return float(value)
                if value == int(value):
                    return int(value)
        raise ValueError(f"{self.name} = {value!r} is outside the search space: {self.bounds}")

    @property
    def bounds(self) -> str:
        """What is allowed, in words."""
        if self.kind == "choice":
            return "one of " + ", ".join("none" if choice is None else f"{choice:g}" for choice in self.choices)
        return f"{'a whole number from ' if self.kind == 'int' else ''}{self.low:g} to {self.high:g}"


SPACE: Final = (
    Parameter("learning_rate", "float", 0.05, "how much each tree counts; below 0.02 the rounds run out",
              0.02, 0.3, log=True),
    Parameter("max_depth", "int", 3, "how many things are weighed together; the stream's walk over trees ends at 8",
              2, 8),
    Parameter("min_child_weight", "float", 5.0, "how many effective rows a leaf needs: guards against few leavers",
              1.0, 50.0, log=True),
    Parameter("half_life", "choice", None, "label horizons after which a row weighs half: old rows mislead when the "
              "world moves", choices=(None, 4.0, 2.0, 1.0), of="rows"),
    Parameter("subsample", "float", 0.8, "share of rows each tree sees; rows of one customer repeat", 0.5, 1.0),
    Parameter("colsample_bytree", "float", 0.6, "share of features each tree sees; windows say nearly the same",
              0.3, 1.0),
    Parameter("reg_lambda", "float", 5.0, "how strongly leaves are drawn to zero", 0.1, 100.0, log=True),
    Parameter("gamma", "float", 0.0, "loss that a split must save", 0.0, 5.0),
    Parameter("reg_alpha", "float", 0.0, "what a leaf must earn to differ from zero", 0.0, 5.0),
    Parameter("event_weight", "float", 1.0, "weight of an event row beside a tick row; folds judge ticks, so event "
              "rows keep a floor", 0.25, 2.0, log=True, of="rows"),
    Parameter("max_bin", "choice", 128, "how finely a feature is cut; few values, so that bins are made once",
              choices=(64, 128, 256)),
)  # fmt: skip

PARAMETERS: Final = {parameter.name: parameter for parameter in SPACE}


def defaults(space: Sequence[Parameter] = SPACE) -> dict[str, Value]:
    """Every parameter at its default."""
    return {parameter.name: parameter.default for parameter in space}


def chosen_space(names: Sequence[str], has_event_rows: bool = True) -> tuple[Parameter, ...]:
    """The part of the space to search, in the order of the names; all of it when none is named.

    Parameters
    ----------
    has_event_rows
        Without them their weight is left out.

    Raises
    ------
    OfflineError
        When a name is unknown.
    """
    if unknown := [name for name in names if name not in PARAMETERS]:
        raise OfflineError(f"--over: {unknown[0]!r} is no parameter; there are {', '.join(PARAMETERS)}")
    found = [PARAMETERS[name] for name in dict.fromkeys(names)] or list(SPACE)
    return tuple(parameter for parameter in found if has_event_rows or parameter.name != "event_weight")


def training_params(
    params: Params, horizon_days: int, origin: str = "", labels_until_day: int | None = None
) -> TrainingParams:
    """What a training is told to use this point of the space; what the point leaves out keeps its default."""
    point = defaults() | dict(params)
    booster = {p.name: point[p.name] for p in SPACE if p.of == "booster"}
    half_life, weight = point["half_life"], point["event_weight"]
    return TrainingParams(
        booster={name: value for name, value in booster.items() if value is not None},
        half_life_days=None if half_life is None else half_life * horizon_days,
        event_weight=1.0 if weight is None else float(weight),
        origin=origin,
        labels_until_day=labels_until_day,
    )
