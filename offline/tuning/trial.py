"""One point of the search space and what the folds said of it; as a line of text and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from offline.tuning.criterion import Criterion
from offline.tuning.space import Params


@dataclass(frozen=True)
class Trial:
    """A point that was judged.

    Parameters
    ----------
    number
        0 is the defaults; then in the order of the search.
    values
        Criterion of each fold, oldest first; fewer than there are folds when the trial was pruned.
    n_rounds
        Trees of each fold.
    seconds
        How long it took; says nothing about the point.
    """

    number: int
    params: Params
    values: tuple[float, ...]
    n_rounds: tuple[int, ...]
    is_pruned: bool
    seconds: float

    @property
    def value(self) -> float:
        """Mean over the folds that were judged."""
        return sum(self.values) / len(self.values)

    def encode(self) -> str:
        """One line of JSON; floats come back bit for bit."""
        content = {
            "number": self.number,
            "params": dict(self.params),
            "values": self.values,
            "n_rounds": self.n_rounds,
            "pruned": self.is_pruned,
            "seconds": round(self.seconds, 3),
        }
        return json.dumps(content, allow_nan=False)

    @classmethod
    def decode(cls, line: str) -> Trial:
        """The trial of a line.

        Raises
        ------
        ValueError, KeyError, TypeError
            When the line is no trial.
        """
        content: dict[str, Any] = json.loads(line)
        values, n_rounds = tuple(map(float, content["values"])), tuple(map(int, content["n_rounds"]))
        if not values or len(values) != len(n_rounds):
            raise ValueError("values and n_rounds do not belong together")
        return cls(
            int(content["number"]),
            dict(content["params"]),
            values,
            n_rounds,
            bool(content["pruned"]),
            float(content["seconds"]),
        )


def complete(trials: Sequence[Trial]) -> list[Trial]:
    """Those that all folds have judged."""
    return [trial for trial in trials if not trial.is_pruned]


def best_of(trials: Sequence[Trial], criterion: Criterion) -> Trial:
    """The best of the complete trials; the earlier one of two equals."""
    return max(complete(trials), key=lambda trial: (criterion.sign * trial.value, -trial.number))
