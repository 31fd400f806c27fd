"""The steps of the ladder in their order, and which of them a run can climb.

XGBoost is what is released; what stands above it must be better than it to be worth another kind of model.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from offline.errors import OfflineError
from offline.ladder import boosted, forest, leafwise, logistic, neural, prior, rule, svm, tree
from offline.ladder.family import Columns, Family

FAMILIES: Final[tuple[Family, ...]] = (
    prior.FAMILY,
    rule.FAMILY,
    logistic.FAMILY,
    tree.FAMILY,
    forest.FAMILY,
    boosted.FAMILY,
    leafwise.FAMILY,
    svm.LINEAR,
    svm.RBF,
    neural.FAMILY,
)
ONLINE: Final = "online"
ONLINE_TITLE: Final = "online logistic regression"
NAMES: Final = (*(family.name for family in FAMILIES), ONLINE)
YARDSTICKS: Final = (prior.FAMILY.name, rule.FAMILY.name)


def chosen_steps(names: Sequence[str]) -> tuple[str, ...]:
    """These steps in the ladder's order, the yardsticks always among them; all steps when none is named.

    Raises
    ------
    OfflineError
        When a name is none of the ladder's.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise OfflineError(f"--models: no step {unknown[0]!r} on the ladder; there are {', '.join(NAMES)}")
    return tuple(name for name in NAMES if not names or name in names or name in YARDSTICKS)


def possible_steps(names: Sequence[str], columns: Columns) -> tuple[tuple[str, ...], dict[str, str]]:
    """(steps that can be climbed here, step -> why it is left out)."""
    left_out = {}
    for family in FAMILIES:
        if family.name in names and family.extra is not None and find_spec(family.extra) is None:
            left_out[family.name] = f"{family.title} is not installed (extra {family.extra!r})"
    if rule.FAMILY.name in names and not any(column.type == "recency" for column in columns):
        left_out[rule.FAMILY.name] = "the workload declares no feature of type recency"
    return tuple(name for name in names if name not in left_out), left_out


def family_of(name: str) -> Family:
    """The batch family of a step."""
    return next(family for family in FAMILIES if family.name == name)
