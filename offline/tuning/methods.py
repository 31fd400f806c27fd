"""Where to look next: grid and random search. Each answer follows from seed, number and what is done, nothing else.

So a study that was cut off goes on as if it had not been. The Bayesian method is in `offline.tuning.bayes`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from offline.tuning.space import Parameter, Params, defaults
from offline.tuning.trial import Trial


class Method(Protocol):
    """What a search asks for points."""

    @property
    def n_points(self) -> int | None:
        """How many points there are beside the defaults; None when they never end."""

    def point(self, number: int, done: Sequence[Trial]) -> Params | None:
        """The point of trial `number` (1 or more), None when there is none left.

        Parameters
        ----------
        done
            Trials 0 to ``number - 1``.
        """


class RandomSearch:
    """Every parameter drawn on its own, evenly over its range."""

    n_points = None

    def __init__(self, space: Sequence[Parameter], seed: int) -> None:
        self._space, self._seed = space, seed

    def point(self, number: int, done: Sequence[Trial]) -> Params:
        """A draw that depends on seed and number alone."""
        shares = np.random.default_rng((self._seed, number)).random(len(self._space))
        return {axis.name: axis.at(float(share)) for axis, share in zip(self._space, shares, strict=True)}


class GridSearch:
    """Every combination of grid points once, in a shuffled order, so that a search cut short is not lopsided.

    Parameters
    ----------
    space
        Parameters are taken in this order for as long as the grid stays within `most`; the others keep their defaults.
    most
        The largest number of points.
    """

    def __init__(self, space: Sequence[Parameter], seed: int, most: int) -> None:
        self.axes = axes_within(space, most)
        kept = defaults(space)
        points = [kept | dict(zip([axis.name for axis in self.axes], values, strict=True)) for values in
                  itertools.product(*(axis.points() for axis in self.axes))]  # fmt: skip
        points = [point for point in points if point != kept]  # trial 0 has been there
        order = np.random.default_rng(seed).permutation(len(points))
        self._points: list[Params] = [points[i] for i in order]

    @property
    def n_points(self) -> int:
        """Points beside the defaults."""
        return len(self._points)

    def point(self, number: int, done: Sequence[Trial]) -> Params | None:
        """The next point of the shuffled grid."""
        return self._points[number - 1] if number <= len(self._points) else None


def axes_within(space: Sequence[Parameter], most: int) -> tuple[Parameter, ...]:
    """The first parameters whose grid has at most so many points, one of them at least."""
    axes = list(space[:1])
    for parameter in space[1:]:
        if math.prod(len(axis.points()) for axis in [*axes, parameter]) > most:
            break
        axes.append(parameter)
    return tuple(axes)
